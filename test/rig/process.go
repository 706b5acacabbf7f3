package rig

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tallylog/tally/test/ports"
)

// Root is the top of the repository.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, serr := os.Stat(filepath.Join(dir, "go.mod")); serr == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			err = os.ErrNotExist
		}
		dir = filepath.Dir(dir)
	}
	t.Fatalf("cannot find the repository: %v", err)
	return ""
}

var builds sync.Map // package → *sync.Once

// Program builds a package into build/ and returns the path of the program. The go command does nothing when it is current.
func Program(t testing.TB, pkg, name string) string {
	t.Helper()
	out := filepath.Join(Root(t), "build", name)
	once, _ := builds.LoadOrStore(pkg, new(sync.Once))
	once.(*sync.Once).Do(func() {
		c := exec.Command("go", "build", "-o", out, pkg)
		c.Dir = Root(t)
		if text, err := c.CombinedOutput(); err != nil {
			t.Fatalf("cannot build %s: %v\n%s", pkg, err, text)
		}
	})
	return out
}

// Tally, Tallybeat and Filebeat are the programs: ours, and the genuine Filebeat 7.17.29 from its module.
func Tally(t testing.TB) string     { return Program(t, "./cmd/tally", "tally") }
func Tallybeat(t testing.TB) string { return Program(t, "./cmd/tallybeat", "tallybeat") }
func Filebeat(t testing.TB) string {
	return Program(t, "github.com/elastic/beats/v7/filebeat", "filebeat")
}

// Process is a running program.
type Process struct {
	t    testing.TB
	cmd  *exec.Cmd
	log  *os.File
	done chan struct{}
}

// Start runs a program; its output goes to a file in the test's directory, whose end is shown when the test fails.
func Start(t testing.TB, env []string, name string, args ...string) *Process {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	return StartCommand(t, cmd)
}

// StartCommand is Start for a command that is prepared already, but for its output.
func StartCommand(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	name := cmd.Path
	log, err := os.CreateTemp(t.TempDir(), filepath.Base(name)+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{t: t, cmd: cmd, log: log, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if p.cmd.SysProcAttr == nil {
		p.cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	p.cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("cannot start %s: %v", name, err)
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("the end of the log of %s:\n%s", filepath.Base(name), tailOf(p.Log(), 3000))
		}
		log.Close()
	})
	return p
}

func tailOf(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

// Log is what the program has printed.
func (p *Process) Log() []byte {
	b, _ := os.ReadFile(p.log.Name())
	return b
}

// Logged waits until the program has printed text.
func (p *Process) Logged(text string) {
	p.t.Helper()
	Eventually(p.t, time.Minute, fmt.Sprintf("%s prints %q", filepath.Base(p.cmd.Path), text), func() bool { return bytes.Contains(p.Log(), []byte(text)) })
}

// Kill ends the program as a crash would.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Signal sends a signal.
func (p *Process) Signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// Stop asks the program to end and returns its exit code.
func (p *Process) Stop() int {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	return p.Wait(patience)
}

// Wait returns the exit code once the program has ended, for which it has max, and patience at least.
func (p *Process) Wait(max time.Duration) int {
	p.t.Helper()
	max = longer(max)
	select {
	case <-p.done:
	case <-time.After(max):
		p.t.Fatalf("%s does not end within %v", filepath.Base(p.cmd.Path), max)
	}
	return p.cmd.ProcessState.ExitCode()
}

// PeakRSS is the most memory that the program has had resident so far, in bytes.
func (p *Process) PeakRSS() int64 {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	var kib int64
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	if _, err := fmt.Sscanf(rest, "%d kB", &kib); err != nil {
		p.t.Fatalf("cannot read VmHWM of %s: %v", filepath.Base(p.cmd.Path), err)
	}
	return kib << 10
}

// Exited tells whether the program has ended by itself.
func (p *Process) Exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// patience is the least that is waited for anything: what comes costs nothing, and on a slow machine with other work much comes late.
const patience = 3 * time.Minute

// Eventually waits until ok holds, and fails the test when it does not within max, which is patience at least.
func Eventually(t testing.TB, max time.Duration, what string, ok func() bool) {
	t.Helper()
	max = longer(max)
	for end := time.Now().Add(max); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %v it still does not hold that %s", max, what)
		}
	}
}

func longer(d time.Duration) time.Duration { return max(d, patience) }

// Port is the address of a port of the loopback interface that is the test's while it runs.
func Port(t testing.TB) string {
	t.Helper()
	port, release, err := ports.Hold()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// HasOpen tells whether the program has a file open.
func (p *Process) HasOpen(dev, ino uint64) bool {
	dir := fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid)
	names, _ := os.ReadDir(dir)
	for _, n := range names {
		var st syscall.Stat_t
		if syscall.Stat(filepath.Join(dir, n.Name()), &st) == nil && st.Dev == dev && st.Ino == ino {
			return true
		}
	}
	return false
}
