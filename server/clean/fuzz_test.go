package clean

import (
	"strings"
	"testing"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/record"
	"github.com/tallylog/tally/strictyaml"
)

// TestReason: a dead letter says once which processor did not like it, and why.
func TestReason(t *testing.T) {
	p := pipelines(t, "- name: a\n  processors:\n  - grok: {patterns: '^%{INT:n}$'}\n  - rename: {fields: [{from: none, to: x}]}\n  on_failure: dead_letter\n")
	for text, want := range map[string]string{"x": "grok: no pattern matches", "7": `rename: `} {
		b := &record.Batch{Events: []event.Event{{Fields: []event.Field{{Name: event.Message, Value: text}}}}}
		p.Clean(b)
		if len(b.Rejected) != 1 || len(b.Events) != 0 || !strings.HasPrefix(b.Rejected[0].Reason, want) || strings.Count(b.Rejected[0].Reason, want) != 1 {
			t.Errorf("%s: %+v, want %s", text, b.Rejected, want)
		}
	}
}

// FuzzCompile holds that what stands in a file of pipelines is refused, or takes a batch and its own tests without a panic.
func FuzzCompile(f *testing.F) {
	for _, name := range readyNames() {
		text, err := readyFiles.ReadFile("ready/" + name + ".yml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("pipelines:\n- use: nginx\n- name: a\n  when: {has_fields: [a]}\n  continue: true\n  processors:\n  - if: {equals: {a: 1}}\n    then: [{drop_event: {}}]\n    else: {add_tags: {tags: x}}\n" +
		"  on_failure: dead_letter\n  tests: [{input: 'a', want: {message: a}}, {lines: [b, c], dropped: true}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		root, err := strictyaml.Parse("test.yml", []byte(text), noEnvironment)
		if err != nil {
			return
		}
		p, err := CompileFile(root)
		if err != nil {
			return
		}
		b := &record.Batch{Events: []event.Event{{Fields: []event.Field{{Name: event.Message, Value: "a 1"}}}, {Fields: []event.Field{{Name: event.Message, Value: "b=2"}}}}}
		p.Clean(b)
		p.Test()
	})
}
