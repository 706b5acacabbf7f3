package elasticsearch

import (
	"bytes"
	"context"
	"fmt"
	"strings"
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

// BenchmarkAppend stores rows through the store, and the same documents through esutil.BulkIndexer alone, in turn.
func BenchmarkAppend(b *testing.B) {
	rows := func(b *testing.B) { b.ReportMetric(float64(benchRows*b.N)/b.Elapsed().Seconds(), "rows/s") }
	b.Run("store", func(b *testing.B) {
		o := options(fmt.Sprint(b.Name(), b.N, time.Now()))
		s, err := Open(o)
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		b.ReportAllocs()
		b.ResetTimer()
		for i := range b.N {
			if err := s.Append(context.Background(), benchBatch(i)); err != nil {
				b.Fatal(err)
			}
		}
		rows(b)
	})
	b.Run("esutil", func(b *testing.B) {
		o := options(fmt.Sprint(b.Name(), b.N, time.Now()))
		s, err := Open(o)
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		if err := s.prepare(context.Background()); err != nil {
			b.Fatal(err)
		}
		index := s.name.Of(0, "", &event.Event{Time: time.Now().UnixNano()})
		if err := s.ensure(context.Background(), index, 0); err != nil {
			b.Fatal(err)
		}
		es, err := elastic.NewClient(elastic.Config{Addresses: cluster.Addresses})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		b.ResetTimer()
		bi, err := esutil.NewBulkIndexer(esutil.BulkIndexerConfig{Client: es, Index: index, NumWorkers: 2})
		if err != nil {
			b.Fatal(err)
		}
		var enc encoder
		var line []byte
		for i := range b.N {
			batch := benchBatch(i)
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
		rows(b)
	})
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
