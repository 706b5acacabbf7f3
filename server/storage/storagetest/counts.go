package storagetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// sales appends twelve events of two shops over three minutes, and one without a shop. took is 0.5, 1.5, … 11.5.
func (h *harness) sales() {
	var events []event.Event
	for i := range 12 {
		shop := "east"
		if i%3 == 0 {
			shop = "west"
		}
		events = append(events, h.ev(time.Duration(i)*15*time.Second, i, "message=sold", "shop="+shop, fmt.Sprintf("took=%d.5", i), fmt.Sprintf("user=u%d", i%5)))
	}
	h.put(append(events, h.ev(time.Hour-time.Second, 50, "message=closed", "word=beta"), h.ev(time.Hour-time.Second, 51, "message=closed", "word=alpha", "took=none"))...)
}

var east = storage.Search{Expr: query.Exact{Field: "shop", Value: "east"}}

func testCount(t *testing.T, h *harness) {
	h.sales()
	f := func(s storage.Search, want int64) {
		t.Helper()
		n, err := h.Count(context.Background(), s)
		h.ok(err)
		equal(t, "count", n, want)
	}
	f(storage.Search{}, 14)
	f(east, 8)
	f(storage.Search{Expr: query.Phrase{Field: "message", Text: "none"}}, 0)
	f(storage.Search{Start: h.base, End: h.base + int64(time.Minute)}, 4)
}

func testHits(t *testing.T, h *harness) {
	h.sales()
	f := func(r storage.HitsRequest, want string) {
		t.Helper()
		hits, err := h.Hits(context.Background(), r)
		h.ok(err)
		var got []string
		for _, hit := range hits {
			text := fmt.Sprintf("%v=%d", time.Duration(hit.Time-h.base), hit.Count)
			for _, name := range r.By {
				text += "/" + hit.By[name]
			}
			got = append(got, text)
		}
		equal(t, fmt.Sprintf("hits of %+v", r), strings.Join(got, " "), want)
	}
	f(storage.HitsRequest{Step: time.Minute}, "0s=4 1m0s=4 2m0s=4 59m0s=2")
	f(storage.HitsRequest{Step: time.Minute, Offset: 30 * time.Second}, "-30s=2 30s=4 1m30s=4 2m30s=2 59m30s=2")
	f(storage.HitsRequest{Step: time.Minute, Offset: -30 * time.Second}, "-30s=2 30s=4 1m30s=4 2m30s=2 59m30s=2")
	f(storage.HitsRequest{Search: east, Step: 15 * time.Second}, "15s=1 30s=1 1m0s=1 1m15s=1 1m45s=1 2m0s=1 2m30s=1 2m45s=1")
	f(storage.HitsRequest{Step: time.Minute, By: []string{"shop"}}, "0s=2/east 0s=2/west 1m0s=3/east 1m0s=1/west 2m0s=3/east 2m0s=1/west 59m0s=2/")
	f(storage.HitsRequest{Step: time.Minute, By: []string{"shop"}, Limit: 1}, "0s=2/ 0s=2/east 1m0s=1/ 1m0s=3/east 2m0s=1/ 2m0s=3/east 59m0s=2/")
	f(storage.HitsRequest{Search: east, Step: time.Hour * 24 * 365 * 20, By: []string{"shop", "user"}, Limit: 2},
		fmt.Sprintf("%v=4// %v=2/east/u0 %v=2/east/u1", start20(h), start20(h), start20(h)))
	f(storage.HitsRequest{Search: storage.Search{Tenant: 4}, Step: time.Minute}, "")
	if _, err := h.Hits(context.Background(), storage.HitsRequest{}); err == nil {
		t.Error("a step of 0 is taken")
	}
}

// start20 is where the step of twenty years begins that holds base, relative to it.
func start20(h *harness) time.Duration {
	return -time.Duration(h.base % int64(time.Hour*24*365*20))
}

func testStats(t *testing.T, h *harness) {
	h.sales()
	f := func(r storage.StatsRequest, want string) {
		t.Helper()
		rows, err := h.Stats(context.Background(), r)
		h.ok(err)
		var got []string
		for _, row := range rows {
			got = append(got, strings.Join(append(row.By, row.Result), "/"))
		}
		equal(t, fmt.Sprintf("stats of %+v", r), strings.Join(got, " "), want)
	}
	fn := func(name string, by ...string) storage.StatsRequest {
		r := storage.StatsRequest{Func: storage.Func{Name: name, Field: "took"}, By: by}
		if name == "count" {
			r.Func.Field = ""
		}
		return r
	}
	f(fn("count"), "14")
	f(fn("count", "shop"), "east/8 west/4 /2")
	f(fn("sum", "shop"), "east/52 west/20 /")
	f(fn("avg", "shop"), "east/6.5 west/5 /")
	f(fn("count", "shop", "user"), "//2 east/u0/2 east/u1/2 east/u2/2 east/u3/1 east/u4/1 west/u0/1 west/u1/1 west/u3/1 west/u4/1")
	top := fn("count", "shop", "user")
	top.Top = 3
	f(top, "//2 east/u0/2 east/u1/2")
	numbers := fn("min", "shop")
	numbers.Expr = query.Present{Field: "shop"}
	f(numbers, "east/1.5 west/0.5")
	numbers.Func.Name = "max"
	f(numbers, "east/11.5 west/9.5")
	numbers.Func.Name = "p50"
	numbers.By = nil
	numbers.Expr = query.Exact{Field: "user", Value: "u0"} // 0.5 5.5 10.5
	f(numbers, "5.5")
	numbers.Func.Name = "p99"
	f(numbers, "10.5")
	f(storage.StatsRequest{Func: storage.Func{Name: "uniq", Field: "user"}, By: []string{"shop"}}, "east/5 west/4 /0")
	f(storage.StatsRequest{Func: storage.Func{Name: "max", Field: "word"}}, "beta")
	f(storage.StatsRequest{Func: storage.Func{Name: "count", Field: "word"}}, "2")
	f(storage.StatsRequest{Func: storage.Func{Name: "avg", Field: "missing"}}, "")
	for _, bad := range []storage.Func{{}, {Name: "median", Field: "took"}, {Name: "max"}} {
		if _, err := h.Stats(context.Background(), storage.StatsRequest{Func: bad}); err == nil {
			t.Errorf("function %+v is taken", bad)
		}
	}
}

