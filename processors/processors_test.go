package processors

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/processors/processortest"
	"github.com/tallylog/tally/strictyaml"
)

func chain(t testing.TB, text string) (*Chain, error) {
	t.Helper()
	n, err := strictyaml.Parse("test.yml", []byte(text), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return Compile(n)
}

func TestChain(t *testing.T) {
	f := func(text, in, want string) {
		t.Helper()
		c, err := chain(t, text)
		if err != nil {
			t.Fatal(err)
		}
		e := processortest.Event(t, in)
		keep := c.Process(&e)
		if got := string(processor.AppendJSON(nil, &e)); keep == (want == "dropped") || keep && !processortest.Same(got, want) {
			t.Errorf("%s\n got %t %s\nwant %s", text, keep, got, want)
		}
	}
	f("- add_tags: {tags: a, when: {equals: {x: y}}}\n- add_tags: {tags: b}", `{"x":"z"}`, `{"x":"z","tags":["b"]}`)
	f("- drop_event:\n- add_tags: {tags: b}", `{}`, "dropped")
	f("- include_event: {when: {has_fields: [x]}}", `{"x":"z"}`, `{"x":"z"}`)
	f("- include_event: {when: {has_fields: [y]}}", `{"x":"z"}`, `dropped`)
	ifs := "- if: {equals: {x: y}}\n  then:\n  - add_tags: {tags: yes}\n  - if: {has_fields: [z]}\n    then: {drop_event: }\n  else:\n    add_tags: {tags: no}"
	f(ifs, `{"x":"y"}`, `{"x":"y","tags":["yes"]}`)
	f(ifs, `{"x":"y","z":1}`, `dropped`)
	f(ifs, `{"x":"z"}`, `{"x":"z","tags":["no"]}`)
	f("- grok: {patterns: '%{INT:a:int}'}\n- add_tags: {tags: b}", `{"message":"x"}`, `{"message":"x","tags":["_grokparsefailure","b"],"error":{"message":"grok: no pattern matches"}}`)
	f("- grok: {patterns: '%{INT:a:int}'}", `{"message":"x","error":{"code":1}}`, `{"message":"x","tags":["_grokparsefailure"],"error":{"code":1}}`)
}

func TestOnFailure(t *testing.T) {
	c, err := chain(t, "- if: {has_fields: [message]}\n  then:\n  - grok: {patterns: '%{INT:a:int}'}\n  - add_tags: {tags: inner}\n- add_tags: {tags: outer}")
	if err != nil {
		t.Fatal(err)
	}
	if c.OnFailure, err = chain(t, "- add_tags: {tags: saved}"); err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		`{"message":"x"}`: `{"message":"x","tags":["_grokparsefailure","saved"],"error":{"message":"grok: no pattern matches"}}`,
		`{"message":"1"}`: `{"message":"1","a":1,"tags":["inner","outer"]}`,
	} {
		e := processortest.Event(t, in)
		c.Process(&e)
		if got := string(processor.AppendJSON(nil, &e)); !processortest.Same(got, want) {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
	if s := c.Steps[0].Then.Steps[0]; s.Stats.Events.Load() != 2 || s.Stats.Failures.Load() != 1 {
		t.Errorf("counts %d, %d", s.Stats.Events.Load(), s.Stats.Failures.Load())
	}
}

// broken changes the event, and panics.
type broken struct{}

func (broken) String() string { return "broken" }
func (broken) Process(e *event.Event) (bool, error) {
	e.Put(event.Message, "changed")
	e.Delete("a")
	e.Time = 7
	panic(errors.New("oh"))
}
func (broken) ProcessBatch(events []*event.Event, taken func(_, _ *event.Event)) []*event.Event {
	taken(events[0], nil)
	events[0], events[1] = events[1], nil
	events[0].Put(event.Message, "changed")
	panic("oh")
}

func TestPanic(t *testing.T) {
	c, err := chain(t, "- add_tags: {tags: first}")
	if err != nil {
		t.Fatal(err)
	}
	c.Steps = append(c.Steps, &Step{Name: "broken", p: broken{}})
	e := processortest.Event(t, `{"message":"text","a":1}`)
	if !c.Process(&e) {
		t.Error("the event is gone")
	}
	want := `{"message":"text","a":1,"tags":["_processor_panic"],"error":{"message":"broken: panic: oh"}}`
	if got := string(processor.AppendJSON(nil, &e)); !processortest.Same(got, want) {
		t.Errorf("got %s\nwant %s", got, want)
	}
	c.Steps = []*Step{{Name: "broken", p: broken{}, batch: broken{}}}
	one, two := processortest.Event(t, `{"message":"1"}`), processortest.Event(t, `{"message":"2"}`)
	out := c.Run([]*event.Event{&one, &two}, Observer{Taken: func(_, _ *event.Event, _ *Step) { t.Error("an event is taken") }})
	if len(out) != 2 || out[0] != &one || out[1] != &two {
		t.Fatalf("got %v", out)
	}
	for i, e := range out {
		if s, _ := e.Get(event.Message); s != string(rune('1'+i)) || !strings.Contains(string(processor.AppendJSON(nil, e)), PanicTag) {
			t.Errorf("got %s", processor.AppendJSON(nil, e))
		}
	}
	if c.Steps[0].Stats.Panics.Load() != 1 {
		t.Error("the panic is not counted")
	}
}

// TestBatch holds that steps before and behind one that joins see the right events.
func TestBatch(t *testing.T) {
	c, err := chain(t, "- drop_event: {when: {equals: {message: noise}}}\n- multiline: {pattern: '^ '}\n- add_tags: {tags: end}")
	if err != nil {
		t.Fatal(err)
	}
	var events []*event.Event
	for _, s := range []string{"a", "noise", " b", "c"} {
		e := &event.Event{}
		e.Put("message", s)
		events = append(events, e)
	}
	dropped, joined := 0, 0
	out := c.Run(events, Observer{Taken: func(_, into *event.Event, _ *Step) {
		if into == nil {
			dropped++
		} else {
			joined++
		}
	}})
	if len(out) != 2 || dropped != 1 || joined != 1 {
		t.Fatalf("%d left, %d dropped, %d joined", len(out), dropped, joined)
	}
	if got := string(processor.AppendJSON(nil, out[0])); got != `{"message":"a\n b","log.lines":2,"tags":["end"]}` {
		t.Errorf("got %s", got)
	}
}

func TestRefused(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if _, err := chain(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q\n got %v\nwant %s", text, err, want)
		}
	}
	f("- logfmt: {field: x}\n", "test.yml:1: [0].logfmt: unknown processor; did you mean kv?")
	f("- grock: {}\n", "test.yml:1: [0].grock: unknown processor; known here are add_fields,")
	f("- grock: {}\n", "did you mean grok?")
	f("- grok: {patern: x}\n", "test.yml:1: [0].grok.patern: unknown key; known here are field,")
	f("- add_tags:\n  tags: [x]\n", "the key tags is missing")
	f("- drop_event:\n  when: {}\n", "one processor is wanted here; when is another")
	f("- drop_event: {when: {equal: {a: 1}}}\n", "did you mean equals?")
	f("- x\n", "a processor is wanted")
	f("- {}\n", "a processor is wanted")
	f("a: 1\n", "a list is wanted")
	f("- if: {has_fields: [a]}\n", "the key then is missing")
	f("- if: {has_fields: [a]}\n  then: {drop_event: }\n  esle: []\n", "did you mean else?")
	f("- if: {has_fields: [a]}\n  then: {multiline: {preset: java}}\n", "looks at whole batches")
	f("- multiline: {preset: java, when: {has_fields: [a]}}\n", "looks at whole batches")
	f("- &x {if: {has_fields: [a]}, then: *x}\n", "nesting is too deep")
}

// TestList holds that every folder of a processor is in the list, and every processor documented.
func TestList(t *testing.T) {
	var all strings.Builder
	readmes, err := filepath.Glob("*/README.md")
	if err != nil || len(readmes) < 25 {
		t.Fatal(readmes, err)
	}
	for _, name := range readmes {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(b), "\n")
		all.WriteString(first + " ")
	}
	for _, name := range Names() {
		if !strings.Contains(strings.NewReplacer(",", " ", "(", " ", ")", " ").Replace(all.String())+" ", " "+name+" ") && name != "copy" {
			t.Errorf("no README.md is about %s", name)
		}
	}
}

func BenchmarkChain(b *testing.B) {
	c, err := chain(b, "- grok: {patterns: '%{HTTPD_COMBINEDLOG}'}\n- timestamp: {field: timestamp, layouts: '02/Jan/2006:15:04:05 -0700'}\n- drop_fields: {fields: timestamp}\n"+
		"- redact: {fields: [url.original], presets: [credit_card, email, secret]}")
	if err != nil {
		b.Fatal(err)
	}
	in := processortest.Event(b, `{"host":{"name":"n"},"message":"83.149.9.216 - frank [17/May/2015:10:05:03 +0000] \"GET /presentations/logstash HTTP/1.1\" 200 203023 \"http://semicomplete.com\" \"Mozilla/5.0\""}`)
	fields := make([]event.Field, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		e := in
		e.Fields = append(fields[:0], in.Fields...)
		if !c.Process(&e) {
			b.Fatal("gone")
		}
	}
}
