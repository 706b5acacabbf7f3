package proto

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/plugins/pluginapi"
)

func fields(t testing.TB, list ...string) *Fields {
	t.Helper()
	f, err := NewFields(list, true)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFields(t *testing.T) {
	f := func(declared, name string, want bool) {
		t.Helper()
		if got := fields(t, strings.Fields(declared)...).Has(name); got != want {
			t.Errorf("%q has %q: %t", declared, name, got)
		}
	}
	f("a.b", "a.b", true)
	f("a.b", "a.b.c", true)
	f("a.b", "a", false)
	f("a.b", "a.bc", false)
	f("*", "x", true)
	f("", "x", false)
	for _, bad := range []string{"_id", "tally", "tally.x", "", "a*", "@metadata.tally", strings.Repeat("x", 129), "\xff"} {
		if _, err := NewFields([]string{bad}, true); err == nil {
			t.Errorf("%q can be declared", bad)
		}
	}
	if _, err := NewFields([]string{"tally.timestamp"}, false); err != nil {
		t.Error(err)
	}
}

func TestAppendBatch(t *testing.T) {
	e := &event.Event{Time: 7, Fields: []event.Field{{Name: "a", Value: "x"}, {Name: "secret", Value: "s"}, {Name: "n", Value: "5", Kind: event.Number}}}
	want := []byte{1, 2, 1, 'a', 1, 'n', 2, 14, 2, 0, 0, 1, 'x', 1, 1, 1, '5', 14, 2, 0, 0, 1, 'x', 1, 1, 1, '5'}
	if got := AppendBatch([]byte("before"), []*event.Event{e, e}, fields(t, "a", "n", "@timestamp")); string(got) != "before"+string(want) {
		t.Errorf("got %v", got)
	}
	if got := AppendBatch(nil, []*event.Event{e}, fields(t, "n")); string(got) != string([]byte{1, 1, 1, 'n', 1, 0, 1, 0, 1, 1, '5'}) {
		t.Errorf("got %v", got)
	}
}

func TestDecodeAnswer(t *testing.T) {
	w := fields(t, "a", "@timestamp")
	f := func(n int, want []Result, b ...byte) {
		t.Helper()
		got, err := DecodeAnswer(b, n, w)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v: got %+v, %v", b, got, err)
		}
	}
	f(2, []Result{{}, {What: pluginapi.Dropped}}, 1, 0, 2, 0, 1)
	f(1, []Result{{What: pluginapi.Failed, Reason: "no"}}, 1, 0, 1, 4, 2, 'n', 'o')
	f(1, []Result{{What: pluginapi.Changed, Changes: []Change{{HasTime: true, Time: 8, Removed: []string{"a"}, Set: []event.Field{{Name: "a", Value: "y"}}, Tags: []string{"t"}}}}},
		1, 1, 1, 'a', 1, 2, 1, 16, 1, 0, 1, 0, 0, 1, 'y', 1, 1, 't')
	f(1, []Result{{What: pluginapi.SplitUp, Changes: []Change{{}, {Tags: []string{"t"}}}}}, 1, 0, 1, 3, 2, 0, 0, 0, 0, 0, 0, 0, 1, 1, 't')

	bad := func(want string, n int, w *Fields, b ...byte) {
		t.Helper()
		if got, err := DecodeAnswer(b, n, w); !errors.Is(err, ErrAnswer) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %+v, %v", b, got, err)
		}
	}
	bad("for 2 events, 1 were sent", 1, w, 1, 0, 2, 0, 0)
	bad("for 0 events", 1, w, 1, 0, 0)
	bad("too early", 2, w, 1, 0, 2, 0)
	bad("behind its end", 1, w, 1, 0, 1, 0, 0)
	bad("version 2", 1, w, 2, 0, 1, 0)
	bad(`"b" is not among`, 1, w, 1, 1, 1, 'b', 1, 0)
	bad(`"_id" cannot be set`, 1, fields(t, "*"), 1, 1, 3, '_', 'i', 'd', 1, 0)
	bad(`"tally.x" cannot be set`, 1, fields(t, "*"), 1, 1, 7, 't', 'a', 'l', 'l', 'y', '.', 'x', 1, 0)
	bad("declare that it writes @timestamp", 1, fields(t, "a"), 1, 0, 1, 2, 1, 16, 0, 0, 0)
	bad("no name 1", 1, w, 1, 1, 1, 'a', 1, 2, 0, 1, 1, 0, 0)
	bad("unknown flags", 1, w, 1, 0, 1, 2, 2, 0, 0, 0)
	bad("no result", 1, w, 1, 0, 1, 9)
	bad("into 0", 1, w, 1, 0, 1, 3, 0)
	bad("has no end", 1, w, 1, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255)
	bad("no room", 1, w, 1, 255, 255, 255, 127)
	value := func(kind byte, s string) []byte {
		return append([]byte{1, 1, 1, 'a', 1, 2, 0, 0, 1, 0, kind, byte(len(s))}, append([]byte(s), 0)...)
	}
	for _, v := range []string{"x", "", "nan", "inf", "-", "1 2", "+1", "[1]"} {
		bad("not of kind 1", 1, w, value(1, v)...)
	}
	for _, v := range []string{`{"b":1}`, `"x"`, "[1", ""} {
		bad("not of kind 3", 1, w, value(3, v)...)
	}
	bad("not of kind 2", 1, w, value(2, "True")...)
	bad("not of kind 4", 1, w, value(4, "x")...)
	deep := strings.Repeat("[", 1<<20)
	bad("not of kind 3", 1, w, append([]byte{1, 1, 1, 'a', 1, 2, 0, 0, 1, 0, 3, 0x80, 0x80, 0x40}, deep+"\x00"...)...)
}

func FuzzDecodeAnswer(f *testing.F) {
	f.Add([]byte{1, 0, 2, 0, 1})
	f.Add([]byte{1, 1, 1, 'a', 2, 2, 1, 16, 1, 0, 1, 0, 0, 1, 'y', 1, 1, 't', 4, 2, 'n', 'o'})
	f.Add([]byte{1, 1, 1, 'a', 2, 3, 2, 0, 0, 0, 0, 0, 0, 0, 1, 1, 't', 1})
	f.Add([]byte{1, 1, 1, 'a', 2, 2, 0, 0, 1, 0, 1, 2, '1', '5', 0, 0})
	w := fields(f, "*")
	f.Fuzz(func(t *testing.T, b []byte) {
		results, err := DecodeAnswer(b, 2, w)
		if err != nil {
			if !errors.Is(err, ErrAnswer) {
				t.Fatal(err)
			}
			return
		}
		for _, r := range results {
			for i := range r.Changes {
				e := event.Event{Fields: []event.Field{{Name: "a", Value: "x"}}}
				r.Changes[i].Apply(&e)
				if _, ok := e.Get("_id"); ok {
					t.Fatal("_id was set")
				}
			}
		}
	})
}
