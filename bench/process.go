package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program under measurement. Its output goes to a file, which is quoted when something goes wrong.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// start runs a program that dies with this one.
func start(log string, env []string, name string, args ...string) (*process, error) {
	f, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("cannot create the log %q: %w", log, err)
	}
	defer f.Close()
	p := &process{cmd: exec.Command(name, args...), log: log, done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = f, f
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %q: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in ProcessState
		close(p.done)
	}()
	return p, nil
}

// stop ends the process, by force after half a minute.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// failed describes what went wrong with the end of the log.
func (p *process) failed(what string) error {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return fmt.Errorf("%s: %s, and its log cannot be read: %w", p.cmd.Path, what, err)
	}
	return fmt.Errorf("%s: %s; the end of its log:\n%s", p.cmd.Path, what, text[max(0, len(text)-2000):])
}

// ticks is the kernel's unit of CPU time in /proc, USER_HZ, which is 100 on every architecture that Go runs on.
const ticks = 100

// cpu is the CPU time used so far, in seconds: fields 14 and 15 of /proc/PID/stat (man 5 proc).
func (p *process) cpu() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("cannot read the CPU time of %q: %w", p.cmd.Path, err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // begins with field 3
	if len(fields) < 13 {
		return 0, fmt.Errorf("cannot read the CPU time of %q: %d fields", p.cmd.Path, len(fields))
	}
	var sum float64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseUint(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("cannot read the CPU time of %q: %w", p.cmd.Path, err)
		}
		sum += float64(n) / ticks
	}
	return sum, nil
}

// peakRSS is the largest resident set so far, in bytes.
func (p *process) peakRSS() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("cannot read the memory of %q: %w", p.cmd.Path, err)
	}
	_, rest, ok := strings.Cut(string(text), "VmHWM:")
	var kb int64
	if _, err := fmt.Sscan(rest, &kb); err != nil || !ok {
		return 0, fmt.Errorf("cannot read the memory of %q: no VmHWM", p.cmd.Path)
	}
	return kb << 10, nil
}

// size is the number of bytes that the files in a folder take on disk.
func size(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && !d.IsDir() {
			sum += st.Blocks * 512
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("cannot measure %q: %w", dir, err)
	}
	return sum, nil
}
