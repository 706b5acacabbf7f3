package multiline

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/processors/processortest"
)

func TestKit(t *testing.T) { processortest.Check(t, "multiline", New) }

// lines makes one event a line; "b~x" is the line x of source b.
func lines(texts ...string) (events []*event.Event) {
	at := map[string]int64{}
	for _, s := range texts {
		source, text, ok := strings.Cut(s, "~")
		if !ok {
			source, text = "a", s
		}
		n := int64(len(text) + 1)
		e := &event.Event{Position: ledger.Position{Source: source, From: at[source], To: at[source] + n, Sum: fmt.Sprint(at[source])}}
		at[source] += n
		e.Put("message", text)
		events = append(events, e)
	}
	return events
}

func join(t *testing.T, config string, events []*event.Event) (texts []string, out []*event.Event) {
	t.Helper()
	p := processortest.Make(t, New, config)
	n := len(events)
	gone := 0
	out = p.ProcessBatch(events, func(g, into *event.Event) {
		if into == nil || g == into {
			t.Error("a line is gone without trace")
		}
		gone++
	})
	if len(out)+gone != n {
		t.Errorf("%d events became %d and %d", n, len(out), gone)
	}
	for _, e := range out {
		s, _ := e.Get("message")
		texts = append(texts, s)
	}
	return texts, out
}

func TestJoin(t *testing.T) {
	f := func(config string, in, want []string) {
		t.Helper()
		if got, _ := join(t, config, lines(in...)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %q\nwant %q", config, got, want)
		}
	}
	f(`pattern: '^\s'`, []string{"x", " 1", " 2", "y", "z", " 3"}, []string{"x\n 1\n 2", "y", "z\n 3"})
	f(`{pattern: '^\d', negate: true}`, []string{"1 x", "a", "b", "2 y"}, []string{"1 x\na\nb", "2 y"})
	f(`{pattern: '\\$', match: before}`, []string{`a\`, `b\`, "c", "d"}, []string{"a\\\nb\\\nc", "d"})
	f(`pattern: '^\s'`, []string{"a~x", "b~y", "a~ 1", "b~ 2", "a~z"}, []string{"x\n 1", "y\n 2", "z"})
	f(`{pattern: '^\s', max_lines: 2}`, []string{"x", " 1", " 2", " 3"}, []string{"x\n 1", " 2\n 3"})
	f(`pattern: '^\s'`, []string{" 1", " 2"}, []string{" 1\n 2"})
	f(`preset: java`, []string{"2024 ERROR x", "java.lang.IllegalStateException: y", "\tat a.B.c(B.java:1)", "\t... 2 more", "Caused by: z", "\tat d", "2024 INFO w"},
		[]string{"2024 ERROR x", "java.lang.IllegalStateException: y\n\tat a.B.c(B.java:1)\n\t... 2 more\nCaused by: z\n\tat d", "2024 INFO w"})
	f(`preset: python`, []string{"ERROR x", "Traceback (most recent call last):", `  File "a.py", line 1`, "    f()", "ValueError: no", "INFO y"},
		[]string{"ERROR x\nTraceback (most recent call last):\n  File \"a.py\", line 1\n    f()\nValueError: no", "INFO y"})
	f(`preset: go`, []string{"panic: x", "", "goroutine 1 [running]:", "main.main()", "\t/a.go:1 +0x1", "exit status 2", "next"},
		[]string{"panic: x\n\ngoroutine 1 [running]:\nmain.main()\n\t/a.go:1 +0x1\nexit status 2", "next"})
}

func TestPosition(t *testing.T) {
	in := lines("x", " 1", " 2", "y")
	_, out := join(t, `pattern: '^\s'`, in)
	p := out[0].Position
	if p.From != 0 || p.To != 8 || p.Ranges != nil || p.Validate() != nil || p.Sum == "0" || p.Sum == "" {
		t.Errorf("got %+v", p)
	}
	_, again := join(t, `pattern: '^\s'`, lines("x", " 1", " 2", "y"))
	if again[0].Position.ID() != p.ID() {
		t.Error("the same lines have two ids")
	}
	in = lines("x", " 1", "gone", " 2")
	in = append(in[:2], in[3])
	_, out = join(t, `pattern: '^\s'`, in)
	if p := out[0].Position; !reflect.DeepEqual(p.Ranges, []ledger.Range{{From: 0, To: 5}, {From: 10, To: 13}}) || p.To != 13 || p.Validate() != nil {
		t.Errorf("got %+v", p)
	}
	in = lines("x", " 1", " 2")
	in[1], in[2] = in[2], in[1] // out of order: not joined
	if texts, _ := join(t, `pattern: '^\s'`, in); !reflect.DeepEqual(texts, []string{"x\n 2", " 1"}) {
		t.Errorf("got %q", texts)
	}
}

func TestRefused(t *testing.T) {
	f := processortest.Refused(t, New)
	f("{}\n", "either pattern or preset")
	f("{preset: cobol}\n", "none of go, indent, java, python")
	f("{pattern: x, match: around}\n", "neither after nor before")
	f("{pattern: x, max_lines: 1}\n", "from 2 to 4000")
	f("{pattern: '('}\n", "missing closing")
	f("{preset: java, negate: true}\n", "go with pattern")
	f("{pattern: x, max_bytes: 1}\n", "from 1000")
}

func BenchmarkJoin(b *testing.B) {
	p := processortest.Make(b, New, `preset: java`)
	in := lines("2024-01-02 03:04:05 ERROR x", "\tat a.B.c(B.java:1)", "\tat a.B.d(B.java:2)", "2024-01-02 03:04:06 INFO y")
	b.ReportAllocs()
	for b.Loop() {
		events := make([]*event.Event, len(in))
		for i := range in {
			e := *in[i]
			e.Fields = append([]event.Field(nil), e.Fields...)
			events[i] = &e
		}
		if len(p.ProcessBatch(events, func(_, _ *event.Event) {})) != 2 {
			b.Fatal("not joined")
		}
	}
}

func FuzzConfig(f *testing.F) {
	processortest.FuzzConfig(f, New, `{pattern: "^a", negate: true, match: after, max_lines: 5}`, `preset: java`)
}
