package processor

import (
	"errors"
	"fmt"
	"testing"

	"github.com/valyala/fastjson"

	"github.com/tallylog/tally/event"
)

func TestTag(t *testing.T) {
	if got := Tag(fmt.Errorf("wrapped: %w", Fail("_x", "no"))); got != "_x" {
		t.Errorf("got %q", got)
	}
	if got := Tag(errors.New("plain")); got != GenericTag {
		t.Errorf("got %q", got)
	}
}

func TestFields(t *testing.T) {
	var d event.Decoder
	e, err := d.Decode([]byte(`{"@timestamp":"2024-05-06T07:08:09Z","a":{"b":1,"c":"x"},"tags":["p","q"],"t":true}`))
	if err != nil {
		t.Fatal(err)
	}
	if !Has(&e, "a") || !Has(&e, "a.b") || Has(&e, "a.") || Has(&e, "b") || !Has(&e, event.Timestamp) {
		t.Error("Has")
	}
	if f, _ := Get(&e, event.Timestamp); f.Value != "2024-05-06T07:08:09.000Z" {
		t.Errorf("time %q", f.Value)
	}
	if len(Under(&e, "a")) != 2 || len(Under(&e, "t")) != 1 {
		t.Error("Under")
	}
	if f, _ := Get(&e, "tags"); len(Texts(f)) != 2 {
		t.Error("Texts")
	}
	for _, name := range []string{"_id", "tally", "tally.source", ""} {
		if Put(&e, event.Field{Name: name, Value: "x"}) == nil {
			t.Errorf("the field %q can be set", name)
		}
	}
	if Put(&e, event.Field{Name: event.Timestamp, Value: "soon"}) == nil || Put(&e, event.Field{Name: event.Timestamp, Value: "2024-05-06T00:00:00Z"}) != nil {
		t.Error("@timestamp")
	}
	if got := string(AppendJSON(nil, &e)); got != `{"@timestamp":"2024-05-06T00:00:00.000Z","a.b":1,"a.c":"x","tags":["p","q"],"t":true}` {
		t.Errorf("got %s", got)
	}
}

func TestLeaves(t *testing.T) {
	f := func(text string, depth int, want string) {
		t.Helper()
		e := event.Event{Fields: Leaves(nil, "r", fastjson.MustParse(text), depth)}
		if got := string(AppendJSON(nil, &e)); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	f(`{"a":{"b":1},"c":null}`, 9, `{"r.a.b":1}`)
	f(`{"a":{"b":1}}`, 1, `{"r.a":{"b":1}}`)
	f(`[1,2]`, 1, `{"r":[1,2]}`)
	f(`{}`, 1, `{"r":{}}`)
}
