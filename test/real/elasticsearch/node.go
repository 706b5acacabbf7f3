package elasticsearch

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// Node is one process of Elasticsearch, which can be killed and started again on the same data.
type Node struct {
	Name    string
	Address string // URL
	home    string
	dir     string
	cmd     *exec.Cmd
	alive   *os.File // the node ends when this is closed, by us or with this process
	exited  chan error
}

// prepare writes the node's configuration beside its data.
func (n *Node) prepare(settings []string, heapMB int) error {
	conf := filepath.Join(n.dir, "config")
	if err := os.CopyFS(conf, os.DirFS(filepath.Join(n.home, "config"))); err != nil {
		return fmt.Errorf("cannot copy the configuration of Elasticsearch: %w", err)
	}
	for _, d := range []string{"data", "logs", "tmp"} {
		if err := os.Mkdir(filepath.Join(n.dir, d), 0o755); err != nil {
			return fmt.Errorf("cannot prepare node %s: %w", n.Name, err)
		}
	}
	file := filepath.Join(conf, "jvm.options")
	options, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("cannot read the options of the JVM: %w", err)
	}
	// No log of the garbage collector, no dumps of the heap; and a collector that does without threads beside ours.
	text := regexp.MustCompile(`(?m)^.*(-Xlog:gc|HeapDump).*\n`).ReplaceAllString(string(options), "")
	text = strings.Replace(text, "-XX:+UseG1GC", "-XX:+UseSerialGC", 1)
	for file, text := range map[string]string{
		"jvm.options":                text,
		"jvm.options.d/heap.options": fmt.Sprintf("-Xms%dm\n-Xmx%dm\n", heapMB, heapMB),
		"elasticsearch.yml":          strings.Join(settings, "\n") + "\n",
	} {
		if err := os.WriteFile(filepath.Join(conf, file), []byte(text), 0o644); err != nil {
			return fmt.Errorf("cannot configure node %s: %w", n.Name, err)
		}
	}
	return own(n.dir)
}

// own gives a folder to the user that the nodes run as.
func own(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	})
}

// guard starts a command beside itself, and kills it and all it has started when its own standard input ends: the launcher of
// Elasticsearch starts a second process, which no signal for the parent's death would reach.
const guard = `"$@" </dev/null & read -r forever; kill -9 0`

// Start starts the node, or starts it again after Kill. It does not wait until the node answers.
func (n *Node) Start() error {
	java, err := exec.LookPath("java")
	if err != nil {
		return fmt.Errorf("cannot start Elasticsearch without Java 17 or newer (Debian package default-jre-headless): %w", err)
	}
	if java, err = filepath.EvalSymlinks(java); err != nil {
		return fmt.Errorf("cannot find Java: %w", err)
	}
	out, err := os.OpenFile(filepath.Join(n.dir, "output"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("cannot start node %s: %w", n.Name, err)
	}
	defer out.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("cannot start node %s: %w", n.Name, err)
	}
	defer r.Close()
	n.cmd = exec.Command("sh", "-c", guard, "guard", filepath.Join(n.home, "bin", "elasticsearch"))
	n.cmd.Dir = n.dir
	n.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + n.dir, "ES_JAVA_HOME=" + filepath.Dir(filepath.Dir(java)),
		"ES_PATH_CONF=" + filepath.Join(n.dir, "config"), "ES_TMPDIR=" + filepath.Join(n.dir, "tmp")}
	n.cmd.Stdin, n.cmd.Stdout, n.cmd.Stderr = r, out, out
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 {
		n.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	if err := n.cmd.Start(); err != nil {
		w.Close()
		return fmt.Errorf("cannot start node %s: %w", n.Name, err)
	}
	n.alive, n.exited = w, make(chan error, 1)
	go func(cmd *exec.Cmd, exited chan error) { exited <- cmd.Wait() }(n.cmd, n.exited)
	return nil
}

// Kill ends the node with SIGKILL, as a crash would.
func (n *Node) Kill() error {
	if n.alive == nil {
		return nil
	}
	defer func() { n.alive.Close(); n.alive = nil }()
	if err := syscall.Kill(-n.cmd.Process.Pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("cannot kill node %s: %w", n.Name, err)
	}
	<-n.exited
	return nil
}

// ended returns an error when the node has ended by itself.
func (n *Node) ended() error {
	if n.alive == nil {
		return nil
	}
	if text := n.output(); strings.Contains(text, "ERROR: Elasticsearch died") || strings.Contains(text, "ERROR: Elasticsearch exited") {
		return fmt.Errorf("node %s of Elasticsearch has ended:\n%s", n.Name, text)
	}
	return nil
}

// output is the end of what the node wrote.
func (n *Node) output() string {
	text, err := os.ReadFile(filepath.Join(n.dir, "output"))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-8<<10):])
}
