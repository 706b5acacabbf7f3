package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	lumber "github.com/elastic/go-lumber/server/v2"
)

const (
	idleFiles  = 10_000
	idleActive = 100
	idleTime   = 30 * time.Second
)

// elsewhere makes name a symbolic link to a file that is in another folder.
func elsewhere(dir, name string) error {
	real := filepath.Join(dir, "elsewhere", filepath.Base(name), "0.log")
	if err := os.MkdirAll(filepath.Dir(real), 0o755); err != nil {
		return fmt.Errorf("cannot make the folder of %q: %w", real, err)
	}
	if err := os.Symlink(real, name); err != nil {
		return fmt.Errorf("cannot link to %q: %w", real, err)
	}
	return nil
}

// idle measures an agent that follows idleFiles files of which idleActive get a line each second: its memory, the share of a core that
// it takes, and how long a line takes from its write to its arrival at the sink. The agent has its default settings.
func idle(dir string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	var mu sync.Mutex
	var took []time.Duration
	s, err := lumber.NewWithListener(l, lumber.JSONDecoder(func(text []byte, _ any) error {
		if _, rest, ok := bytes.Cut(text, []byte("written at ")); ok {
			n, _, _ := bytes.Cut(rest, []byte(" "))
			if ns, err := strconv.ParseInt(string(n), 10, 64); err == nil {
				mu.Lock()
				took = append(took, time.Duration(time.Now().UnixNano()-ns))
				mu.Unlock()
			}
		}
		return nil
	}))
	if err != nil {
		return fmt.Errorf("cannot start the sink: %w", err)
	}
	defer s.Close()
	seen := make(chan int, 1000)
	go func() {
		for b := range s.ReceiveChan() {
			n := len(b.Events)
			b.ACK()
			seen <- n
		}
	}()
	name := func(i int) string { return filepath.Join(dir, "idle", strconv.Itoa(i%100), strconv.Itoa(i)+".log") }
	for i := range idleFiles {
		if err := os.MkdirAll(filepath.Dir(name(i)), 0o755); err != nil {
			return fmt.Errorf("cannot make the folder of %q: %w", name(i), err)
		}
		if step := idleFiles / idleActive; i%(2*step) == 0 { // half of those that are written to are elsewhere, as containers' files are
			if err := elsewhere(dir, name(i)); err != nil {
				return err
			}
		}
		if err := os.WriteFile(name(i), fmt.Appendf(nil, "the first line of file %d\n", i), 0o644); err != nil {
			return fmt.Errorf("cannot write %q: %w", name(i), err)
		}
	}
	home := filepath.Join(dir, "idle-agent")
	config := filepath.Join(home, "tallybeat.yml")
	text := fmt.Sprintf("tallybeat.inputs:\n  - {type: applog, paths: [%q], max_open_files: %d}\noutput.logstash.hosts: [%q]\n",
		filepath.Join(dir, "idle/*/*.log"), 2*idleFiles, l.Addr())
	if err := os.MkdirAll(home, 0o700); err != nil {
		return fmt.Errorf("cannot make the agent's folder: %w", err)
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return fmt.Errorf("cannot write the agent's configuration: %w", err)
	}
	p, err := start(filepath.Join(home, "log"), nil, "build/tallybeat", "-e", "-c", config, "--path.home", home)
	if err != nil {
		return err
	}
	defer p.stop()
	for n := 0; n < idleFiles; {
		select {
		case k := <-seen:
			n += k
		case <-time.After(time.Minute):
			return p.failed(fmt.Sprintf("shipped %d of %d first lines", n, idleFiles))
		}
	}
	go func() {
		for range seen { // the sink must not wait
		}
	}()
	time.Sleep(5 * time.Second)
	before, err := p.cpu()
	if err != nil {
		return err
	}
	began := time.Now()
	for next := began; time.Since(began) < idleTime; {
		for i := range idleActive {
			f, err := os.OpenFile(name(i*idleFiles/idleActive), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return fmt.Errorf("cannot append to %q: %w", name(i), err)
			}
			fmt.Fprintf(f, "a line written at %d nanoseconds\n", time.Now().UnixNano())
			f.Close()
			next = next.Add(time.Second / idleActive)
			time.Sleep(time.Until(next))
		}
	}
	after, err := p.cpu()
	if err != nil {
		return err
	}
	core := (after - before) / time.Since(began).Seconds() * 100
	time.Sleep(2 * time.Second)
	rss, err := p.peakRSS()
	if err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(took)
	if len(took) == 0 {
		return p.failed("shipped none of the lines that were written")
	}
	fmt.Printf("\n%d files, %d lines a second into %d of them: peak RSS %.0f MB, %.1f %% of a core; from write to arrival p50 %v, p99 %v, of %d lines\n",
		idleFiles, idleActive, idleActive, float64(rss)/1e6, core, took[len(took)/2].Round(time.Millisecond),
		took[len(took)*99/100].Round(time.Millisecond), len(took))
	return nil
}
