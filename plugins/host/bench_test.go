package host_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/plugins/pluginapi"
)

// ten is the plugin of the benchmark: this test program itself, started as a plugin. It gets all fields and sets one.
type ten struct{}

func (ten) Describe() pluginapi.Description {
	return pluginapi.Description{Name: "ten", Version: "1", Reads: []string{"*"}, Writes: []string{"tag"}}
}
func (ten) Configure(pluginapi.Config) error { return nil }
func (ten) Process(_ context.Context, events []*pluginapi.Event) error {
	for _, e := range events {
		if m, _ := e.Get("message"); strings.Contains(m, "status=300") {
			e.Set("tag", "added")
		}
	}
	return nil
}

// BenchmarkRoundTrip is an event of ten fields to a plugin and back, with one more field; both processes' CPU is given beside the time.
func BenchmarkRoundTrip(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 64, 512, 2048} {
		b.Run(fmt.Sprintf("batch=%d", n), func(b *testing.B) {
			p, s, _, err := step(b, self, "memory: 1GiB\n")
			if err != nil {
				b.Fatal(err)
			}
			events := make([]*event.Event, n)
			for i := range events {
				events[i] = &event.Event{Time: time.Now().UnixNano()}
				for _, f := range []event.Field{
					{Name: "message", Value: "2026-11-22T00:00:00.000Z INFO  [svc-21] seq=000000000 method=GET path=/api/v1/bravo/oscar status=300 bytes=70523 dur=351.745ms trace=79690975fbde15b0 user=u63418 msg=\"alpha juliet golf handled\""},
					{Name: "log.offset", Value: strconv.Itoa(194 * i), Kind: event.Number}, {Name: "log.file.path", Value: "/var/log/app/x.log"}, {Name: "host.name", Value: "vm"}, {Name: "agent.name", Value: "vm"},
					{Name: "agent.type", Value: "filebeat"}, {Name: "agent.version", Value: "7.17.29"}, {Name: "stream", Value: "stdout"}, {Name: "kubernetes.pod.name", Value: "web-1"}, {Name: "kubernetes.namespace", Value: "default"},
				} {
					events[i].PutField(f)
				}
			}
			pid := s.List()[0].PID
			host, plugin := cpu(b, os.Getpid()), cpu(b, pid)
			b.ReportAllocs()
			rounds := 0
			for b.Loop() {
				rounds++
				for i, o := range p.ProcessGroup(events) {
					if o.Err != nil {
						b.Fatal(o.Err)
					}
					events[i].Fields = events[i].Fields[:10]
				}
			}
			per := float64(rounds * n)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/per, "ns/event")
			b.ReportMetric(float64(cpu(b, os.Getpid())-host)/per, "cpu-host-ns/event")
			b.ReportMetric(float64(cpu(b, pid)-plugin)/per, "cpu-plugin-ns/event")
		})
	}
}

// cpu is the CPU time of a process, in nanoseconds.
func cpu(b *testing.B, pid int) int64 {
	if pid == os.Getpid() {
		var r syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
			b.Fatal(err)
		}
		return r.Utime.Nano() + r.Stime.Nano()
	}
	var total int64
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, t := range tasks {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", pid, t.Name()))
		n, _, _ := strings.Cut(string(text), " ")
		ns, _ := strconv.ParseInt(n, 10, 64)
		total += ns
	}
	return total
}
