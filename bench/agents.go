package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/elastic/go-lumber/lj"
	lumber "github.com/elastic/go-lumber/server/v2"
)

// lineBytes is the length of a line with its newline.
const lineBytes = 194

// patience is how long any one program may take.
const patience = 15 * time.Minute

// appendLine appends line i of the file that agents read; it is always lineBytes long.
func appendLine(b []byte, i int) []byte {
	from := len(b)
	b = fmt.Appendf(b, "2026-01-02T03:04:05.%06dZ INFO  [http-%02d] c.e.shop.OrderService - order %09d accepted for customer %07d, total %5d.%02d EUR ",
		i%1_000_000, i%32, i, i*7919%10_000_000, i%90_000, i%100)
	for len(b)-from < lineBytes-1 {
		b = append(b, 'a'+byte((i+len(b)-from)%26))
	}
	return append(b, '\n')
}

func writeLines(name string, n int) error {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("cannot create the file to read: %w", err)
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	var line []byte
	for i := range n {
		line = appendLine(line[:0], i)
		if _, err := w.Write(line); err != nil {
			return fmt.Errorf("cannot write the file to read: %w", err)
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("cannot write the file to read: %w", err)
	}
	return f.Close()
}

// filebeat builds the real Filebeat, with its journald input, from its module at the version that go.mod names.
func filebeat() (string, error) {
	const program = "build/filebeat-journald"
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	fmt.Println("building", program, "(once; minutes)")
	cmd := exec.Command("go", "build", "-tags", "withjournald", "-o", program, "github.com/elastic/beats/v7/filebeat")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("cannot build %q: %w", program, err)
	}
	return program, nil
}

// agents measures each agent on the same file, and on the same journal.
func agents(dir string, lines, entries int) ([]measure, error) {
	real, err := filebeat()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "app.log")
	if err := writeLines(file, lines); err != nil {
		return nil, err
	}
	journal := filepath.Join(dir, "journal")
	if err := writeJournal(journal, entries); err != nil {
		return nil, err
	}
	var all []measure
	for i, a := range []struct {
		name, program, root, kind, path string
		events                          int
		settings                        string
	}{
		{nameApplog, "build/tallybeat", "tallybeat", "applog", file, lines, tuned},
		{nameApplog + nameTwo, "build/tallybeat", "tallybeat", "applog", file, lines, two},
		{nameApplog + nameDefaults, "build/tallybeat", "tallybeat", "applog", file, lines, defaults},
		{nameFilestream, "build/tallybeat", "tallybeat", "filestream", file, lines, tuned},
		{nameFilestream + nameTwo, "build/tallybeat", "tallybeat", "filestream", file, lines, two},
		{nameFilebeat, real, "filebeat", "filestream", file, lines, tuned},
		{nameFilebeat + nameDefaults, real, "filebeat", "filestream", file, lines, defaults},
		{nameLog, "build/tallybeat", "tallybeat", "log", file, lines, tuned},
		{nameFilebeatLog, real, "filebeat", "log", file, lines, tuned},
		{nameJournald, "build/tallybeat", "tallybeat", "journald", journal, entries, tuned},
		{nameFilebeatJournald, real, "filebeat", "journald", journal, entries, tuned},
	} {
		fmt.Printf("%s: %d lines\n", a.name, a.events)
		m, err := agent(filepath.Join(dir, fmt.Sprint("agent", i)), a.program, a.root, a.kind, a.path, a.events, a.settings)
		if err != nil {
			return nil, err
		}
		m.Name = a.name
		all = append(all, m)
	}
	return all, nil
}

// The names of the rows that are compared.
const (
	nameApplog      = "tallybeat, applog"
	nameFilestream  = "tallybeat, filestream"
	nameLog         = "tallybeat, log"
	nameFilebeat    = "Filebeat 7.17.29, filestream"
	nameFilebeatLog = "Filebeat 7.17.29, log"
	nameTwo         = ", two outputs"
	nameDefaults    = ", defaults"
)

