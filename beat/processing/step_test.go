package processing

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/processors"
	"pgregory.net/rapid"

	"github.com/tallylog/tally/event"
)

// run gives what is left of an event, nil where it was dropped.
func run(t *testing.T, text string, e *beat.Event) *beat.Event {
	t.Helper()
	out, err := (&processors.Processors{List: chain(t, text)}).Run(e)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOurProcessors(t *testing.T) {
	f := func(text string, in, want common.MapStr) {
		t.Helper()
		before := in.Clone()
		got := run(t, text, &beat.Event{Timestamp: time.Unix(1, 0), Fields: in})
		if !reflect.DeepEqual(in, before) {
			t.Errorf("%s changed the maps that it was given: %v", text, in)
		}
		switch {
		case got == nil && want == nil:
		case got == nil || !reflect.DeepEqual(got.Fields, want):
			t.Errorf("%s\n got %v\nwant %v", text, got, want)
		}
	}
	type m = common.MapStr
	f("- grok: {patterns: ['%{INT:a.n:int} %{WORD:a.w}']}", m{"message": "17 x", "a": m{"o": int64(1)}}, m{"message": "17 x", "a": m{"o": int64(1), "n": int64(17), "w": "x"}})
	f("- grok: {patterns: ['%{INT:a.n:int}']}", m{"message": "x", "a": "text"}, m{"message": "x", "a": "text", "tags": []any{"_grokparsefailure"}, "error": m{"message": "grok: no pattern matches"}})
	f("- grok: {patterns: ['%{INT:a.n:int}']}", m{"message": "1", "a": "text"}, m{"message": "1", "a": "text", "a.n": int64(1)})
	f("- redact: {fields: [message], presets: [email]}", m{"message": "to a.b@example.com now"}, m{"message": "to [REDACTED] now"})
	f("- lowercase: {fields: [a.b]}", m{"a": m{"b": "X", "c": m{}}, "n": nil}, m{"a": m{"b": "x", "c": m{}}, "n": nil})
	f("- json: {fields: [message], target: j}", m{"message": `{"x":{"y":[1,2.5,"z"]},"b":true}`}, m{"message": `{"x":{"y":[1,2.5,"z"]},"b":true}`, "j": m{"x": m{"y": []any{int64(1), 2.5, "z"}}, "b": true}})
	f("- sample: {rate: 0.0000001}", m{"message": "x"}, nil)
	f("- uppercase: {fields: [a], when: {has_fields: [b]}}", m{"a": "x"}, m{"a": "x"})
	f("- include_event: {when: {equals: {a: x}}}", m{"a": "x"}, m{"a": "x"})
	f("- include_event: {when: {equals: {a: x}}}", m{"a": "y"}, nil)
	f("- if: {equals: {a: x}}\n  then: [{uppercase: {fields: [a]}}]\n  else: [{drop_event: }]", m{"a": "x"}, m{"a": "X"})
	f("- if: {equals: {a: x}}\n  then: [{uppercase: {fields: [a]}}]\n  else: [{drop_event: }]", m{"a": "y"}, nil)
}

func TestMistakes(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		_, err := processors.New(read(t, text))
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v, want %q in it", text, err, w)
			}
		}
	}
	f("- grok: {patterns: ['%{NOSUCH:a}']}", "NOSUCH", "accessing 'processors.0.grok.patterns")
	f("- redact: {fields: [a], presets: [email], colour: red}", "colour", "accessing 'processors.0.redact")
	f("- include_event: ", "when is missing")
	f("- include_event: {when: {equals: {a: x}}, fields: [a]}", "unexpected fields option")
	f("- route: {tenant: other}", "only the server's pipelines", "accessing 'processors.0.route.tenant'")
	f("- multiline: {pattern: x}", "the input's option multiline")
	f("- drop_event: {when: {regexp: {a: '('}}}", "missing closing")
	f("- drop_event: {fields: [a]}", "unexpected fields option")
	f("- include_fields: {}", "missing fields option")
}

// What was changed comes back, everything else is left as it was, however odd the event.
func TestPutBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := objects(2).Draw(t, "event")
		before := flatten(nil, "", m, maxDepth)
		seen := map[string]bool{}
		for _, f := range before {
			if seen[f.Name] {
				t.Skip("one name twice")
			}
			seen[f.Name] = true
		}
		e := event.Event{Fields: append([]event.Field(nil), before...)}
		for range rapid.IntRange(0, 4).Draw(t, "changes") {
			name := rapid.SampledFrom([]string{"a", "b", "a.b", "a.c.b", "message", "new", "x.y"}).Draw(t, "name")
			if rapid.Bool().Draw(t, "delete") {
				e.Delete(name)
			} else {
				e.Put(name, "new")
			}
		}
		copied := m.String()
		out := putBack(m, before, e.Fields)
		if m.String() != copied {
			t.Fatalf("the maps of the event were changed: %v, were %v", m, copied)
		}
		want, got := map[string]event.Field{}, map[string]event.Field{}
		for _, f := range e.Fields {
			want[f.Name] = f
		}
		for name := range want { // an empty object is no longer one with something in it
			for i := range name {
				if f := want[name[:i]]; name[i] == '.' && f.Value == "{}" {
					delete(want, f.Name)
				}
			}
		}
		for _, f := range flatten(nil, "", out, maxDepth) {
			got[f.Name] = f
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("of %v\n got %v\nwant %v", m, got, want)
		}
	})
}

func TestTimeIsTaken(t *testing.T) {
	e := &beat.Event{Timestamp: time.Unix(1, 0), Fields: common.MapStr{"message": "x"}}
	out := run(t, `- grok: {patterns: ['%{WORD:w}']}`, e)
	if !out.Timestamp.Equal(time.Unix(1, 0)) {
		t.Errorf("the time became %v", out.Timestamp)
	}
}
