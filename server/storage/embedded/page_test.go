package embedded

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/storage"
)

// TestWidePages holds that rows too large for a page to hold many come in order and once, of one time and of many, and that
// a page stays within its memory.
func TestWidePages(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	defer s.Close()
	const rows = 90
	first := line(1, 0, 10).Time
	for seq := range uint64(rows) {
		e := line(seq, 0, 10)
		e.Put("message", strings.Repeat(fmt.Sprintf("%d ", seq), 1_000_000/len(fmt.Sprintf("%d ", seq))))
		if e.Time = first; seq%3 > 0 {
			e.Time += int64(seq) * 1e6
		}
		if err := s.Append(context.Background(), &storage.Batch{Seq: seq, Events: []event.Event{e}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, asc := range []bool{true, false} {
		var got []key
		_, err := s.Rows(context.Background(), storage.RowsRequest{Limit: 1000, Asc: asc}, func(e *event.Event) error {
			got = append(got, key{time: e.Time, id: e.ID})
			return nil
		})
		sorted := slices.IsSortedFunc(got, func(a, b key) int {
			if asc {
				return int(a.time - b.time)
			}
			return int(b.time - a.time)
		})
		ids := map[string]bool{}
		for _, k := range got {
			ids[k.id] = true
		}
		if err != nil || len(got) != rows || len(ids) != rows || !sorted {
			t.Errorf("asc %v: %d rows, %d ids, sorted %v, %v", asc, len(got), len(ids), sorted, err)
		}
	}
}

// TestPageBound fills a page with far more than it may hold.
func TestPageBound(t *testing.T) {
	p := newPage(&storage.RowsRequest{Asc: true})
	p.reset(1000, key{}, false)
	most := 0
	for n := range 300 {
		k := key{time: int64(n * 7 % 300), id: "x"}
		p.rows = append(p.rows, pageRow{event: event.Event{ID: k.id, Time: k.time}, bytes: 1 << 20})
		if p.bytes += 1 << 20; p.bytes > 2*pageBytes {
			p.trim()
		}
		most = max(most, p.bytes)
	}
	p.finish()
	if most > 2*pageBytes+1<<20 || !p.overflowed || len(p.rows) != pageBytes>>20 || p.rows[len(p.rows)-1].event.Time != pageBytes>>20-1 {
		t.Errorf("%d bytes at most, %d rows, overflowed %v", most, len(p.rows), p.overflowed)
	}
}
