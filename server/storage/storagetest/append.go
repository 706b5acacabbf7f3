package storagetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/storage"
)

func testAppend(t *testing.T, h *harness) {
	e := h.ev(time.Second+7, 3, "message=hello world", "kubernetes.namespace=shop", "level=info", "empty=")
	h.put(e)
	h.ok(h.Append(context.Background(), &storage.Batch{Seq: 9}))
	rows, cursor := h.rows(all())
	if len(rows) != 1 || cursor != "" {
		t.Fatalf("%d rows, cursor %q; want 1 and none", len(rows), cursor)
	}
	equal(t, "id", rows[0].ID, e.ID)
	equal(t, "time", rows[0].Time, e.Time)
	equal(t, "fields", rows[0].Fields, "[{kubernetes.namespace shop 0} {level info 0} {message hello world 0} {tally.from 3 0} {tally.source s 0} {tally.to 4 0}]")
	u, err := h.Usage(context.Background())
	h.ok(err)
	if u.Rows != 1 || u.RawBytes < 30 || u.ReadOnly || u.OldestDay == "" {
		t.Errorf("usage %+v", u)
	}
}

// batch makes n events of one batch; every tenth is a day older.
func (h *harness) batch(seq uint64, n int) *storage.Batch {
	b := &storage.Batch{Seq: seq}
	for i := range n {
		offset := time.Duration(i) * time.Millisecond
		if i%10 == 9 {
			offset -= 24 * time.Hour
		}
		b.Events = append(b.Events, h.ev(offset, int(seq)*n+i, fmt.Sprintf("message=event %d of batch %d", i, seq)))
	}
	return b
}

func (h *harness) appendAll(batches ...*storage.Batch) (events []event.Event) {
	h.t.Helper()
	for _, b := range batches {
		h.ok(h.Append(context.Background(), b))
		events = append(events, b.Events...)
	}
	h.visible(0)
	return events
}

// testAgain holds that batches appended again after the store was opened with an older checkpoint are not doubled.
func testAgain(t *testing.T, h *harness) {
	b1, b2, b3, b4 := h.batch(1, 50), h.batch(2, 50), h.batch(3, 50), h.batch(4, 50)
	h.appendAll(b1, b2, b3)
	h.ok(h.Sync(context.Background()))
	h.close()
	h.open(1) // as if the checkpoint behind batch 3 had not been written
	want := append(h.appendAll(b2, b3, b4), b1.Events...)
	rows, _ := h.rows(all())
	sameIDs(t, rows, want)
	h.close()
	h.open(4)
	rows, _ = h.rows(all())
	sameIDs(t, rows, want)
}

func testReopen(t *testing.T, h *harness) {
	want := h.appendAll(h.batch(1, 200))
	h.close()
	h.open(0)
	rows, _ := h.rows(all())
	sameIDs(t, rows, want)
}

func testTenants(t *testing.T, h *harness) {
	h.put(h.ev(0, 1, "n=1"))
	h.putFor(7, h.ev(0, 2, "n=2"))
	h.putFor(1<<31, h.ev(0, 3, "n=3"))
	for tenant, want := range map[uint32]string{0: "1", 7: "2", 1 << 31: "3", 8: ""} {
		r := all()
		r.Tenant = tenant
		rows, _ := h.rows(r)
		equal(t, fmt.Sprint("rows of tenant ", tenant), numbers(rows), want)
		n, err := h.Count(context.Background(), r.Search)
		h.ok(err)
		equal(t, fmt.Sprint("count of tenant ", tenant), n, len(rows))
	}
	found, err := h.Has(context.Background(), 7, []string{h.ev(0, 1).ID, h.ev(0, 2).ID})
	h.ok(err)
	if found[h.ev(0, 1).ID] || !found[h.ev(0, 2).ID] {
		t.Errorf("tenant 7 has %v", found)
	}
}

