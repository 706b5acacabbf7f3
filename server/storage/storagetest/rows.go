package storagetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// testOrder holds the total order: by time, then by position as a number, then by id.
func testOrder(t *testing.T, h *harness) {
	other := h.ev(time.Second, 9, "n=5")
	other.Position.Source = "zz"
	other.ID = other.Position.ID()
	nine := h.ev(time.Second, 9, "n=5")
	events := []event.Event{
		h.ev(0, 2000, "n=1"),
		h.ev(time.Second-1, 1, "n=2"),
		{ID: "a", Time: h.base + int64(time.Second), Fields: []event.Field{{Name: "n", Value: "3"}}},
		{ID: "b", Time: h.base + int64(time.Second), Fields: []event.Field{{Name: "n", Value: "4"}}},
		nine, other,
		h.ev(time.Second, 10, "n=6"),
		h.ev(time.Second, 1000, "n=7"),
		h.ev(time.Hour-time.Second, 0, "n=8"),
		h.ev(-50*time.Hour, 0, "n=0"),
	}
	h.put(slices.Concat(events[5:], events[:2])...)
	h.put(events[2:5]...)
	r := all()
	r.Asc = true
	rows, _ := h.rows(r)
	equal(t, "oldest first", numbers(rows), "0 1 2 3 4 5 5 6 7 8")
	if rows[5].ID > rows[6].ID {
		t.Errorf("id %s stands before %s", rows[5].ID, rows[6].ID)
	}
	newest, _ := h.rows(all())
	slices.Reverse(newest)
	for i := range rows {
		if rows[i].ID != newest[i].ID {
			t.Errorf("newest first is not the reverse of oldest first at %d", i)
		}
	}
	for limit := 1; limit <= len(rows); limit++ {
		r.Limit = limit
		some, _ := h.rows(r)
		equal(t, fmt.Sprint("limit ", limit), numbers(some), numbers(rows[:limit]))
	}
}

// spread appends n events at times of very different density, in batches of 500, in no order.
func (h *harness) spread(n int) (events []event.Event) {
	for i := range n {
		j := i * 7919 % n
		offset := time.Duration(j) * time.Millisecond
		switch {
		case j%5 == 0:
			offset = -time.Duration(j) * 20 * time.Second
		case j%7 == 0:
			offset = time.Duration(j/500) * time.Second
		}
		events = append(events, h.ev(offset, j, fmt.Sprintf("n=%d", j), fmt.Sprintf("message=line %d", j), fmt.Sprintf("third=%d", j%3), fmt.Sprintf("app=a%d", j%40)))
	}
	for chunk := range slices.Chunk(events, 500) {
		h.seq++
		h.ok(h.Append(context.Background(), &storage.Batch{Seq: h.seq, Events: chunk}))
	}
	h.visible(0)
	slices.SortFunc(events, func(a, b event.Event) int {
		if a.Time != b.Time {
			return int(a.Time - b.Time)
		}
		return int(a.Position.From - b.Position.From)
	})
	return events
}

// pages reads a request to its end in pages of n rows.
func (h *harness) pages(r storage.RowsRequest, n int, between func()) (rows []event.Event) {
	h.t.Helper()
	r.Limit = n
	for {
		page, cursor := h.rows(r)
		if len(page) > n {
			h.t.Fatalf("%d rows in a page of %d", len(page), n)
		}
		rows = append(rows, page...)
		if cursor == "" {
			return rows
		}
		r.Cursor = cursor
		if between != nil {
			between()
		}
	}
}

func ids(rows []event.Event) (list []string) {
	for i := range rows {
		list = append(list, rows[i].ID)
	}
	return list
}

