package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-plugin/runner"
	"golang.org/x/sys/unix"
)

// process is one run of a plugin's program; go-plugin's client drives it.
type process struct {
	c         *Config
	file      *os.File // the sealed program
	spec      *exec.Cmd
	socketDir string
	meter     *meter

	stdout, stderr *os.File
	done           chan struct{} // closed when the process, and its group, are gone
	err            error         // why it ended, once done is closed

	mu     sync.Mutex
	cmd    *exec.Cmd // while it runs
	over   bool      // it has ended
	reason string    // why this program has killed it, in a word
	detail string    // and in a sentence, if there is more to say than how it ended
}

var _ runner.Runner = (*process)(nil)

// searchPath is where interpreters of scripts (#!/usr/bin/env python3) are looked for.
const searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Start implements runner.Runner.
func (p *process) Start(context.Context) error {
	// Descriptor 3 of the child is the sealed copy. A script's interpreter opens it under the same name.
	cmd := exec.Command("/proc/self/fd/3")
	cmd.Args = []string{p.c.Path}
	cmd.ExtraFiles = []*os.File{p.file}
	cmd.Dir = "/"
	cmd.Env = append([]string{searchPath}, p.spec.Env...) // the spec has what go-plugin needs, and nothing of ours
	for _, e := range p.c.Environment {
		if !strings.Contains(e, "=") {
			v, ok := os.LookupEnv(e)
			if !ok {
				continue
			}
			e += "=" + v
		}
		cmd.Env = append(cmd.Env, e)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	var outW, errW *os.File
	var err error
	if p.stdout, outW, err = os.Pipe(); err != nil {
		return fmt.Errorf("cannot make a pipe: %w", err)
	}
	if p.stderr, errW, err = os.Pipe(); err != nil {
		p.stdout.Close()
		outW.Close()
		return fmt.Errorf("cannot make a pipe: %w", err)
	}
	cmd.Stdout, cmd.Stderr = outW, errW
	started := make(chan error)
	go p.run(cmd, started)
	err = <-started
	outW.Close()
	errW.Close()
	if err != nil {
		p.stdout.Close()
		p.stderr.Close()
		return fmt.Errorf("cannot start plugin %q: %w", p.c.Path, err)
	}
	return nil
}

// run starts the process and waits for it. The kernel kills a child with PDEATHSIG when the thread that started it ends, so the thread
// is kept until the child is gone.
func (p *process) run(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	pid := cmd.Process.Pid
	p.mu.Lock()
	p.cmd = cmd
	if p.reason != "" { // it was to be killed before it was there
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
	p.mu.Unlock()
	if err := p.limit(pid); err != nil {
		p.kill("limits", err.Error())
	}
	started <- nil
	stop := make(chan struct{})
	go p.watch(pid, stop)
	// The group goes before the process is reaped: until then its number cannot be another's.
	for {
		if e := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); !errors.Is(e, unix.EINTR) {
			break
		}
	}
	close(stop)
	p.mu.Lock() // nobody may kill the number once it is free
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	p.err = cmd.Wait()
	p.cmd, p.over = nil, true
	p.mu.Unlock()
	close(p.done)
	// What stands in the pipes is read; a process that has left the group and still holds them is not waited for.
	time.AfterFunc(time.Second, func() { p.stdout.Close(); p.stderr.Close() })
}

// limit bounds the memory that a process, and each of its children, may have for itself. RLIMIT_DATA counts what is written to and
// private (Linux 4.7); RLIMIT_AS would count address space, of which a Go program reserves gigabytes that it never uses.
func (p *process) limit(pid int) error {
	for what, n := range map[int]uint64{unix.RLIMIT_DATA: uint64(p.c.Memory), unix.RLIMIT_CORE: 0} {
		if err := unix.Prlimit(pid, what, &unix.Rlimit{Cur: n, Max: n}, nil); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("cannot limit the memory of the plugin: %w", err)
		}
	}
	return nil
}

