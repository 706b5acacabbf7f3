package embedded

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logstorage"
	"golang.org/x/sys/unix"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// benchBatch makes 1,000 lines of 60 services in 12 namespaces on 20 hosts, 20 ms of time, each host's from one file.
func benchBatch(seq uint64, start int64) *storage.Batch {
	rnd := rand.New(rand.NewPCG(seq, 1))
	b := &storage.Batch{Seq: seq, Events: make([]event.Event, 1000)}
	for i := range b.Events {
		host, service := rnd.IntN(20), rnd.IntN(60)
		offset := int64(seq)*200_000 + int64(i)*180
		e := event.Event{Time: start + int64(seq)*20_000_000 + int64(i)*20_000, Position: ledger.Position{
			Source: fmt.Sprintf("file:0f3a%02x-%016x", host, uint64(host)*0x9e3779b97f4a7c15), From: offset, To: offset + 120 + int64(rnd.IntN(60))}}
		e.ID = e.Position.ID()
		level := "info"
		if rnd.IntN(20) == 0 {
			level = "error"
		}
		msg := fmt.Sprintf("%s request %08x finished: status=%d path=/api/v1/orders/%d took %d ms", level, rnd.Uint32(), 200+rnd.IntN(4)*100, rnd.IntN(100_000), rnd.IntN(900))
		if seq%500 == 0 && i == 0 {
			msg += " zebrafish"
		}
		e.Fields = []event.Field{{Name: "message", Value: msg}, {Name: "level", Value: level},
			{Name: "kubernetes.namespace", Value: fmt.Sprint("ns-", service%12)}, {Name: "kubernetes.deployment.name", Value: fmt.Sprint("service-", service)},
			{Name: "kubernetes.pod.name", Value: fmt.Sprintf("service-%d-7d9f8c6b5-x%d", service, host)}, {Name: "host.name", Value: fmt.Sprint("node-", host)},
			{Name: "log.file.path", Value: fmt.Sprintf("/var/log/containers/service-%d.log", service)}, {Name: "trace.id", Value: fmt.Sprintf("%016x%016x", rnd.Uint64(), rnd.Uint64())}}
		b.Events[i] = e
	}
	return b
}

func rawBytes(b *storage.Batch) (n int64) {
	for i := range b.Events {
		for _, f := range b.Events[i].Fields {
			n += int64(len(f.Name) + len(f.Value))
		}
	}
	return n
}

