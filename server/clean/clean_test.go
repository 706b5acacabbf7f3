package clean

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/server/record"
	"github.com/tallylog/tally/strictyaml"
)

func parse(t testing.TB, text string) strictyaml.Node {
	t.Helper()
	n, err := strictyaml.Parse("test.yml", []byte(text), noEnvironment)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func pipelines(t testing.TB, text string) *Pipelines {
	t.Helper()
	p, err := Compile(parse(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestReady runs the tests in all pipelines that come with the program, and holds that their own condition chooses their input.
func TestReady(t *testing.T) {
	for _, name := range readyNames() {
		q, err := Ready(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if q.Name != name || q.When == nil || len(q.Tests) == 0 {
			t.Errorf("%s: name %q, %d tests", name, q.Name, len(q.Tests))
		}
		p := &Pipelines{List: []*Pipeline{q}}
		ran, failed := p.Test()
		for _, f := range failed {
			t.Errorf("%s, %s:\n%s", f.Pipeline, f.Case, f.Difference)
		}
		if ran != len(q.Tests) {
			t.Errorf("%s: %d tests ran", name, ran)
		}
		for _, c := range q.Tests {
			b, err := batch(c.input)
			if err != nil {
				t.Fatal(err)
			}
			for i := range b.Events {
				if !q.When.Check(&b.Events[i]) {
					s, _ := b.Events[i].Get(event.Message)
					t.Errorf("%s does not choose %q", name, s)
				}
			}
		}
	}
}

// TestReadyApart holds that no ready pipeline takes the lines of another, when all are in use.
func TestReadyApart(t *testing.T) {
	for _, name := range readyNames() {
		own, err := Ready(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range readyNames() {
			q, err := Ready(other)
			if err != nil || other == name {
				continue
			}
			for _, c := range own.Tests {
				b, _ := batch(c.input)
				if q.When.Check(&b.Events[0]) {
					t.Errorf("%s takes a line of %s: %s", other, name, c.input[0])
				}
			}
		}
	}
}

func TestClean(t *testing.T) {
	p := pipelines(t, `
- name: secrets
  continue: true
  processors:
  - redact: {presets: secret, replacement: X}
- name: web
  when: {contains: {message: GET}}
  processors:
  - drop_event: {when: {contains: {message: healthz}}}
  - add_tags: {tags: web}
- name: rest
  processors:
  - multiline: {pattern: '^ '}
  - add_tags: {tags: rest}
`)
	b := &record.Batch{}
	at := int64(0)
	for _, s := range []string{"GET /healthz", "GET /healthz", "GET /a?token=q", "x", " 1", "y", "GET /healthz"} {
		e := event.Event{Position: ledger.Position{Source: "s", From: at, To: at + 10, Skipped: 0}}
		if s == " 1" {
			e.Position.From, e.Position.Skipped = at+2, 2
		}
		e.Put("message", s)
		at += 10
		b.Events = append(b.Events, e)
	}
	p.Clean(b)
	var got []string
	for i := range b.Events {
		got = append(got, string(processor.AppendJSON(nil, &b.Events[i])))
	}
	want := []string{`{"message":"GET /a?token=X","tags":["web"]}`, `{"message":"x\n 1","log.lines":2,"tags":["rest"]}`, `{"message":"y","tags":["rest"]}`}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
	notes := []record.Note{
		{Kind: record.Skipped, Source: "s", Range: ledger.Range{From: 0, To: 20}, Text: "pipeline web, processor drop_event"},
		{Kind: record.Skipped, Source: "s", Range: ledger.Range{From: 60, To: 70}, Text: "pipeline web, processor drop_event"},
		{Kind: record.Skipped, Source: "s", Range: ledger.Range{From: 40, To: 42}},
	}
	if !reflect.DeepEqual(b.Notes, notes) {
		t.Errorf("notes %+v", b.Notes)
	}
	if s := p.List[1].Stats; s.Events.Load() != 4 || s.Dropped.Load() != 3 || p.List[2].Stats.Joined.Load() != 1 {
		t.Error("the counters are wrong")
	}
	covered := &ledger.Set{}
	for _, n := range b.Notes {
		covered.Add(n.Range)
	}
	for i := range b.Events {
		if err := b.Events[i].Position.Validate(); err != nil {
			t.Error(err)
		}
		b.Events[i].Position.Pieces(func(r ledger.Range) { covered.Add(r) })
	}
	if !covered.Contains(ledger.Range{From: 0, To: 70}) {
		t.Error("the account has a hole")
	}
}

func TestCompile(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if _, err := Compile(parse(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q\n got %v\nwant %s", text, err, want)
		}
	}
	f("- name: a\n  procesors: []\n", "test.yml:2: [0].procesors: unknown key; known here are continue,")
	f("- name: a\n", "processors, or use with one of go-json,")
	f("- use: ngnix\n", "test.yml:1: [0].use: there is no ready pipeline of that name; known here are go-json,")
	f("- use: ngnix\n", "did you mean nginx?")
	f("- {use: nginx, processors: [{drop_event: }]}\n", "do not go with it")
	f("- {name: a, processors: [{drop_event: }]}\n- {name: a, processors: [{drop_event: }]}\n", "test.yml:2: [1]: there are two pipelines named \"a\"")
	f("- processors:\n  - grok: {patterns: '%{NOPE}'}\n", "test.yml:2: [0].processors[0].grok.patterns: the pattern NOPE is not known")
	f("- processors: [{drop_event: }]\n  when: {equal: {a: b}}\n", "did you mean equals?")
	f("- processors: [{drop_event: }, {multiline: {preset: java}}]\n  on_failure: [{drop_event: }]\n", "can only be the first")
	f("- processors: [{drop_event: }]\n  on_failure: [{multiline: {preset: java}}]\n", "cannot stand here")
	f("- processors: [{drop_event: }]\n  tests:\n  - input: x\n", "test.yml:3: [0].tests[0].input: a test needs one of want")
	f("- processors: [{drop_event: }]\n  tests:\n  - want: {a: 1}\n", "a test needs input or lines")
	f("- processors: [{drop_event: }]\n  tests:\n  - {input: x, want: y}\n", "fields and their values")
	f("nowhere.yml", "nowhere.yml")
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	write("p.yml", "pipelines:\n- use: nginx\n- use: klog\n  name: mine\n  when: {has_fields: [k]}\n")
	n, err := strictyaml.ReadFile(write("tally.yml", "pipelines: p.yml\n"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := Compile(n.At("pipelines"))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.List) != 2 || p.List[1].Name != "mine" || p.List[1].When.String() != "has_fields: [k]" {
		t.Errorf("got %+v", p.List)
	}
}

func TestCases(t *testing.T) {
	f := func(test, want string) {
		t.Helper()
		p := pipelines(t, "- name: p\n  processors:\n  - grok: {patterns: '^%{WORD:w} %{INT:n:int}$'}\n  - drop_event: {when: {equals: {w: bad}}}\n  tests:\n  - "+test+"\n")
		_, failed := p.Test()
		got := ""
		for _, x := range failed {
			got += x.Pipeline + ", " + x.Case + ": " + x.Difference
		}
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", test, got, want)
		}
	}
	f(`{input: a 1, output: {message: a 1, w: a, n: 1}}`, "")
	f(`{input: {message: a 1, x: {y: z}}, output: {message: a 1, w: a, n: 1, x.y: z}}`, "")
	f(`{input: a 1, want: {n: 1.0, tags: null}}`, "")
	f(`{lines: [a 1, b 2], want: [{w: a}, {w: b}]}`, "")
	f(`{input: bad 1, dropped: true}`, "")
	f(`{input: x, want: {tags: [_grokparsefailure]}}`, "")
	f(`{name: c, input: a 1, want: {n: 2, q: 3, w: null}}`, "p, c: n: got 1, want 2\nq: missing, want 3\nw: got \"a\", want none")
	f(`{input: a 1, output: {message: a 1, w: a}}`, "p, test 1: n: got 1, not wanted at all")
	f(`{input: a 1, dropped: true}`, "p, test 1: 1 events came out, 0 were wanted\n  {\"message\":\"a 1\",\"w\":\"a\",\"n\":1}")
	f(`{lines: [a 1, b 2], want: [{w: a}, {w: c}]}`, "p, test 1: event 2: w: got \"b\", want \"c\"")
}

func BenchmarkNginx(b *testing.B) {
	p := pipelines(b, "- use: nginx\n")
	line := `83.149.9.216 - frank [17/May/2015:10:05:03 +0000] "GET /presentations/logstash HTTP/1.1" 200 203023 "http://semicomplete.com" "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_1)"`
	b.ReportAllocs()
	for b.Loop() {
		batch := &record.Batch{Events: make([]event.Event, 1000)}
		for i := range batch.Events {
			batch.Events[i].Fields = append(make([]event.Field, 0, 24), event.Field{Name: "message", Value: line}, event.Field{Name: "host.name", Value: "n"})
		}
		p.Clean(batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
}
