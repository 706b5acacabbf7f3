package storagetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/query/querytest"
	"github.com/tallylog/tally/server/storage"
)

// testQueries asks every query of querytest: rows, their order, and the count must be as wanted.
func testQueries(t *testing.T, h *harness) {
	events := querytest.Events(h.base)
	h.put(events[:40]...)
	h.put(events[40:]...)
	cases := querytest.Cases()
	if len(cases) < 150 {
		t.Errorf("only %d cases", len(cases))
	}
	for _, c := range cases {
		e, err := query.Parse(querytest.Moved(c.Query, h.base))
		h.ok(err)
		h.selects(e, events, c.IDs)
	}
}

// selects holds that rows and count of an expression are the events wanted, in order, and that the matcher says so as well. With
// wanted nil the matcher alone says what is wanted.
func (h *harness) selects(e query.Expr, events []event.Event, wanted []string) {
	h.t.Helper()
	m := query.Compile(e)
	var matched []string
	for i := range events {
		if m.Match(&events[i]) {
			matched = append(matched, events[i].ID)
		}
	}
	if wanted != nil && !slices.Equal(matched, wanted) {
		h.t.Errorf("%s\nmatcher %v\nwant    %v", query.Format(e), matched, wanted)
	}
	r := where(e)
	r.Asc = true
	rows, _ := h.rows(r)
	if got := ids(rows); !slices.Equal(got, matched) {
		h.t.Errorf("%s\nstore   %v\nwant    %v", query.Format(e), got, matched)
		return
	}
	n, err := h.Count(context.Background(), r.Search)
	h.ok(err)
	if n != int64(len(matched)) {
		h.t.Errorf("%s: count %d, want %d", query.Format(e), n, len(matched))
	}
}

// testAgree draws queries from pieces of what events hold, and wants the store to select what the matcher does.
func testAgree(t *testing.T, h *harness) {
	events := append(querytest.Events(h.base), longEvents(h.base+int64(time.Hour/2))...)
	h.put(events...)
	const seed1, seed2 = 5, 9
	d := draw{rand.New(rand.NewPCG(seed1, seed2)), events}
	for range 120 {
		h.selects(d.expr(2), events, nil)
	}
}

type draw struct {
	*rand.Rand
	events []event.Event
}

var patterns = []string{``, `.*`, `^$`, `error`, `(?i)error`, `err.r`, `(?s)a.*b`, `a$`, `^a`, `\babc\b`, `abc\b`, `abc|失败|x`, `[^a]`, `[^0-9]$`, `^\d+$`, `^-?\d+\.\d*$`,
	`a{0,60}b`, `(a|b)*c`, `a|`, `\.0$`, `\W$`, `5.$`, `^1.2`, `(?i:k)`, `404`, `20`, `(?i)ſ`, `"`, `\\`, `status[= ]404`, `(refused|timeout)`, `o{2,}`, `\d{3}`, `w{150}`, `(?m)^second`}

// text is a part of a value that some event has.
func (d draw) text() (name, part string) {
	for {
		f := d.events[d.IntN(len(d.events))].Fields
		v := f[d.IntN(len(f))]
		runes := []rune(v.Value)
		if len(runes) == 0 {
			continue
		}
		from := d.IntN(min(len(runes), 120))
		to := min(len(runes), from+1+d.IntN(12))
		if d.IntN(3) == 0 {
			from, to = 0, len(runes)
		}
		if v.Name != event.Message && d.IntN(8) == 0 {
			v.Name = event.Message
		}
		return v.Name, string(runes[from:to])
	}
}

