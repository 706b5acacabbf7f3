package storagetest

import (
	"context"
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

// Open opens a store for a test. The same dir is the same store, opened again; after is the sequence number up to which
// every batch is durable. The test closes the store.
type Open func(t *testing.T, dir string, after uint64) storage.Store

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		f    func(t *testing.T, h *harness)
	}{
		{"Append", testAppend},
		{"Again", testAgain},
		{"Reopen", testReopen},
		{"Tenants", testTenants},
		{"Has", testHas},
		{"Recover", testRecover},
		{"Bounds", testBounds},
		{"Order", testOrder},
		{"Paging", testPaging},
		{"PagingWhileAppending", testPagingWhileAppending},
		{"OneTime", testOneTime},
		{"TimeEdges", testTimeEdges},
		{"RowFields", testRowFields},
		{"Names", testNames},
		{"ValuesAsTheyWere", testValuesAsTheyWere},
		{"Chinese", testChinese},
		{"Missing", testMissing},
		{"Queries", testQueries},
		{"Agree", testAgree},
		{"Long", testLong},
		{"FewHave", testFewHave},
		{"OneID", testOneID},
		{"Cursor", testCursor},
		{"Stop", testStop},
		{"Count", testCount},
		{"Hits", testHits},
		{"Stats", testStats},
		{"FieldNames", testFieldNames},
		{"Values", testValues},
		{"Ended", testEnded},
		{"Concurrent", testConcurrent},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &harness{t: t, dir: t.TempDir(), base: time.Now().Add(-time.Hour).Truncate(time.Minute).UnixNano(), openFunc: open}
			h.open(0)
			defer func() { h.close() }()
			c.f(t, h)
		})
	}
}

// harness is an open store and what the tests do with it.
type harness struct {
	t        *testing.T
	dir      string
	base     int64 // an hour ago, at a full minute
	seq      uint64
	openFunc Open
	storage.Store
}

func (h *harness) open(after uint64) { h.Store = h.openFunc(h.t, h.dir, after) }

func (h *harness) close() {
	if err := h.Close(); err != nil {
		h.t.Errorf("cannot close: %v", err)
	}
}

func (h *harness) ok(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// put appends a batch of tenant 0 with the next sequence number and makes it searchable.
func (h *harness) put(events ...event.Event) {
	h.t.Helper()
	h.putFor(0, events...)
}

func (h *harness) putFor(tenant uint32, events ...event.Event) {
	h.t.Helper()
	h.seq++
	h.ok(h.Append(context.Background(), &storage.Batch{Seq: h.seq, Tenant: tenant, Events: events}))
	h.visible(tenant)
}

// visible returns when what was appended can be found: Has promises to see it.
func (h *harness) visible(tenant uint32) {
	h.t.Helper()
	_, err := h.Has(context.Background(), tenant, []string{"none"})
	h.ok(err)
}

// ev makes an event at base plus offset, with a position [n, n+1) of source s and the fields "name=value".
func (h *harness) ev(offset time.Duration, n int, fields ...string) event.Event {
	e := event.Event{Time: h.base + int64(offset), Position: ledger.Position{Source: "s", From: int64(n), To: int64(n) + 1}}
	e.ID = e.Position.ID()
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		e.Fields = append(e.Fields, event.Field{Name: name, Value: value})
	}
	return e
}

// rows returns the rows of a request, copied, and the cursor.
func (h *harness) rows(r storage.RowsRequest) ([]event.Event, string) {
	h.t.Helper()
	var rows []event.Event
	cursor, err := h.Rows(context.Background(), r, func(e *event.Event) error {
		c := *e
		c.Fields = slices.Clone(e.Fields)
		rows = append(rows, c)
		return nil
	})
	h.ok(err)
	return rows, cursor
}

// all is a request for every row of tenant 0.
func all() storage.RowsRequest { return storage.RowsRequest{Limit: 1_000_000} }

// where is all with an expression.
func where(e query.Expr) storage.RowsRequest {
	r := all()
	r.Expr = e
	return r
}

func get(e *event.Event, name string) string {
	v, _ := e.Get(name)
	return v
}

// numbers gives the value of field n of each row, in order.
func numbers(rows []event.Event) string {
	var list []string
	for i := range rows {
		list = append(list, get(&rows[i], "n"))
	}
	return strings.Join(list, " ")
}

// equal reports a difference as text.
func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

// sameIDs reports ids that are missing, doubled or too many.
func sameIDs(t *testing.T, rows []event.Event, want []event.Event) {
	t.Helper()
	count := map[string]int{}
	for i := range rows {
		count[rows[i].ID]++
	}
	lost := 0
	for i := range want {
		if count[want[i].ID] == 0 {
			lost++
		}
	}
	doubled := len(rows) - len(count)
	if lost > 0 || doubled > 0 || len(rows) != len(want) {
		t.Errorf("%d rows for %d events: %d lost, %d doubled", len(rows), len(want), lost, doubled)
	}
}
