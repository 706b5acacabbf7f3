package pluginapi

import (
	"reflect"
	"testing"
)

// batch is one event {a: "x", n: 5} at 7 ns, as FORMAT.md writes it.
var batch = []byte{1, 2, 1, 'a', 1, 'n', 1, 14, 2, 0, 0, 1, 'x', 1, 1, 1, '5'}

func TestDecodeBatch(t *testing.T) {
	events, err := decodeBatch(batch)
	if err != nil || len(events) != 1 {
		t.Fatal(events, err)
	}
	e := events[0]
	if want := []Field{{Name: "a", Text: "x"}, {Name: "n", Text: "5", Kind: Number}}; !reflect.DeepEqual(e.Fields(), want) || e.Time().UnixNano() != 7 {
		t.Errorf("got %+v at %v", e.Fields(), e.Time())
	}
	for n := range batch {
		if _, err := decodeBatch(batch[:n]); err == nil {
			t.Errorf("the first %d bytes were taken for a batch", n)
		}
	}
	if _, err := decodeBatch(append(batch[:len(batch):len(batch)], 0)); err == nil {
		t.Error("a byte too many was taken")
	}
}

func TestAnswer(t *testing.T) {
	f := func(what string, do func(e *Event), want ...byte) {
		t.Helper()
		events, err := decodeBatch(batch)
		if err != nil {
			t.Fatal(err)
		}
		do(events[0])
		if got := appendAnswer(nil, events); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %v\nwant %v", what, got, want)
		}
	}
	f("nothing", func(*Event) {}, 1, 0, 1, Kept)
	f("drop", func(e *Event) { e.Set("b", "y"); e.Drop() }, 1, 1, 1, 'b', 1, Dropped)
	f("set", func(e *Event) { e.Set("b", "y") }, 1, 1, 1, 'b', 1, Changed, 0, 0, 1, 0, 0, 1, 'y', 0)
	f("set in place", func(e *Event) { e.SetInt("a", 8); e.SetBool("a", true) }, 1, 1, 1, 'a', 1, Changed, 0, 0, 1, 0, 2, 4, 't', 'r', 'u', 'e', 0)
	f("delete", func(e *Event) { e.Delete("a") }, 1, 1, 1, 'a', 1, Changed, 0, 1, 0, 0, 0)
	f("tag", func(e *Event) { e.Tag("t") }, 1, 0, 1, Changed, 0, 0, 0, 1, 1, 't')
	f("fail", func(e *Event) { e.Set("a", "y"); e.Fail("no") }, 1, 1, 1, 'a', 1, Failed, 2, 'n', 'o')
	f("time", func(e *Event) { e.SetTime(e.Time().Add(1)) }, 1, 0, 1, Changed, HasTime, 16, 0, 0, 0)
	f("split", func(e *Event) {
		p := e.Split(3)
		p[0].Set("a", "1")
		p[1].Drop()
		p[2].Set("a", "3")
		if again := p[2].Split(2); len(again) != 1 {
			t.Errorf("a part was split into %d", len(again))
		}
	}, 1, 1, 1, 'a', 1, SplitUp, 2, 0, 0, 1, 0, 0, 1, '1', 0, 0, 0, 1, 0, 0, 1, '3', 0)
	f("split into nothing", func(e *Event) {
		for _, p := range e.Split(2) {
			p.Drop()
		}
	}, 1, 0, 1, Dropped)
}

func TestFields(t *testing.T) {
	e := &Event{fields: []Field{{Name: "http.method", Text: "GET"}, {Name: "httpd", Text: "x"}}}
	e.Set("http", "all")
	if _, ok := e.Get("http.method"); ok {
		t.Error("a field and an object share a name")
	}
	if v, _ := e.Get("httpd"); v != "x" {
		t.Error("a neighbour is gone")
	}
	if !e.Time().IsZero() {
		t.Error("an event without a time has one")
	}
}

func FuzzDecodeBatch(f *testing.F) {
	f.Add(batch)
	f.Add([]byte{1, 0, 0})
	f.Add([]byte{1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		events, err := decodeBatch(b)
		if err != nil {
			return
		}
		for i, e := range events {
			switch i % 4 {
			case 0:
				e.Set("f", "v")
			case 1:
				e.Split(2)[1].Delete("a")
			}
		}
		appendAnswer(nil, events)
	})
}