func testPaging(t *testing.T, h *harness) {
	events := h.spread(6000)
	for _, asc := range []bool{true, false} {
		r := all()
		r.Asc = asc
		for _, n := range []int{700, 6000, 7000} {
			if rows := h.pages(r, n, nil); !slices.Equal(ids(rows), ids(events)) {
				t.Errorf("asc %v: pages of %d give %d rows, or another order", asc, n, len(rows))
			}
		}
		r.Expr = query.Exact{Field: "third", Value: "1"}
		r.Start, r.End = h.base-int64(10*time.Hour), h.base+int64(3*time.Second)
		var want []string
		for i := range events {
			if e := &events[i]; get(e, "third") == "1" && e.Time >= r.Start && e.Time < r.End {
				want = append(want, e.ID)
			}
		}
		if rows := h.pages(r, 101, nil); !slices.Equal(ids(rows), want) {
			t.Errorf("asc %v: pages of a search give %d rows of %d, or another order", asc, len(rows), len(want))
		}
		slices.Reverse(events)
	}
}

// testPagingWhileAppending holds that what was there before the first page comes exactly once, whatever arrives.
func testPagingWhileAppending(t *testing.T, h *harness) {
	events := h.spread(3000)
	for _, asc := range []bool{true, false} {
		r := all()
		r.Asc = asc
		n := 0
		rows := h.pages(r, 400, func() {
			n++
			fresh := make([]event.Event, 20)
			for i := range fresh {
				fresh[i] = h.ev(time.Duration(i*n)*150*time.Millisecond, 1_000_000*n+i, "message=fresh")
				fresh[i].Position.Source = fmt.Sprint("fresh", asc)
				fresh[i].ID = fresh[i].Position.ID()
			}
			h.put(fresh...)
		})
		old := slices.DeleteFunc(rows, func(e event.Event) bool { return get(&e, "message") == "fresh" })
		sameIDs(t, old, events)
	}
}

// testOneTime holds the order and the bounds of pages where very many rows have one and the same time.
func testOneTime(t *testing.T, h *harness) {
	const n = 30_000
	var batch []event.Event
	for i := range n {
		batch = append(batch, h.ev(time.Second, i, fmt.Sprintf("n=%d", i), "message=the same time"))
		if len(batch) == 2000 {
			h.seq++
			h.ok(h.Append(context.Background(), &storage.Batch{Seq: h.seq, Events: batch}))
			batch = batch[:0]
		}
	}
	h.put(h.ev(0, n, "n=before"), h.ev(2*time.Second, n+1, "n=after"))
	r := all()
	r.Asc = true
	r.Fields = []string{"n"}
	rows, _ := h.rows(r)
	if len(rows) != n+2 || get(&rows[0], "n") != "before" || get(&rows[n+1], "n") != "after" {
		t.Fatalf("%d rows", len(rows))
	}
	for i, row := range rows[1 : n+1] {
		if get(&row, "n") != fmt.Sprint(i) {
			t.Fatalf("row %d is %s", i, get(&row, "n"))
		}
	}
	r.Asc, r.Limit = false, 10_000
	rows = h.pages(r, r.Limit, nil)
	if len(rows) != n+2 || get(&rows[n], "n") != "0" || get(&rows[1], "n") != fmt.Sprint(n-1) {
		t.Errorf("newest first: %d rows", len(rows))
	}
}

// testTimeEdges holds that the start is inclusive and the end exclusive, to the nanosecond.
func testTimeEdges(t *testing.T, h *harness) {
	offsets := []time.Duration{-1, 0, 1, time.Microsecond, time.Millisecond - 1, time.Millisecond, time.Millisecond + 1, time.Second - 1, time.Second, time.Second + 1}
	for i, at := range offsets {
		h.put(h.ev(at, i, fmt.Sprintf("n=%d", i)))
	}
	f := func(start, end time.Duration, want string) {
		t.Helper()
		r := all()
		r.Asc = true
		r.Start, r.End = h.base+int64(start), h.base+int64(end)
		rows, _ := h.rows(r)
		equal(t, fmt.Sprintf("rows of [%v, %v)", start, end), numbers(rows), want)
		n, err := h.Count(context.Background(), r.Search)
		h.ok(err)
		equal(t, fmt.Sprintf("count of [%v, %v)", start, end), n, len(strings.Fields(want)))
	}
	f(0, 0, "")
	f(0, 1, "1")
	f(-1, 1, "0 1")
	f(1, time.Microsecond, "2")
	f(0, time.Millisecond, "1 2 3 4")
	f(0, time.Millisecond+1, "1 2 3 4 5")
	f(time.Millisecond, time.Second, "5 6 7")
	f(time.Millisecond, time.Second+1, "5 6 7 8")
	f(-time.Hour, time.Hour, "0 1 2 3 4 5 6 7 8 9")
	f(time.Second, time.Millisecond, "")
	r := all()
	r.Start = h.base + int64(time.Second)
	rows, _ := h.rows(r)
	equal(t, "start alone", numbers(rows), "9 8")
	r.Start, r.End = 0, h.base+1
	rows, _ = h.rows(r)
	equal(t, "end alone", numbers(rows), "1 0")
}