func cpu() time.Duration {
	var r unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkAppend compares the store with logstorage alone, given the same fields of the events, without and with our own
// columns. An iteration is a batch of 1,000 rows. CPU includes what the background does until all is on disk.
func BenchmarkAppend(b *testing.B) {
	const distinct = 200
	start := time.Now().Add(-time.Hour).UnixNano()
	batches := make([]*storage.Batch, distinct)
	raw := int64(0)
	for i := range batches {
		batches[i] = benchBatch(uint64(i), start)
		raw += rawBytes(batches[i])
	}
	report := func(b *testing.B, used time.Duration, s *logstorage.Storage) {
		rows := float64(b.N * 1000)
		s.MustForceMerge("") // else the size depends on which parts were merged by chance
		var st logstorage.StorageStats
		s.UpdateStats(&st)
		disk := st.CompressedSmallPartSize + st.CompressedBigPartSize + st.IndexdbSizeBytes
		b.ReportMetric(rows/used.Seconds(), "rows/cpu-s")
		b.ReportMetric(float64(disk)/(float64(raw)/distinct*float64(b.N)), "disk/raw")
	}
	b.Run("store", func(b *testing.B) {
		s := open2(b, b.TempDir())
		defer s.Close()
		b.ResetTimer()
		before := cpu()
		for n := range b.N {
			batch := *batches[n%distinct]
			batch.Seq = uint64(n + 1)
			if err := s.Append(context.Background(), &batch); err != nil {
				b.Fatal(err)
			}
		}
		b.StopTimer()
		if err := s.Sync(context.Background()); err != nil {
			b.Fatal(err)
		}
		report(b, cpu()-before, s.classes[0].ls)
	})
	for _, own := range []bool{false, true} {
		b.Run(fmt.Sprintf("bare/own=%v", own), func(b *testing.B) {
			routeLogs(silent)
			s := logstorage.MustOpenStorage(b.TempDir()+"/ls", &logstorage.StorageConfig{Retention: 100 * time.Hour})
			defer s.MustClose()
			b.ResetTimer()
			before := cpu()
			var fields []logstorage.Field
			for n := range b.N {
				rows := logstorage.GetLogRows([]string{"kubernetes.namespace", "kubernetes.deployment.name"}, nil, nil, nil, "")
				for _, e := range batches[n%distinct].Events {
					fields = fields[:0]
					if own {
						fields = append(fields, logstorage.Field{Name: "_b", Value: fmt.Sprint(n)}, logstorage.Field{Name: "_id", Value: e.ID},
							logstorage.Field{Name: colSource, Value: e.Position.Source}, logstorage.Field{Name: colFrom, Value: fmt.Sprint(e.Position.From)}, logstorage.Field{Name: colTo, Value: fmt.Sprint(e.Position.To)})
					}
					for _, f := range e.Fields {
						if f.Name == "message" {
							f.Name = "_msg"
						}
						fields = append(fields, logstorage.Field{Name: f.Name, Value: f.Value})
					}
					rows.MustAdd(logstorage.TenantID{}, e.Time, fields, nil)
				}
				s.MustAddRows(rows)
				logstorage.PutLogRows(rows)
			}
			b.StopTimer()
			s.DebugFlush()
			var st logstorage.StorageStats
			for s.UpdateStats(&st); st.InmemoryParts > 0; s.UpdateStats(&st) {
				time.Sleep(syncPoll)
				st.Reset()
			}
			report(b, cpu()-before, s)
		})
	}
}

func open2(b *testing.B, dir string) *Store {
	s, err := Open(dir, Options{Log: silent})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkSearch asks a store of a million rows, a thousand of them at a time.
func BenchmarkSearch(b *testing.B) {
	s := open2(b, b.TempDir())
	defer s.Close()
	start := time.Now().Add(-6 * time.Hour).UnixNano()
	const batches = 1000
	for seq := uint64(1); seq <= batches; seq++ {
		if err := s.Append(context.Background(), benchBatch(seq, start)); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Sync(context.Background()); err != nil {
		b.Fatal(err)
	}
	rows := func(name string, r storage.RowsRequest, want int) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				n := 0
				if _, err := s.Rows(context.Background(), r, func(*event.Event) error { n++; return nil }); err != nil || n != want {
					b.Fatalf("%d rows, want %d: %v", n, want, err)
				}
			}
		})
	}
	rows("newest100", storage.RowsRequest{Limit: 100}, 100)
	rows("oldest100", storage.RowsRequest{Limit: 100, Asc: true}, 100)
	rows("newest1000", storage.RowsRequest{Limit: 1000}, 1000)
	rows("newest100errors", storage.RowsRequest{Limit: 100, Search: storage.Search{Expr: query.Exact{Field: "level", Value: "error"}}}, 100)
	rows("rareWord", storage.RowsRequest{Limit: 100, Search: storage.Search{Expr: query.Phrase{Field: "message", Text: "zebrafish"}}}, 2)
	rows("all", storage.RowsRequest{Limit: 2_000_000}, batches*1000)
	rows("allMessages", storage.RowsRequest{Limit: 2_000_000, Fields: []string{"message"}}, batches*1000)
	for name, e := range map[string]query.Expr{"phrase": query.Phrase{Field: "message", Text: "status=500"}, "everything": nil} {
		b.Run("count/"+name, func(b *testing.B) {
			for range b.N {
				if n, err := s.Count(context.Background(), storage.Search{Expr: e}); err != nil || n < batches {
					b.Fatal(n, err)
				}
			}
		})
	}
	b.Run("hits", func(b *testing.B) {
		for range b.N {
			if _, err := s.Hits(context.Background(), storage.HitsRequest{Step: time.Second, By: []string{"level"}}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("fields", func(b *testing.B) {
		for range b.N {
			if _, err := s.Fields(context.Background(), storage.Search{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	ids := make([]string, 0, idsAtOnce)
	for seq := uint64(100); len(ids) < idsAtOnce-48; seq++ {
		for _, e := range benchBatch(seq, start).Events {
			ids = append(ids, e.ID)
		}
	}
	for name, list := range map[string][]string{"few": ids[:20], "2000": ids, "absent20": strings.Fields(strings.Repeat("absent ", 20))} {
		b.Run("has/"+name, func(b *testing.B) {
			for range b.N {
				if _, err := s.Has(context.Background(), 0, list); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
