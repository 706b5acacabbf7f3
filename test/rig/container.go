package rig

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Container is a directory that a program sees as its root, as in the image of a DaemonSet: it has the program, the libraries it needs, and
// what the test puts there. It needs neither root nor mounts, and goes with the test.
type Container struct {
	t    testing.TB
	Root string
}

// NewContainer makes a container with tallybeat as /opt/<name>/<name>.
func NewContainer(t testing.TB, name string) *Container {
	t.Helper()
	c := &Container{t: t, Root: t.TempDir()}
	for _, dir := range []string{"tmp", "etc", "opt/" + name} {
		c.Mkdir(dir)
	}
	program := Tallybeat(t)
	c.copy(program, "opt/"+name+"/"+name)
	files := map[string]bool{}
	for _, lib := range append([]string{program}, compressors(t)...) {
		for _, f := range linked(t, lib) {
			files[f] = true
		}
		if lib != program {
			files[lib] = true
		}
	}
	for f := range files {
		c.copy(f, f)
	}
	return c
}

// compressors are libsystemd and what it loads when a file needs it.
func compressors(t testing.TB) (files []string) {
	t.Helper()
	for _, name := range []string{"libsystemd.so.0", "libzstd.so.1", "liblz4.so.1", "liblzma.so.5", "libgcrypt.so.20"} {
		for _, dir := range []string{"/lib/*-linux-gnu*", "/usr/lib/*-linux-gnu*", "/lib64", "/usr/lib64", "/lib", "/usr/lib"} {
			if found, _ := filepath.Glob(filepath.Join(dir, name)); len(found) > 0 {
				files = append(files, found[0])
				break
			}
		}
	}
	if len(files) == 0 || filepath.Base(files[0]) != "libsystemd.so.0" {
		t.Fatal("cannot find libsystemd.so.0; on Debian: apt-get install libsystemd0")
	}
	return files
}

// linked are the libraries that ldd(1) names.
func linked(t testing.TB, file string) (files []string) {
	t.Helper()
	out, err := exec.Command("ldd", file).Output()
	if err != nil {
		t.Fatalf("ldd %s: %v", file, err)
	}
	for _, word := range strings.Fields(string(out)) {
		if strings.HasPrefix(word, "/") && !strings.HasSuffix(word, ":") {
			files = append(files, word)
		}
	}
	return files
}

// Path is where something of the container is.
func (c *Container) Path(path string) string { return filepath.Join(c.Root, path) }

// Mkdir makes a directory in the container.
func (c *Container) Mkdir(path string) {
	c.t.Helper()
	if err := os.MkdirAll(c.Path(path), 0o755); err != nil {
		c.t.Fatal(err)
	}
}

// Write writes a file in the container.
func (c *Container) Write(path, text string) {
	c.t.Helper()
	c.Mkdir(filepath.Dir(path))
	if err := os.WriteFile(c.Path(path), []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
}

func (c *Container) copy(from, to string) {
	c.t.Helper()
	c.Mkdir(filepath.Dir(to))
	from, err := filepath.EvalSymlinks(from)
	if err != nil {
		c.t.Fatal(err)
	}
	if os.Link(from, c.Path(to)) == nil {
		return
	}
	in, err := os.Open(from)
	if err != nil {
		c.t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(c.Path(to), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err = io.Copy(out, in); err == nil {
		err = out.Close()
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// Start runs a program of the container, as its root.
func (c *Container) Start(env []string, name string, args ...string) *Process {
	c.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Dir = env, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: c.Root}
	if uid, gid := os.Geteuid(), os.Getegid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: gid, Size: 1}}
	}
	return StartCommand(c.t, cmd)
}
