package embedded

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/storage"
)

// TestCounts: days that are over are read once, also over a restart; a late line makes a day count again; and a count that has no time
// for it says so, while the rows of each day are known without one.
func TestCounts(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	now := time.Now().UTC()
	b := &storage.Batch{Seq: 1}
	for n := range 90 {
		b.Events = append(b.Events, classed(1, n, now.AddDate(0, 0, -n%3), "x"))
	}
	appended := func(b *storage.Batch) {
		t.Helper()
		if err := errors.Join(s.Append(t.Context(), b), s.Sync(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	appended(b)
	check := func(want ...int64) {
		t.Helper()
		for _, counted := range []bool{true, false} {
			parts, err := s.Partitions(t.Context(), counted)
			if err != nil || len(parts) != len(want) {
				t.Fatalf("%+v, %v", parts, err)
			}
			for i, p := range parts {
				if p.Rows != want[i] || counted != (len(p.Shares) == 2) || counted && p.Shares[0].Rows+p.Shares[1].Rows != want[i] {
					t.Errorf("%+v, want %d rows", p, want[i])
				}
			}
		}
	}
	check(30, 30, 30)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Partitions(over, true); !errors.Is(err, context.Canceled) { // the current day is read each time
		t.Errorf("a count without time: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir, Options{After: 1})
	if len(s.counts) != 2 {
		t.Errorf("after a restart %d days are known", len(s.counts))
	}
	old := s.counts["default/"+now.AddDate(0, 0, -1).Format(dayName)]
	old.Shares[0].Namespace = "from the file"
	parts, err := s.Partitions(t.Context(), true)
	if err != nil || parts[1].Shares[0].Namespace != "from the file" {
		t.Errorf("%+v, %v", parts, err)
	}
	appended(&storage.Batch{Seq: 2, Events: []event.Event{classed(2, 0, now.AddDate(0, 0, -1), "x")}})
	check(30, 31, 30)
	if err := errors.Join(s.Close(), os.WriteFile(filepath.Join(dir, countsFile), []byte("{torn"), 0o600)); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir, Options{After: 2})
	check(30, 31, 30)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkRemove removes days of a class that has many, and reports the longest that a search waits for it.
func BenchmarkRemove(b *testing.B) {
	s, err := Open(b.TempDir(), Options{Log: silent})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	now := time.Now().UTC()
	const days, rows = 60, 2_000
	for seq := range uint64(rows / 20) {
		x := &storage.Batch{Seq: seq + 1}
		for n := range 20 * days {
			x.Events = append(x.Events, classed(seq, n, now.AddDate(0, 0, -n%days), "x"))
		}
		if err := s.Append(b.Context(), x); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Sync(b.Context()); err != nil {
		b.Fatal(err)
	}
	var longest time.Duration
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			begun := time.Now()
			if _, err := s.Count(context.Background(), storage.Search{Start: now.Add(-time.Hour).UnixNano()}); err != nil {
				b.Error(err)
			}
			longest = max(longest, time.Since(begun))
		}
	}()
	n := 0
	b.ResetTimer()
	for range b.N {
		if n++; n >= days {
			b.Fatal("no day is left")
		}
		if err := s.Remove(b.Context(), "default/"+now.AddDate(0, 0, -n).Format(dayName)); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	close(stop)
	<-done
	b.ReportMetric(float64(longest.Milliseconds()), "ms-longest-search")
}