func (d draw) expr(depth int) query.Expr {
	if depth > 0 {
		switch d.IntN(8) {
		case 0:
			return query.And{Terms: []query.Expr{d.expr(depth - 1), d.expr(depth - 1)}}
		case 1:
			return query.Or{Terms: []query.Expr{d.expr(depth - 1), d.expr(depth - 1)}}
		case 2:
			return query.Not{Term: d.expr(depth - 1)}
		}
	}
	name, text := d.text()
	if d.IntN(12) == 0 {
		name, text = query.ID, d.events[d.IntN(len(d.events))].ID
	}
	ops := []query.Op{query.GreaterEqual, query.Greater, query.Less, query.LessEqual}
	numbers := []string{"0", "-1", "5", "9.5", "-0.125", "0.57", "007.50", "404", "100", "9007199254740993"}
	switch d.IntN(11) {
	case 0, 1, 2:
		return query.Phrase{Field: name, Text: text, IgnoreCase: d.IntN(2) == 0}
	case 3, 4:
		return query.Prefix{Field: name, Text: text, IgnoreCase: d.IntN(2) == 0}
	case 5:
		return query.Exact{Field: name, Value: text}
	case 6:
		return query.In{Field: name, Values: []string{text, numbers[d.IntN(len(numbers))], ""}[:1+d.IntN(3)]}
	case 7, 8:
		return query.Regexp{Field: name, Pattern: patterns[d.IntN(len(patterns))]}
	case 9:
		return query.Compare{Field: "v", Op: ops[d.IntN(4)], Value: numbers[d.IntN(len(numbers))]}
	}
	return query.Present{Field: name}
}

// longEvents have words and values that are longer than what an index holds whole.
func longEvents(base int64) []event.Event {
	word := strings.Repeat("w", 300)
	path := strings.Repeat("/very/long", 1000)
	values := [][]string{
		{"message=" + word, "v=" + word},
		{"message=" + word + "x", "v=" + word + "x"},
		{"message=before " + word + " behind", "v=" + path},
		{"message=" + path + " end", "v=" + path + " end"},
		{"message=short", "v=" + path + "/other"},
		{"message=" + strings.Repeat("7", 500) + ".5", "v=1." + strings.Repeat("0", 9000) + "5"},
		{"message=42", "v=text", "number=1"},
		{"message=-42.50", "v=42", "number=one"},
		{"message=" + strings.Repeat("用户登录失败 ", 2000), "v=" + strings.Repeat("失败", 3000)},
		{"message= edges ", "v= edges "},
		{"message=two  spaces", "v=two  spaces"},
		{"message=one space", "v=one space"},
	}
	var events []event.Event
	for i, fields := range values {
		e := event.Event{ID: fmt.Sprintf("long%02d", i), Time: base + int64(i)*int64(time.Second)}
		for _, f := range fields {
			name, value, _ := strings.Cut(f, "=")
			e.Put(name, value)
		}
		events = append(events, e)
	}
	return events
}

