package applog

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	input "github.com/elastic/beats/v7/filebeat/input/v2"
	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/logp"
	"golang.org/x/sys/unix"

	"github.com/tallylog/tally/inputs/positions"
)

// counter is a pipeline that acknowledges in batches, as an output does, and keeps nothing.
type counter struct {
	mu   sync.Mutex
	n    int
	want int
	done chan struct{}
}

func (c *counter) Connect() (beat.Client, error) { return c.ConnectWith(beat.ClientConfig{}) }

func (c *counter) ConnectWith(cfg beat.ClientConfig) (beat.Client, error) {
	return &counterClient{c: c, acker: cfg.ACKHandler}, nil
}

type counterClient struct {
	c     *counter
	acker beat.ACKer
	held  int
}

func (c *counterClient) Publish(e beat.Event) {
	c.acker.AddEvent(e, true)
	c.held++
	p := c.c
	p.mu.Lock()
	p.n++
	end := p.n >= p.want
	p.mu.Unlock()
	if c.held >= 1000 || end {
		c.acker.ACKEvents(c.held)
		c.held = 0
	}
	if end {
		close(p.done)
	}
}

func (c *counterClient) PublishAll(es []beat.Event) {
	for _, e := range es {
		c.Publish(e)
	}
}

func (c *counterClient) Close() error { return nil }

func cpu() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchmark(b *testing.B, files int, options map[string]any) {
	dir := b.TempDir()
	line := strings.Repeat("x", 170) + " line %09d ends here\n" // 194 bytes
	perFile := max(1, b.N/files)
	for i := range files {
		var text []byte
		for j := range perFile {
			text = fmt.Appendf(text, line, i*perFile+j)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i, ".log")), text, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	store, err := positions.Open(filepath.Join(b.TempDir(), "registry"))
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	options["paths"] = []string{filepath.Join(dir, "*.log")}
	in, err := Plugin(logp.NewLogger("bench"), store, Options{}).Manager.Create(common.MustNewConfigFrom(options))
	if err != nil {
		b.Fatal(err)
	}
	p := &counter{want: files * perFile, done: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	b.SetBytes(int64(len(fmt.Sprintf(line, 0))))
	b.ReportAllocs()
	b.ResetTimer()
	start := cpu()
	go func() { ended <- in.Run(input.Context{Logger: logp.NewLogger("bench"), Cancelation: ctx}, p) }()
	<-p.done
	b.ReportMetric(float64(p.want)/(cpu()-start).Seconds(), "lines/cpu-s")
	b.StopTimer()
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}

func BenchmarkFileToEvent(b *testing.B) {
	b.Run("one file", func(b *testing.B) { benchmark(b, 1, map[string]any{}) })
	b.Run("100 files", func(b *testing.B) { benchmark(b, 100, map[string]any{}) })
	b.Run("utf-8 checked", func(b *testing.B) { benchmark(b, 1, map[string]any{"encoding": "utf-8"}) })
}

// BenchmarkIdle reports the CPU that 10,000 files cost while nothing is written to them.
func BenchmarkIdle(b *testing.B) {
	dir := b.TempDir()
	const files = 10_000
	for i := range files {
		name := filepath.Join(dir, fmt.Sprint(i/5000), fmt.Sprint(i, ".log"))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(name, fmt.Appendf(nil, "line %d\n", i), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	store, err := positions.Open(filepath.Join(b.TempDir(), "registry"))
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	in, err := Plugin(logp.NewLogger("bench"), store, Options{}).Manager.Create(common.MustNewConfigFrom(map[string]any{
		"paths": []string{filepath.Join(dir, "*/*.log")},
	}))
	if err != nil {
		b.Fatal(err)
	}
	p := &counter{want: files, done: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	start := cpu()
	go func() { ended <- in.Run(input.Context{Logger: logp.NewLogger("bench"), Cancelation: ctx}, p) }()
	<-p.done
	b.ReportMetric((cpu()-start).Seconds()*1000, "cpu-ms-to-start")
	b.ResetTimer()
	start = cpu()
	begin := time.Now()
	for range b.N {
		time.Sleep(10 * time.Second)
	}
	b.ReportMetric((cpu()-start).Seconds()/time.Since(begin).Seconds()*100, "%-of-a-core")
	b.StopTimer()
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}
