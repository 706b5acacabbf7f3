package applog

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/elastic/beats/v7/libbeat/beat"
)

// The event of a line that is too long ends where the line is cut, and the rest is told to be lost, its newline included: together the
// events and the control records have every byte once, after a restart too.
func TestTooLong(t *testing.T) {
	long := strings.Repeat("0123456789", 50_000) // several slices
	text := "short\n" + strings.Repeat("é", 40) + "\r\n" + long + "\nend\n" + strings.Repeat("x", 41) + "\n" + strings.Repeat("y", 42) + "\nlast\n"
	at := func(part string) int { return strings.Index(text, part) }
	want := []string{
		fmt.Sprint("lost ", at("é")+40, " ", at("é")+82, " too_long"),
		fmt.Sprint("lost ", at("012")+41, " ", at("end"), " too_long"),
		fmt.Sprint("lost ", at("yyy")+41, " ", at("last"), " too_long"),
	}
	for _, bundles := range []bool{false, true} {
		r := newRig(t)
		r.options.Controls, r.options.Bundles = true, bundles
		r.write("a.log", text)
		r.sink.tells = true     // of a source, what is new is told once the last was acknowledged
		r.sink.set(false, true) // no line is acknowledged
		options := map[string]any{"max_bytes": 41}
		r.run(options, "*.log")
		lines, told := split(r.sink.wait(t, 10))
		covered(t, text, lines, told)
		if !slices.Equal(told, want) || len(lines) != 7 {
			t.Errorf("%d lines, told %q, want %q", len(lines), told, want)
		}
		r.stop()
		r.sink = newSink()
		r.run(options, "*.log")
		lines, told = split(r.sink.wait(t, 10))
		covered(t, text, lines, told)
		r.waitRecord("all", func(rec record) bool { return rec.Offset == int64(len(text)) && rec.TooLong == nil })
		r.stop()
	}
}

// A line of which the rest was not told before the agent ended is known afterwards, though the line was acknowledged.
func TestTooLongToldAfterRestart(t *testing.T) {
	r := newRig(t)
	r.options.Controls = true
	r.write("a.log", "first\n"+strings.Repeat("x", 60)+"\n")
	options := map[string]any{"max_bytes": 41}
	r.run(options, "*.log")
	r.sink.wait(t, 3)
	r.waitRecord("all", func(rec record) bool { return rec.Offset == 67 && rec.TooLong == nil })
	r.stop()
	r.do(r.store.Range(keyPrefix, func(key string, _ []byte) error { // as if the acknowledgement had not come
		var rec record
		_, err := r.store.Get(key, &rec)
		rec.TooLong = [][2]int64{{47, 67}}
		return errors.Join(err, r.store.Set(key, rec))
	}))
	r.sink = newSink()
	r.run(options, "*.log")
	lines, told := split(r.sink.wait(t, 1))
	if len(lines) != 0 || !slices.Equal(told, []string{"lost 47 67 too_long"}) {
		t.Errorf("%d lines, told %q", len(lines), told)
	}
	r.waitRecord("told", func(rec record) bool { return rec.TooLong == nil })
}

// A cut line that a processor drops is skipped as a whole.
func TestTooLongDropped(t *testing.T) {
	r := newRig(t)
	r.options.Controls, r.options.Bundles = true, false
	r.sink.drop = func(m string) bool { return strings.HasPrefix(m, "x") }
	r.write("a.log", "first\n"+strings.Repeat("x", 60)+"\nlast\n")
	r.run(map[string]any{"max_bytes": 41}, "*.log")
	lines, told := split(r.sink.wait(t, 2))
	if p := position(lines[1]); p.From != 67 || p.Skipped != 61 || len(told) != 0 {
		t.Errorf("%+v, told %q", p, told)
	}
}

// covered fails unless lines and losses have each byte of text once.
func covered(t *testing.T, text string, lines []beat.Event, told []string) {
	t.Helper()
	count := map[int64]int{}
	add := func(from, to int64) {
		for i := from; i < to; i++ {
			count[i]++
		}
	}
	for _, e := range lines {
		p := position(e)
		add(p.From-p.Skipped, p.To)
	}
	for _, l := range told {
		var from, to int64
		if _, err := fmt.Sscanf(l, "lost %d %d too_long", &from, &to); err != nil {
			t.Fatalf("%q: %v", l, err)
		}
		add(from, to)
	}
	if n := len(slices.Collect(maps.Keys(count))); n != len(text) {
		t.Errorf("%d bytes of %d are accounted for", n, len(text))
	}
	for i, n := range count {
		if n != 1 {
			t.Fatalf("byte %d is accounted for %d times", i, n)
		}
	}
}