// testLong asks for words and values beyond what an index holds whole.
func testLong(t *testing.T, h *harness) {
	events := longEvents(h.base)
	h.put(events...)
	word, path := strings.Repeat("w", 300), strings.Repeat("/very/long", 1000)
	f := func(e query.Expr, numbers ...int) {
		t.Helper()
		wanted := []string{}
		for _, n := range numbers {
			wanted = append(wanted, fmt.Sprintf("long%02d", n))
		}
		if len(wanted) == 0 {
			wanted = nil
		}
		h.selects(e, events, wanted)
	}
	for _, name := range []string{"message", "v"} {
		f(query.Exact{Field: name, Value: word}, 0)
		f(query.Exact{Field: name, Value: word + "x"}, 1)
		f(query.Prefix{Field: name, Text: word[:50]})
		f(query.Prefix{Field: name, Text: word[:250]})
		f(query.Prefix{Field: name, Text: strings.ToUpper(word[:250]), IgnoreCase: true})
		f(query.Phrase{Field: name, Text: word})
		f(query.Phrase{Field: name, Text: strings.ToUpper(word), IgnoreCase: true})
		f(query.Phrase{Field: name, Text: "long end"}, 3)
		f(query.Phrase{Field: name, Text: "end"}, 3)
		f(query.Phrase{Field: name, Text: "失败"}, 8)
		f(query.Phrase{Field: name, Text: " "})
		f(query.Phrase{Field: name, Text: " edges"}, 9)
		f(query.Phrase{Field: name, Text: "edges "}, 9)
		f(query.Phrase{Field: name, Text: "two "}, 10)
		f(query.Phrase{Field: name, Text: " space"}, 11)
		f(query.Prefix{Field: name, Text: "one sp"}, 11)
		f(query.Prefix{Field: name, Text: " sp"}, 10, 11)
		f(query.Phrase{Field: name, Text: "two spaces"})
		f(query.Phrase{Field: name, Text: "ONE SPACE", IgnoreCase: true}, 11)
		f(query.Prefix{Field: name, Text: "ONE SP", IgnoreCase: true}, 11)
		f(query.Regexp{Field: name, Pattern: "wx"}, 1)
		f(query.Regexp{Field: name, Pattern: "^" + path[:500] + ".* end$"}, 3)
		f(query.Regexp{Field: name, Pattern: "ng end"}, 3)
		f(query.Compare{Field: name, Op: query.Greater, Value: "1"})
		f(query.Range{Field: name, Low: "-50", High: "50"})
		f(query.Not{Term: query.Phrase{Field: name, Text: "long"}})
		f(query.In{Field: name, Values: []string{path + " end", "", "short"}})
	}
	f(query.Exact{Field: "v", Value: path + "/other"}, 4)
	f(query.Compare{Field: "number", Op: query.GreaterEqual, Value: "1"}, 6)
	f(query.Exact{Field: "number", Value: "one"}, 7)
	f(query.Present{Field: "number"}, 6, 7)
	values, err := h.Values(context.Background(), storage.Search{}, "v", path, 10)
	h.ok(err)
	equal(t, "long values", values, fmt.Sprintf("[{%s 1} {%s 1} {%s 1}]", path, path+" end", path+"/other"))
	stats, err := h.Stats(context.Background(), storage.StatsRequest{Func: storage.Func{Name: "count"}, By: []string{"v"}, Search: storage.Search{Expr: query.Exact{Field: "v", Value: word}}})
	h.ok(err)
	equal(t, "stats by a long value", stats, fmt.Sprintf("[{[%s] 1}]", word))
	hits, err := h.Hits(context.Background(), storage.HitsRequest{Step: time.Hour, By: []string{"v"}, Search: storage.Search{Expr: query.Phrase{Field: "v", Text: "long end"}}})
	h.ok(err)
	if len(hits) != 1 || hits[0].Count != 1 || hits[0].By["v"] != path+" end" {
		t.Errorf("%d hits by a long value", len(hits))
	}
	for _, n := range []int{0, 3, 8} { // and they come back as they were
		rows, _ := h.rows(where(query.Exact{Field: query.ID, Value: events[n].ID}))
		if len(rows) != 1 || get(&rows[0], "v") != get(&events[n], "v") || get(&rows[0], "message") != get(&events[n], "message") {
			t.Errorf("event %d comes back changed", n)
		}
	}
}

// testFewHave holds what functions give where only some events have the field, and where numbers and text share a name.
func testFewHave(t *testing.T, h *harness) {
	h.put(h.ev(0, 1, "took=5", "shop=a"), h.ev(1, 2, "took=10", "shop=a"), h.ev(2, 3, "shop=a"), h.ev(3, 4, "took=5s", "shop=b"), h.ev(4, 5, "shop=c"))
	f := func(fn, want string) {
		t.Helper()
		rows, err := h.Stats(context.Background(), storage.StatsRequest{Func: storage.Func{Name: fn, Field: "took"}, By: []string{"shop"}})
		h.ok(err)
		var got []string
		for _, row := range rows {
			got = append(got, strings.Join(append(row.By, row.Result), "/"))
		}
		equal(t, fn, strings.Join(got, " "), want)
	}
	f("min", "a/5 b/5s c/")
	f("max", "a/10 b/5s c/")
	f("sum", "a/15 b/ c/")
	f("avg", "a/7.5 b/ c/")
	f("p50", "a/10 b/5s c/")
	f("uniq", "a/2 b/1 c/0")
	f("count", "a/2 b/1 c/0")
}

// testOneID holds that an event which is appended in two batches, as after a lost acknowledgement, is found by its id.
func testOneID(t *testing.T, h *harness) {
	e := event.Event{ID: ledger.ArrivalID(7, 7), Time: h.base, Fields: []event.Field{{Name: "message", Value: "once"}}}
	h.put(e)
	h.put(h.ev(1, 1))
	found, err := h.Has(context.Background(), 0, []string{e.ID})
	h.ok(err)
	if !found[e.ID] {
		t.Error("the event is not found by its id")
	}
	h.selects(query.Exact{Field: query.ID, Value: e.ID}, []event.Event{e}, []string{e.ID})
}
