package query

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tallylog/tally/event"
)

// TestCompilersAgree draws events and expressions and wants the matcher and a real store to select the same events.
func TestCompilersAgree(t *testing.T) {
	s := openStore(t)
	tenant := uint32(0)
	rapid.Check(t, func(rt *rapid.T) {
		s.t = rt
		tenant++
		events := drawEvents(rt)
		s.add(tenant, events)
		for range 12 {
			e := drawExpr(rt, events, 3)
			again, err := Parse(Format(e))
			if err != nil {
				rt.Fatalf("cannot parse %s: %s", Format(e), err)
			}
			if Format(again) != Format(e) {
				rt.Fatalf("%s is formatted as %s", Format(e), Format(again))
			}
			s.check(tenant, e, events)
		}
	})
	s.t = t
}

var names = []string{"message", "f", "n", "_msg", "_stream", "a.b/c", "_id"}

// kinds draw the values of one column of a block, so that all the types of columns come up.
var kinds = map[string]*rapid.Generator[string]{
	"text":    rapid.Custom(drawText),
	"uint":    rapid.Map(rapid.Uint64Range(0, 300), func(n uint64) string { return fmt.Sprint(n) }),
	"big":     rapid.Map(rapid.Uint64Range(1<<53-3, 1<<53+9), func(n uint64) string { return fmt.Sprint(n) }),
	"int":     rapid.Map(rapid.IntRange(-20, 20), func(n int) string { return fmt.Sprint(n) }),
	"float":   rapid.Map(rapid.IntRange(-400, 400), func(n int) string { return fmt.Sprint(float64(n) / 8) }),
	"decimal": rapid.StringMatching(`-?0?[0-9]{1,2}\.[0-9]{1,3}`),
	"grouped": rapid.StringMatching(`[0-9_]{1,4}`),
	"address": rapid.StringMatching(`1[0-3]?\.2\.0?[0-2]\.1[0-9]`),
	"time":    rapid.StringMatching(`2024-0[1-4]-[0-3][0-9][T ]1[0-9]:00:0[0-9]\.[0-9]{3}Z`),
	"mixed":   rapid.SampledFrom([]string{"", "007", "-0", "1e3", "0x10", "5s", "10KB", "1.0", "-1.50", ".5", "5.", "+5", "NaN", "inf", "10.0.0.1", "1_0", "-", "--1", "12", "99999999999999999999"}),
}

var pieces = []string{"error", "Error", "ERROR", "abc", "a", "b", "k", "\u212A", "ſ", "s", "İ", "i", "404", "status=404", "10.0.0.1",
	"_", "失败", "误", "用户", "サーバー", "한글", "é", "Σ", "ς", "σ", " ", " ", " ", "-", ".", ":", "=", "/", "|", "\"", "\\", "'", "`", "*", "(", "\n",
	"\t", "\uFFFD", "\u0345", "🙂", "{", "#", "\x00"}

func drawText(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 5).Draw(t, "text"), "")
}

func drawEvents(t *rapid.T) []event.Event {
	var events []event.Event
	kindNames := []string{}
	for k := range kinds {
		kindNames = append(kindNames, k)
	}
	slices.Sort(kindNames)
	for block := range rapid.IntRange(1, 3).Draw(t, "blocks") {
		kindOf := map[string]string{}
		for _, n := range names {
			kindOf[n] = rapid.SampledFrom(kindNames).Draw(t, "kind")
		}
		full := rapid.Bool().Draw(t, "full")
		for range rapid.SampledFrom([]int{1, 3, 14}).Draw(t, "rows") {
			ev := event.Event{ID: fmt.Sprintf("id%d", len(events)), Time: base + rapid.Int64Range(0, 30).Draw(t, "time")*1e8}
			ev.Put("block", fmt.Sprint(block))
			for _, n := range names {
				if n != ID && (full || rapid.IntRange(0, 3).Draw(t, "there") > 0) {
					ev.Put(n, kinds[kindOf[n]].Draw(t, n))
				}
			}
			events = append(events, ev)
		}
	}
	return events
}

var base = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano()