func testFieldNames(t *testing.T, h *harness) {
	h.sales()
	f := func(s storage.Search, want string) {
		t.Helper()
		fields, err := h.Fields(context.Background(), s)
		h.ok(err)
		equal(t, "fields", fields, want)
	}
	f(storage.Search{}, "[{@timestamp 14} {_id 14} {message 14} {tally.from 14} {tally.source 14} {tally.to 14} {took 13} {shop 12} {user 12} {word 2}]")
	f(storage.Search{Expr: query.Exact{Field: "word", Value: "beta"}}, "[{@timestamp 1} {_id 1} {message 1} {tally.from 1} {tally.source 1} {tally.to 1} {word 1}]")
	f(storage.Search{Tenant: 9}, "[]")
}

func testValues(t *testing.T, h *harness) {
	h.sales()
	f := func(s storage.Search, field, prefix string, limit int, want string) {
		t.Helper()
		values, err := h.Values(context.Background(), s, field, prefix, limit)
		h.ok(err)
		equal(t, "values of "+field, values, want)
	}
	f(storage.Search{}, "shop", "", 10, "[{east 8} {west 4}]")
	f(storage.Search{}, "shop", "w", 10, "[{west 4}]")
	f(storage.Search{}, "user", "", 3, "[{u0 3} {u1 3} {u2 2}]")
	f(east, "user", "", 0, "[{u0 2} {u1 2} {u2 2} {u3 1} {u4 1}]")
	f(storage.Search{}, "took", "1", 9, "[{1.5 1} {10.5 1} {11.5 1}]")
	f(storage.Search{}, "message", "clo", 9, "[{closed 2}]")
	f(storage.Search{}, "missing", "", 9, "[]")
	f(storage.Search{}, "@timestamp", event.FormatTime(h.base)[:16], 1, fmt.Sprintf("[{%s 1}]", first(t, h)))
}

// first is the commonest time of the first minute, which is its first: all have one event.
func first(t *testing.T, h *harness) string {
	values, err := h.Values(context.Background(), storage.Search{End: h.base + 1}, "@timestamp", "", 1)
	h.ok(err)
	if len(values) != 1 {
		t.Fatalf("%d values of @timestamp", len(values))
	}
	if at, ok := event.ParseTime(values[0].Name); !ok || at != h.base {
		t.Errorf("@timestamp is %q", values[0].Name)
	}
	return values[0].Name
}

// testEnded holds that a search whose context has ended says so, whatever it was.
func testEnded(t *testing.T, h *harness) {
	h.spread(2000)
	late, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancel()
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	none := func(*event.Event) error { return nil }
	for name, f := range map[string]func(ctx context.Context) error{
		"Rows":   func(ctx context.Context) error { _, err := h.Rows(ctx, all(), none); return err },
		"Count":  func(ctx context.Context) error { _, err := h.Count(ctx, storage.Search{}); return err },
		"Fields": func(ctx context.Context) error { _, err := h.Fields(ctx, storage.Search{}); return err },
		"Values": func(ctx context.Context) error { _, err := h.Values(ctx, storage.Search{}, "n", "", 5); return err },
		"Hits": func(ctx context.Context) error {
			_, err := h.Hits(ctx, storage.HitsRequest{Step: time.Hour})
			return err
		},
		"Stats": func(ctx context.Context) error {
			_, err := h.Stats(ctx, storage.StatsRequest{Func: storage.Func{Name: "count"}})
			return err
		},
	} {
		if err := f(late); !errors.Is(err, storage.ErrPartial) {
			t.Errorf("%s past its deadline: %v", name, err)
		}
		if err := f(gone); !errors.Is(err, context.Canceled) || errors.Is(err, storage.ErrPartial) {
			t.Errorf("%s cancelled: %v", name, err)
		}
	}
	if err := h.Append(gone, h.batch(99, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("Append cancelled: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	_, err := h.Rows(ctx, all(), func(*event.Event) error {
		if n++; n == 10 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || n >= 2000 {
		t.Errorf("cancelled in mid-stream after 10 rows: %d rows, %v", n, err)
	}
}
