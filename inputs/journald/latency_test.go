package journald

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/elastic/beats/v7/libbeat/common"
)

// BenchmarkLatency writes single entries to an idle journal, with systemd-journal-remote, and measures the time from the write until the
// event is in the pipeline. The time that systemd-journal-remote takes itself is in it.
func BenchmarkLatency(b *testing.B) {
	path := filepath.Join(b.TempDir(), "system.journal")
	cmd := exec.Command(remoteCommand(b), "-o", path, "-")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = in.Close()
		_ = cmd.Wait()
	}()
	x := new(export)
	write := func() {
		x.add("MESSAGE", fmt.Sprint("entry ", x.n))
		if _, err := x.WriteTo(in); err != nil {
			b.Fatal(err)
		}
	}
	r := start(b, common.MapStr{"paths": []string{path}}, setup{})
	write()
	r.wait(b, 1)
	var took []time.Duration
	for i := range max(200, b.N) {
		time.Sleep(20 * time.Millisecond)
		begin := time.Now()
		write()
		r.wait(b, i+2)
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
}
