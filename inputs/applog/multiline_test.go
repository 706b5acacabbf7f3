package applog

import (
	"strings"
	"testing"
)

func TestMultiline(t *testing.T) {
	r := newRig(t)
	text := "boom\n at a\n\n at b\r\nCaused by: x\nnext\n"
	r.write("a.log", text+"last\n at c\n")
	r.sink.set(false, true)
	options := map[string]any{"multiline": map[string]any{"pattern": `^\s|^Caused`, "match": "after", "timeout": "20ms"}}
	r.run(options, "*.log")
	es := r.sink.wait(t, 3)
	want := []string{"boom\n at a\n\n at b\nCaused by: x", "next", "last\n at c"}
	for i, e := range es {
		if message(e) != want[i] {
			t.Errorf("%q, want %q", message(e), want[i])
		}
	}
	wantWhole(t, es)
	r.stop()
	// More of the last event comes after it was cut and shipped, but before it is acknowledged.
	r.write("a.log", " at d\nend\n")
	r.sink = newSink()
	r.run(options, "*.log")
	again := r.sink.wait(t, 5)
	for i, e := range es {
		a, b := position(e), position(again[i])
		if a.ID() != b.ID() {
			t.Errorf("event %d is re-sent as %+v, was %+v", i, b, a)
		}
	}
	if message(again[3]) != " at d" || message(again[4]) != "end" {
		t.Errorf("%q", lastMessages(again))
	}
	wantWhole(t, again)
}

func TestMultilineForms(t *testing.T) {
	f := func(text string, options map[string]any, want ...string) {
		t.Helper()
		r := newRig(t)
		options["timeout"] = "20ms"
		r.write("a.log", text)
		r.run(map[string]any{"multiline": options}, "*.log")
		es := r.sink.wait(t, len(want))
		for i, e := range es {
			if message(e) != want[i] {
				t.Errorf("message %d of %d bytes is %.60q, want %.60q", i, len(message(e)), message(e), want[i])
			}
		}
		wantWhole(t, es)
		r.stop()
	}
	f("a \\\nb \\\nc\nd\n", map[string]any{"pattern": `\\$`, "match": "before"}, "a \\\nb \\\nc", "d")
	f("[1] a\nb\n[2] c\n", map[string]any{"pattern": `^\[`, "negate": true, "match": "after"}, "[1] a\nb", "[2] c")
	f("x\n 1\n 2\n 3\n", map[string]any{"pattern": `^ `, "match": "after", "max_lines": 2}, "x\n 1", " 2\n 3")
	f("x\n 1\nhalf", map[string]any{"pattern": `^ `, "match": "after"}, "x\n 1")
}

// An event that is larger than what is read at a time is cut, and nothing of it is lost.
func TestMultilineLarge(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "head\n"+strings.Repeat(" "+strings.Repeat("y", 99)+"\n", 5000)+"end\n"+strings.Repeat("z", 300_000)+"\n tail\nx\ny\n")
	r.run(map[string]any{"multiline": map[string]any{"pattern": `^ `, "match": "after", "max_lines": 100_000, "timeout": "1h"}}, "*.log")
	es := r.sink.wait(t, 8)
	total := 0
	for _, e := range es {
		total += strings.Count(message(e), "y")
	}
	if total != 5000*99 {
		t.Errorf("%d characters of %d came in %d events", total, 5000*99, len(es))
	}
	wantWhole(t, es)
}