// drawWanted draws a text to look for: often a value, or a part of one, that some event has.
func drawWanted(t *rapid.T, events []event.Event, field string) string {
	if rapid.IntRange(0, 3).Draw(t, "known") == 0 {
		return drawText(t)
	}
	ev := rapid.SampledFrom(events).Draw(t, "event")
	v, _ := ev.Get(field)
	if field == ID {
		v = ev.ID
	}
	runes := []rune(v)
	if len(runes) > 0 && rapid.Bool().Draw(t, "part") {
		from := rapid.IntRange(0, len(runes)-1).Draw(t, "from")
		to := rapid.IntRange(from+1, len(runes)).Draw(t, "to")
		return string(runes[from:to])
	}
	return v
}

var patterns = []string{``, `.*`, `.+`, `^$`, `$`, `^`, `error`, `(?i)error`, `err.r`, `(?s)a.*b`, `(?m)^a$`, `(?m)$b`, `a$`, `^a`, `\bfoo\b`, `abc\b`, `a\b`,
	`\Babc`, `abc|失败|x`, `[^a]`, `[^0-9]$`, `^\d+$`, `^-?\d+\.\d*$`, `a{0,600}b`, `(a|b)*c`, `(?:)`, `a|`, `\.0$`, `\W$`, `\w\b`, `\x{FDD1}`, `5.$`, `^1.2`, `\x{FFFD}`,
	`foo.*bar.*`, `.*abc.*`, `.+abc.+`, `(?i:k)(?m:$)`, `\pL\b`, `a\z`, `(?U)a+b`, `^[[:^alpha:]]*$`, `(abc)`, `(?i)ſ`, `(?:(?:)|a)+`, `(^)*a`, `"`, "`", `\\`}

func drawExpr(t *rapid.T, events []event.Event, depth int) Expr {
	kind := rapid.IntRange(0, 13).Draw(t, "node")
	if depth == 0 {
		kind = max(kind, 4)
	}
	f := rapid.SampledFrom(names).Draw(t, "field")
	text := func() string { return drawWanted(t, events, f) }
	op := func() Op { return rapid.SampledFrom([]Op{GreaterEqual, Greater, Less, LessEqual}).Draw(t, "op") }
	number := func() string {
		if v := text(); len(v) <= maxNumber && rapid.Bool().Draw(t, "of an event") {
			if _, ok := parseDecimal(v); ok {
				return v
			}
		}
		return rapid.SampledFrom([]string{"0", "-0", "5", "-5", "10", "12.5", "-0.125", "0.57", "007.50", "404", "9007199254740993", "167772161"}).Draw(t, "number")
	}
	moment := func() string {
		return event.FormatTime(base + rapid.Int64Range(-1, 31).Draw(t, "moment")*1e8 + rapid.Int64Range(-1, 1).Draw(t, "off"))
	}
	switch kind {
	case 0, 1:
		n := rapid.IntRange(2, 3).Draw(t, "terms")
		terms := make([]Expr, n)
		for i := range terms {
			terms[i] = drawExpr(t, events, depth-1)
		}
		if kind == 0 {
			return And{terms}
		}
		return Or{terms}
	case 2:
		return Not{drawExpr(t, events, depth-1)}
	case 3:
		return All{}
	case 4, 5:
		if s := text(); s != "" {
			return Phrase{f, s, rapid.Bool().Draw(t, "ignore case")}
		}
	case 6:
		if s := text(); s != "" {
			return Prefix{f, s, rapid.Bool().Draw(t, "ignore case")}
		}
	case 7:
		if s := text(); s != "" {
			return Exact{f, s}
		}
	case 8:
		return Regexp{f, rapid.SampledFrom(patterns).Draw(t, "pattern")}
	case 9, 10:
		if rapid.IntRange(0, 4).Draw(t, "of time") == 0 {
			return Compare{event.Timestamp, op(), moment()}
		}
		return Compare{f, op(), number()}
	case 11:
		r := Range{f, number(), number(), rapid.Bool().Draw(t, "low open"), rapid.Bool().Draw(t, "high open")}
		if rapid.IntRange(0, 4).Draw(t, "of time") == 0 {
			r.Field, r.Low, r.High = event.Timestamp, moment(), moment()
		}
		return r
	case 12:
		values := []string{text()}
		for range rapid.IntRange(0, 3).Draw(t, "more") {
			values = append(values, text())
		}
		return In{f, values}
	case 13:
		return Present{f}
	}
	return Empty{f}
}