func testRowFields(t *testing.T, h *harness) {
	h.put(h.ev(0, 1, "message=m", "a=1", "b=2", "c=3"))
	r := all()
	r.Fields = []string{"b", "missing", "tally.source", "a", "b", "_id", "@timestamp"}
	rows, _ := h.rows(r)
	equal(t, "chosen fields", rows[0].Fields, "[{a 1 0} {b 2 0} {message m 0} {tally.source s 0}]")
	if rows[0].ID == "" || rows[0].Time != h.base {
		t.Errorf("id %q, time %d", rows[0].ID, rows[0].Time)
	}
}

func testCursor(t *testing.T, h *harness) {
	h.spread(100)
	r := all()
	r.Limit = 10
	_, cursor := h.rows(r)
	bad := func(what string, r storage.RowsRequest) {
		t.Helper()
		_, err := h.Rows(context.Background(), r, func(*event.Event) error { return nil })
		if !errors.Is(err, storage.ErrCursor) {
			t.Errorf("%s: %v", what, err)
		}
	}
	r.Cursor = cursor
	more, _ := h.rows(r)
	if len(more) != 10 {
		t.Errorf("%d rows behind the cursor", len(more))
	}
	other := r
	other.Asc = true
	bad("another order", other)
	other = r
	other.Expr = query.Present{Field: "n"}
	bad("another query", other)
	other = r
	other.Tenant = 1
	bad("another tenant", other)
	for _, c := range []string{"x", "AAAA", cursor[:len(cursor)/2], "!" + cursor, strings.Repeat("A", 1000)} {
		r.Cursor = c
		bad(fmt.Sprintf("cursor %.20q", c), r)
	}
	moved := all() // the bounds of time may move: they are often relative to the clock
	moved.Limit, moved.Cursor, moved.Start = 10, cursor, 1
	if rows, _ := h.rows(moved); !slices.Equal(ids(rows), ids(more)) {
		t.Error("with another start the cursor gives other rows")
	}
	if _, err := h.Rows(context.Background(), storage.RowsRequest{}, func(*event.Event) error { return nil }); err == nil {
		t.Error("a limit of 0 is taken")
	}
}

// testStop holds that an error of the callback ends the search and comes back, with a cursor that goes on from there.
func testStop(t *testing.T, h *harness) {
	events := h.spread(1000)
	r := all()
	r.Asc = true
	stop := errors.New("the reader has gone")
	n := 0
	cursor, err := h.Rows(context.Background(), r, func(*event.Event) error {
		if n++; n == 600 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || n != 600 {
		t.Fatalf("%d rows, then %v", n, err)
	}
	r.Cursor = cursor
	rows, _ := h.rows(r)
	if !slices.Equal(ids(rows), ids(events[599:])) {
		t.Errorf("%d rows behind the cursor, want %d", len(rows), len(events)-599)
	}
}

// noPosition makes an event without a position.
func (h *harness) noPosition(n uint64, fields ...string) event.Event {
	e := h.ev(time.Duration(n), 0, fields...)
	e.Position = ledger.Position{}
	e.ID = ledger.ArrivalID(1, n)
	return e
}
