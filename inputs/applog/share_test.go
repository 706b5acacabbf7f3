package applog

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/elastic/beats/v7/libbeat/beat"

	"github.com/tallylog/tally/ledger"
)

// wantAccount checks that events, what they say was skipped, and what control records tell cover the bytes up to end, each once.
func wantAccount(t *testing.T, es []beat.Event, told []string, end int64) {
	t.Helper()
	count := make([]int, end)
	add := func(r ledger.Range) {
		for i := r.From; i < r.To; i++ {
			count[i]++
		}
	}
	for _, e := range es {
		p := pieces(e)
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		p.Pieces(add)
		add(ledger.Range{From: p.From - p.Skipped, To: p.From})
	}
	for _, text := range told {
		var kind string
		var r ledger.Range
		if _, err := fmt.Sscan(text, &kind, &r.From, &r.To); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		add(r)
	}
	for i, n := range count {
		if n != 1 {
			t.Fatalf("byte %d of %d is accounted for %d times; told %q", i, end, n, told)
		}
	}
}

const stamp = "2026-01-02T03:04:05Z "

// A text of a container or of JSON that is too long is cut, and as many bytes at the end of its ranges, and the newline, are lost.
func TestTooLongParsed(t *testing.T) {
	f := func(options map[string]any, text string, told ...string) {
		t.Helper()
		r := newRig(t)
		r.options.Controls = true
		r.write("a.log", text)
		options["max_bytes"] = 10
		r.run(options, "*.log")
		lines, got := split(r.sink.wait(t, 2+len(told)))
		slices.Sort(got)
		if !slices.Equal(got, told) {
			t.Errorf("told %q, want %q", got, told)
		}
		if flags, _ := lines[0].Fields.GetValue("log.flags"); fmt.Sprint(flags) != "[truncated]" || message(lines[0]) != "0123456789" {
			t.Errorf("%q has the flags %v", message(lines[0]), flags)
		}
		wantAccount(t, lines, got, int64(len(text)))
		r.waitRecord("all told", func(rec record) bool { return rec.Offset == int64(len(text)) && rec.TooLong == nil })
		r.stop()
	}
	cri := func(flag, text string) string { return stamp + "stdout " + flag + " " + text + "\n" }
	one := cri("F", "0123456789abcdef")
	f(map[string]any{"container": map[string]any{}}, one+cri("F", "last"), fmt.Sprint("lost ", len(one)-7, " ", len(one), " too_long"))
	docker := `{"log":"0123456789abcdef\n","stream":"stdout","time":"2026-01-02T03:04:05Z"}` + "\n"
	f(map[string]any{"container": map[string]any{}}, docker+cri("F", "last"), fmt.Sprint("lost ", len(docker)-7, " ", len(docker), " too_long"))
	json := `{"message":"0123456789abcdef"}` + "\n"
	f(map[string]any{"json": map[string]any{"message_key": "message", "keys_under_root": true}}, json+`{"message":"last"}`+"\n", fmt.Sprint("lost ", len(json)-7, " ", len(json), " too_long"))
	// The cut lies in a piece before the last, and a line of the other stream between the two.
	a, b, c := cri("P", "0123456789"+strings.Repeat("x", 50)), stamp+"stderr F between\n", cri("F", strings.Repeat("x", 100))
	r := newRig(t)
	r.options.Controls = true
	r.write("a.log", a+b+c+cri("F", "last"))
	r.run(map[string]any{"max_bytes": 10, "container": map[string]any{}}, "*.log")
	lines, told := split(r.sink.wait(t, 5))
	wantAccount(t, lines, told, int64(len(a+b+c+cri("F", "last"))))
	if p := pieces(lines[1]); p.From != 0 || p.To >= int64(len(a)) || len(p.Ranges) != 0 || len(told) != 2 {
		t.Errorf("%+v, told %q", p, told)
	}
}

// What processors drop of lines that lie in each other is skipped, whichever of them it is, and whatever follows.
func TestContainerDropped(t *testing.T) {
	text := stamp + "stdout P drop\n" + stamp + "stderr F in\n" + stamp + "stdout F out\n"
	for _, c := range []struct {
		text, drop string
		lines      int
	}{
		{text, "^drop", 1}, {text, "^in", 1}, {text + stamp + "stdout F last\n", "^drop", 2}, {text + text, "^drop", 2},
		{text + strings.ReplaceAll(text, "drop", "keep"), "^drop", 3},
		{stamp + "stdout F drop\n" + text, "^drop", 1}, {text, "none", 2}, {text + text, "^in", 2},
	} {
		r := newRig(t)
		r.options.Controls, r.options.Bundles = true, false
		r.sink.drop = func(m string) bool { return strings.HasPrefix(m, strings.TrimPrefix(c.drop, "^")) }
		r.write("a.log", c.text)
		r.run(map[string]any{"container": map[string]any{}}, "*.log")
		var lines []beat.Event
		var told []string
		r.waitRecord("all told", func(rec record) bool {
			if rec.Offset < int64(len(c.text)) || rec.Skips != nil || rec.ToldSkip < rec.Offset && rec.Shipped < rec.Offset {
				return false
			}
			r.sink.mu.Lock()
			defer r.sink.mu.Unlock()
			lines, told = split(r.sink.events)
			return true
		})
		if len(lines) != c.lines {
			t.Errorf("%d lines, want %d", len(lines), c.lines)
		}
		wantAccount(t, lines, told, int64(len(c.text)))
		r.stop()
	}
}
