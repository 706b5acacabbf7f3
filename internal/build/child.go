package build

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// child is one of the programs that Run keeps running. Its output goes to a file.
type child struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended; err is set then
	err  error
}

// start runs a program in a process group of its own, so that a Ctrl-C on the terminal reaches only this process, which
// then ends its children in the right order. Should this process be killed, the kernel kills the child.
func start(name, log, program string, args ...string) (*child, error) {
	if err := os.MkdirAll(filepath.Dir(log), 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the folder of %q: %w", log, err)
	}
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open the log %q: %w", log, err)
	}
	defer f.Close()
	c := &child{name: name, log: log, done: make(chan struct{})}
	c.cmd = exec.Command(program, args...)
	c.cmd.Stdout, c.cmd.Stderr = f, f
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// The death signal is sent when the thread ends that started the child, so this thread stays until then.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		started <- err
		if err == nil {
			c.err = c.cmd.Wait()
			close(c.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("cannot start %q: %w", program, err)
	}
	return c, nil
}

// stop asks the child's process group to end, and kills it after the time given. It tells whether the child ended by itself
// without an error.
func (c *child) stop(patience time.Duration) error {
	group := -c.cmd.Process.Pid
	// The group may be gone already; then there is nothing to signal.
	_ = syscall.Kill(group, syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(patience):
		_ = syscall.Kill(group, syscall.SIGKILL)
		<-c.done
		return fmt.Errorf("%s did not end within %v and was killed", c.name, patience)
	}
	_ = syscall.Kill(group, syscall.SIGKILL) // what it may have left behind
	if c.err != nil {
		return fmt.Errorf("%s ended badly: %w\n%s", c.name, c.err, c.tail())
	}
	return nil
}

// tail returns the last lines of the child's log.
func (c *child) tail() string {
	f, err := os.Open(c.log)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	const most = 8 << 10
	if size, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(0, size-most), io.SeekStart)
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimRight(b, "\n"), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-15):], []byte("\n")))
}
