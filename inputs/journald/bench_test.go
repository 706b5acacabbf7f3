package journald

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/elastic/beats/v7/filebeat/input/journald/pkg/journalfield"
	"github.com/elastic/beats/v7/filebeat/input/journald/pkg/journalread"
	input "github.com/elastic/beats/v7/filebeat/input/v2"
	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/common/backoff"
	"github.com/elastic/beats/v7/libbeat/logp"
)

const benchEntries = 100_000

// benchJournal writes entries such as Docker's driver makes on a Kubernetes node, of 20 containers in turn.
var benchJournal = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "journal-bench")
	if err != nil {
		panic(err)
	}
	return filepath.Join(dir, "system.journal")
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir := filepath.Dir(benchJournal()); dir != "" {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

func writeBench(b *testing.B) string {
	path := benchJournal()
	if isFile(path) {
		return path
	}
	x := new(export)
	for i := range benchEntries {
		c := i % 20
		x.add("MESSAGE", fmt.Sprintf("2024-05-01T10:00:00.%06dZ INFO request handled path=/api/v1/items/%d status=200 duration=%dms", i, i*7, i%300),
			"PRIORITY", "6", "_TRANSPORT", "journal", "_UID", "0", "_GID", "0", "_COMM", "dockerd", "_EXE", "/usr/bin/dockerd",
			"_CMDLINE", "/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock", "_CAP_EFFECTIVE", "3fffffffff",
			"_SYSTEMD_CGROUP", "/system.slice/docker.service", "_SYSTEMD_UNIT", "docker.service", "_SYSTEMD_SLICE", "system.slice",
			"_PID", "1234", "_MACHINE_ID", testBoot, "_HOSTNAME", "node1", "SYSLOG_IDENTIFIER", fmt.Sprintf("c%d", c),
			"CONTAINER_ID", fmt.Sprintf("%012x", c), "CONTAINER_ID_FULL", fmt.Sprintf("%064x", c), "CONTAINER_TAG", fmt.Sprintf("%012x", c),
			"CONTAINER_NAME", fmt.Sprintf("k8s_app_pod-%d_default_11111111-2222-3333-4444-%012x_0", c, c),
			"_SOURCE_REALTIME_TIMESTAMP", fmt.Sprint(baseTime+i))
	}
	x.write(b, path)
	return path
}

func cpuSeconds() float64 {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return float64(r.Utime.Sec+r.Stime.Sec) + float64(r.Utime.Usec+r.Stime.Usec)/1e6
}

// BenchmarkReader takes the entries out of libsystemd and unpacks them.
func BenchmarkReader(b *testing.B) {
	benchRead(b, func(*entry) {})
}

// BenchmarkReaderEvent makes events of them, too.
func BenchmarkReaderEvent(b *testing.B) {
	c := newConverter(&config{})
	benchRead(b, func(e *entry) { c.event(e, time.Time{}) })
}

// BenchmarkReaderEntryFields makes events with the entry's own fields, as the seed's configuration has it.
func BenchmarkReaderEntryFields(b *testing.B) {
	c := newConverter(&config{EntryFields: &entryFields{Target: "journal", CleanNames: true, Numbers: true, Type: "journal", Beat: true}})
	benchRead(b, func(e *entry) { c.event(e, time.Time{}) })
}

func benchRead(b *testing.B, f func(*entry)) {
	// systemd-journal-remote rotates by itself.
	files, err := filepath.Glob(filepath.Join(filepath.Dir(writeBench(b)), "*.journal"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	begin, n := cpuSeconds(), 0
	var e entry
	for range b.N {
		r, err := openFiles(files, place{})
		if err != nil {
			b.Fatal(err)
		}
		for {
			batch, err := r.read()
			if err != nil {
				b.Fatal(err)
			}
			if len(batch) == 0 {
				break
			}
			for len(batch) > 0 {
				if batch, err = e.unpack(batch); err != nil {
					b.Fatal(err)
				}
				f(&e)
				n++
			}
		}
		r.close()
	}
	b.ReportMetric(float64(n)/(cpuSeconds()-begin), "entries/CPU-s")
}

// memory is a store of positions that keeps nothing.
type memory struct{}

func (memory) Get(string, any) (bool, error) { return false, nil }
func (memory) Set(string, any) error         { return nil }
func (memory) Sync() error                   { return nil }

func (memory) Range(string, func(string, []byte) error) error { return nil }

// counting is a pipeline that acknowledges in batches, and counts.
type counting struct {
	handler beat.ACKer
	n       int
	done    context.CancelFunc
}

func (c *counting) Connect() (beat.Client, error) { return c, nil }
func (c *counting) ConnectWith(cfg beat.ClientConfig) (beat.Client, error) {
	c.handler = cfg.ACKHandler
	return c, nil
}
func (c *counting) PublishAll([]beat.Event) {}
func (c *counting) Close() error            { return nil }
func (c *counting) Publish(e beat.Event) {
	c.handler.AddEvent(e, true)
	if c.n++; c.n%1000 == 0 {
		c.handler.ACKEvents(1000)
	}
	if c.n == benchEntries {
		c.done()
	}
}

// BenchmarkInput runs the whole input: reading, matching, events, positions, acknowledgements.
func BenchmarkInput(b *testing.B) {
	path := writeBench(b)
	b.ReportAllocs()
	b.ResetTimer()
	begin := cpuSeconds()
	for range b.N {
		in, err := Plugin(logp.NewLogger("bench"), memory{}, Options{}).Manager.Create(common.MustNewConfigFrom(common.MapStr{"paths": []string{path}}))
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		if err := in.Run(input.Context{Logger: logp.NewLogger("bench"), Cancelation: ctx}, &counting{done: cancel}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*benchEntries)/(cpuSeconds()-begin), "entries/CPU-s")
}

// BenchmarkFilebeat does what Filebeat's journald input does between the journal and the pipeline, with its own packages:
// compare with BenchmarkInput, which does more.
func BenchmarkFilebeat(b *testing.B) {
	dir := filepath.Dir(writeBench(b))
	b.ReportAllocs()
	b.ResetTimer()
	begin := cpuSeconds()
	log := logp.NewLogger("bench")
	for range b.N {
		ctx := context.Background()
		r, err := journalread.Open(log, dir, backoff.NewExpBackoff(ctx.Done(), time.Second, time.Second))
		if err != nil {
			b.Fatal(err)
		}
		if err := r.Seek(journalread.SeekHead, ""); err != nil {
			b.Fatal(err)
		}
		for range benchEntries {
			e, err := r.Next(ctx)
			if err != nil {
				b.Fatal(err)
			}
			fields := journalfield.NewConverter(log, nil).Convert(e.Fields)
			fields["event"] = common.MapStr{"kind": "event", "created": time.Now()}
		}
		_ = r.Close()
	}
	b.ReportMetric(float64(b.N*benchEntries)/(cpuSeconds()-begin), "entries/CPU-s")
}