// What an agent is told beside its input and where to ship: settings that are good for much, the same and a file as a second output, or nothing.
const (
	tuned    = "tuned"
	two      = "two"
	defaults = "defaults"
)

// agent runs one agent until the sink has every line, and with two outputs a file of JSON as well.
func agent(home, program, root, kind, file string, lines int, settings string) (measure, error) {
	fail := func(err error) (measure, error) { return measure{}, err }
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fail(fmt.Errorf("cannot listen: %w", err))
	}
	// The decoder keeps nothing: the sink costs the machine as little as it can.
	s, err := lumber.NewWithListener(l, lumber.JSONDecoder(func([]byte, any) error { return nil }))
	if err != nil {
		return fail(fmt.Errorf("cannot start the sink: %w", err))
	}
	defer s.Close()
	var got atomic.Int64
	all := make(chan struct{})
	go drain(s.ReceiveChan(), &got, int64(lines), all)

	if err := os.MkdirAll(home, 0o700); err != nil {
		return fail(fmt.Errorf("cannot make the agent's folder: %w", err))
	}
	config := filepath.Join(home, root+".yml")
	text := fmt.Sprintf(`%s.inputs:
  - type: %s
    id: bench
    paths: [%q]
output.logstash.hosts: [%q]
`, root, kind, file, l.Addr())
	if settings != defaults {
		text += `queue.mem: {events: 16384, flush.min_events: 4096, flush.timeout: 1s}
output.logstash: {loadbalance: true, worker: 2, pipelining: 4, bulk_max_size: 4096, compression_level: 3}
`
	}
	copied := filepath.Join(home, "copy")
	if settings == two {
		text += fmt.Sprintf("output.file: {path: %q, rotate_every_kb: 16777216}\n", copied)
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return fail(fmt.Errorf("cannot write the agent's configuration: %w", err))
	}
	began := time.Now()
	p, err := start(filepath.Join(home, "log"), nil, program, "-e", "-c", config, "--path.home", home)
	if err != nil {
		return fail(err)
	}
	defer p.stop()
	select {
	case <-all:
	case <-p.done:
		return fail(p.failed("ended by itself"))
	case <-time.After(patience):
		return fail(p.failed(fmt.Sprintf("shipped %d of %d lines in %v", got.Load(), lines, patience)))
	}
	if settings == two {
		if err := written(copied, lines, p); err != nil {
			return fail(err)
		}
	}
	m := measure{Events: lines, Seconds: time.Since(began).Seconds()}
	if m.CPUSeconds, err = p.cpu(); err != nil {
		return fail(err)
	}
	m.PeakRSS, err = p.peakRSS()
	return m, err
}

// written waits until the files of a folder have so many lines.
func written(dir string, lines int, p *process) error {
	got, at := 0, map[string]int64{}
	buf := make([]byte, 1<<20)
	for end := time.Now().Add(patience); got < lines; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			return p.failed(fmt.Sprintf("wrote %d of %d lines in %v", got, lines, patience))
		}
		names, _ := filepath.Glob(filepath.Join(dir, "*"))
		for _, name := range names {
			f, err := os.Open(name)
			if err != nil {
				return fmt.Errorf("cannot read what the agent has written: %w", err)
			}
			for {
				n, err := f.ReadAt(buf, at[name])
				got += bytes.Count(buf[:n], []byte{'\n'})
				at[name] += int64(n)
				if err != nil || n == 0 {
					break // the end, so far
				}
			}
			f.Close()
		}
	}
	return nil
}

// drain acknowledges every batch and closes all when it has seen want events.
func drain(batches <-chan *lj.Batch, got *atomic.Int64, want int64, all chan<- struct{}) {
	for b := range batches {
		n := int64(len(b.Events))
		b.ACK()
		if after := got.Add(n); after >= want && after-n < want {
			close(all)
		}
	}
}