// watch ends the process when its group has more memory resident than it may: shared memory, which RLIMIT_DATA does not count,
// children, and everything on older kernels.
func (p *process) watch(pid int, stop <-chan struct{}) {
	t := time.NewTicker(200 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
			if rss := resident(pid); rss > int64(p.c.Memory)+fileMapped {
				p.kill("memory", fmt.Sprintf("it had %d MiB resident, and may have %d", rss>>20, (int64(p.c.Memory)+fileMapped)>>20))
			}
		}
	}
}

// fileMapped is what the program's own file and its libraries may take beside its data.
const fileMapped = 64 << 20

// resident is the memory of a process and of its children, in bytes.
func resident(pid int) (total int64) {
	for _, id := range append(children(pid), pid) {
		b, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(id), "statm"))
		if f := strings.Fields(string(b)); len(f) > 1 {
			pages, _ := strconv.ParseInt(f[1], 10, 64)
			total += pages * int64(os.Getpagesize())
		}
	}
	return total
}

func children(pid int) (out []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, t := range tasks {
		b, _ := os.ReadFile(t)
		for _, s := range strings.Fields(string(b)) {
			if id, err := strconv.Atoi(s); err == nil && len(out) < 1000 {
				out = append(append(out, id), children(id)...)
			}
		}
	}
	return out
}

// kill ends the process group at once. The first reason counts.
func (p *process) kill(reason, detail string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	if p.reason == "" {
		p.reason, p.detail = reason, detail
	}
	if p.cmd != nil {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
}

// end asks the process to finish, and ends it when it does not.
func (p *process) end() {
	p.mu.Lock()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	p.mu.Unlock()
	select {
	case <-p.done:
	case <-time.After(time.Second):
		p.kill("stopped", "")
		<-p.done
	}
}

// why says how the process ended.
func (p *process) why() (reason, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text = "it exited"
	if p.err != nil {
		text = p.err.Error()
	}
	switch {
	case p.detail != "":
		return p.reason, p.detail
	case p.reason != "":
		return p.reason, text
	case p.starved():
		return "memory", text // the kernel refused it more, and it gave up
	}
	return "exit", text
}

// starved tells whether the plugin's last words are that it got no memory. The stack of a thread is memory too: 8 MiB with glibc.
func (p *process) starved() bool {
	said := p.meter.last()
	for _, s := range []string{"cannot allocate memory", "Cannot allocate memory", "out of memory", "MemoryError", "pthread_create failed", "newosproc"} {
		if strings.Contains(said, s) {
			return true
		}
	}
	return false
}

// Kill implements runner.Runner.
func (p *process) Kill(context.Context) error { p.kill("start", ""); return nil }

// Wait implements runner.Runner.
func (p *process) Wait(context.Context) error { <-p.done; return p.err }

// Stdout implements runner.Runner.
func (p *process) Stdout() io.ReadCloser { return p.meter.reader(p.stdout) }

// Stderr implements runner.Runner.
func (p *process) Stderr() io.ReadCloser { return p.meter.reader(p.stderr) }

// Name implements runner.Runner.
func (p *process) Name() string { return p.c.Path }

// ID implements runner.Runner.
func (p *process) ID() string { return strconv.Itoa(p.pid()) }

func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Diagnose implements runner.Runner.
func (p *process) Diagnose(context.Context) string { return p.meter.last() }

// PluginToHost implements runner.AddrTranslator. The plugin may only name a socket in its own directory: it shall not make us talk
// to others.
func (p *process) PluginToHost(network, addr string) (string, string, error) {
	if network != "unix" || filepath.Dir(filepath.Clean(addr)) != p.socketDir {
		return "", "", fmt.Errorf("the plugin listens on %.20q %.200q, which is no Unix socket in the directory that it was given", network, addr)
	}
	return network, addr, nil
}

// HostToPlugin implements runner.AddrTranslator.
func (p *process) HostToPlugin(network, addr string) (string, string, error) {
	return network, addr, nil
}