func testHas(t *testing.T, h *harness) {
	b := h.batch(1, 3000)
	h.ok(h.Append(context.Background(), b))
	ids := []string{"", "none", `"`}
	for i := range b.Events {
		ids = append(ids, b.Events[i].ID)
	}
	found, err := h.Has(context.Background(), 0, ids) // at once: it must see what was just appended
	h.ok(err)
	n := 0
	for i := range b.Events {
		if found[b.Events[i].ID] {
			n++
		}
	}
	if n != 3000 || found["none"] || found[""] || found[`"`] {
		t.Errorf("%d of 3000 ids found; none %v", n, found["none"])
	}
	if found, err = h.Has(context.Background(), 0, nil); err != nil || len(found) != 0 {
		t.Errorf("without ids: %v, %v", found, err)
	}
}

func testRecover(t *testing.T, h *harness) {
	joined := h.ev(time.Second, 10, "message=joined")
	joined.Position = ledger.Position{Source: "pod \"a\"", From: 10, To: 90, Ranges: []ledger.Range{{From: 10, To: 20}, {From: 80, To: 90}}}
	joined.ID = joined.Position.ID()
	plain := h.ev(2*time.Second, 5)
	bare := event.Event{ID: ledger.ArrivalID(1, 1), Time: h.base, Fields: []event.Field{{Name: "message", Value: "no position"}}}
	h.put(h.ev(0, 1))
	h.putFor(6, joined, plain, bare)
	h.put(h.ev(0, 2))
	got := map[string]string{}
	h.ok(h.Recover(context.Background(), 2, func(tenant uint32, e *event.Event) error {
		got[e.ID] = fmt.Sprint(tenant, e.Time, e.Position, len(e.Fields))
		return nil
	}))
	want := map[string]string{}
	for _, e := range []event.Event{joined, plain, bare} {
		want[e.ID] = fmt.Sprint(6, e.Time, e.Position, 0)
	}
	equal(t, "recovered", got, want)
	stop := errors.New("enough")
	if err := h.Recover(context.Background(), 2, func(uint32, *event.Event) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("an error of the callback gives %v", err)
	}
	h.ok(h.Recover(context.Background(), 99, func(uint32, *event.Event) error { return errors.New("no such batch") }))
}

// testBounds holds that nothing within the bounds of an event is lost, and that what is too old is counted.
func testBounds(t *testing.T, h *harness) {
	wide := func(n int) event.Event {
		e := h.ev(time.Duration(n), n, fmt.Sprintf("message=wide %d", n))
		for i := range event.MaxFields - 1 {
			e.Fields = append(e.Fields, event.Field{Name: fmt.Sprintf("f%d.%d", n, i), Value: "v"})
		}
		return e
	}
	events := []event.Event{h.ev(0, 100, "message="+strings.Repeat("long ", event.MaxEvent/5-10)), h.ev(0, 101, strings.Repeat("n", event.MaxName)+"=x")}
	for n := range 30 {
		events = append(events, wide(n))
	}
	h.put(events...)
	for n := range 12 {
		e := wide(n)
		e.Position.Source = "t"
		e.ID = e.Position.ID()
		events = append(events, e)
		h.put(e)
	}
	rows, _ := h.rows(all())
	sameIDs(t, rows, events)
	for i := range rows {
		values := 0
		for _, f := range rows[i].Fields {
			values += strings.Count(f.Value, `":"v"`)
			if f.Value == "v" {
				values++
			}
		}
		if strings.HasPrefix(get(&rows[i], "message"), "wide") && values != event.MaxFields-1 {
			t.Errorf("%s: %d of %d values are there", get(&rows[i], "message"), values, event.MaxFields-1)
		}
	}
	h.put(h.ev(-20*365*24*time.Hour, 7000), h.ev(0, 7001))
	n, err := h.Count(context.Background(), storage.Search{})
	h.ok(err)
	u, err := h.Usage(context.Background())
	h.ok(err)
	equal(t, "rows, too old", fmt.Sprint(n, u.Dropped["too_old"]), fmt.Sprint(len(events)+1, 1))
}
