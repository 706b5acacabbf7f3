package elasticsearch

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	elastic "github.com/elastic/go-elasticsearch/v8"
	"github.com/elastic/go-elasticsearch/v8/esutil"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/storage"
)

const benchRows = 2000 // of a batch

// benchBatch is what an agent sends of a web server.
func benchBatch(seq int) *storage.Batch {
	b := &storage.Batch{Seq: uint64(seq)}
	for i := range benchRows {
		n := seq*benchRows + i
		e := event.Event{Time: time.Now().UnixNano(), Position: ledger.Position{Source: "file:1f2e3d4c5b6a7988", From: int64(n) * 200, To: int64(n)*200 + 200}}
		e.ID = e.Position.ID()
		for _, f := range [][2]string{
			{"message", fmt.Sprintf(`10.0.%d.%d - - [02/Jan/2026:03:04:05 +0000] "GET /index/%d.html HTTP/1.1" %d %d "-" "curl/7.88.1" a usual line`, n%7, n%250, n%900, 200+n%5, n%5000)},
			{"log.file.path", "/k8spods/1/volumes/kubernetes.io~empty-dir/applog-a-b/app.log"}, {"host.name", "node-1"}, {"kubernetes.namespace", "shop"},
			{"kubernetes.pod.name", fmt.Sprintf("web-%d", n%20)}, {"kubernetes.container.name", "web"}, {"level", "info"}, {"agent.type", "tallybeat"}, {"http.response.status_code", fmt.Sprint(200 + n%5)},
		} {
			e.Put(f[0], f[1])
		}
		b.Events = append(b.Events, e)
	}
	return b
}

// BenchmarkAppend stores rows through the store, and the same documents through esutil.BulkIndexer alone into an index of the same mapping, with
// as many workers, in pairs that take turns in who is first. vs-esutil is the median of the pairs' ratios of speed, and the CPU times are those of
// this process, without Elasticsearch.
func BenchmarkAppend(b *testing.B) {
	const batches = 20
	var ratios, ours, theirs []float64
	var cpu [2]time.Duration
	once := func(who int) float64 {
		run := [2]func(*testing.B, []*storage.Batch){appendStore, appendIndexer}[who]
		list := make([]*storage.Batch, batches)
		for i := range list {
			list[i] = benchBatch(i)
		}
		begun, used := time.Now(), cpuTime(b)
		run(b, list)
		cpu[who] += cpuTime(b) - used
		return batches * benchRows / time.Since(begun).Seconds()
	}
	once(0)
	once(1) // both warm
	cpu = [2]time.Duration{}
	b.ResetTimer()
	for i := range b.N {
		var speed [2]float64
		speed[i%2] = once(i % 2)
		speed[1-i%2] = once(1 - i%2)
		ratios, ours, theirs = append(ratios, speed[0]/speed[1]), append(ours, speed[0]), append(theirs, speed[1])
	}
	for _, list := range [][]float64{ratios, ours, theirs} {
		slices.Sort(list)
	}
	rows := float64(batches * benchRows * b.N)
	b.ReportMetric(ratios[len(ratios)/2], "vs-esutil")
	b.ReportMetric(ratios[0], "vs-esutil-worst")
	b.ReportMetric(ours[len(ours)/2], "rows/s")
	b.ReportMetric(theirs[len(theirs)/2], "esutil-rows/s")
	b.ReportMetric(float64(cpu[0].Microseconds())/rows, "µs-cpu/row")
	b.ReportMetric(float64(cpu[1].Microseconds())/rows, "esutil-µs-cpu/row")
}

// cpuTime is what this process has used so far.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// openBench opens a store with indices of its own, the first of which is there.
func openBench(b *testing.B) (*Store, string) {
	s, err := Open(options(fmt.Sprint(b.Name(), time.Now())))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	if err := s.prepare(context.Background()); err != nil {
		b.Fatal(err)
	}
	index := s.name.Of(0, "", &event.Event{Time: time.Now().UnixNano()})
	if err := s.ensure(context.Background(), index, time.Now().UnixNano()); err != nil {
		b.Fatal(err)
	}
	s.caughtUp = true
	return s, index
}

func appendStore(b *testing.B, list []*storage.Batch) {
	s, _ := openBench(b)
	for _, batch := range list {
		if err := s.Append(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
	}
}

func appendIndexer(b *testing.B, list []*storage.Batch) {
	_, index := openBench(b)
	es, err := elastic.NewClient(elastic.Config{Addresses: cluster.Addresses})
	if err != nil {
		b.Fatal(err)
	}
	bi, err := esutil.NewBulkIndexer(esutil.BulkIndexerConfig{Client: es, Index: index, NumWorkers: 2})
	if err != nil {
		b.Fatal(err)
	}
	var enc encoder
	var line []byte
	for _, batch := range list {
		for k := range batch.Events {
			line = enc.append(line[:0], index, "", 0, batch.Seq, &batch.Events[k])
			_, doc, _ := bytes.Cut(line, []byte("\n"))
			item := esutil.BulkIndexerItem{Action: "create", DocumentID: batch.Events[k].ID, Body: strings.NewReader(string(doc))}
			if err := bi.Add(context.Background(), item); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := bi.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
	if n := bi.Stats().NumFailed; n > 0 {
		b.Fatalf("%d documents failed", n)
	}
}

// BenchmarkRows reads all that is stored, as an export does.
func BenchmarkRows(b *testing.B) {
	const batches = 100
	s, err := Open(options(fmt.Sprint(b.Name(), b.N, time.Now())))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for i := range batches {
		if err := s.Append(context.Background(), benchBatch(i)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		n := 0
		_, err := s.Rows(context.Background(), storage.RowsRequest{Limit: 10_000_000, Asc: true}, func(*event.Event) error { n++; return nil })
		if err != nil || n != batches*benchRows {
			b.Fatalf("%d rows, %v", n, err)
		}
	}
	b.ReportMetric(float64(batches*benchRows*b.N)/b.Elapsed().Seconds(), "rows/s")
}
