package processors

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// far is a Group that does what an event's message says, and remembers the batches that it was given.
type far struct{ batches []string }

func (*far) String() string                       { return "far" }
func (*far) Process(e *event.Event) (bool, error) { panic("ProcessGroup is called in its place") }
func (f *far) ProcessGroup(events []*event.Event) (out []processor.Outcome) {
	var all []string
	for _, e := range events {
		m, _ := e.Get("message")
		all = append(all, m)
		o := processor.Outcome{}
		switch {
		case strings.Contains(m, "drop"):
			o.Drop = true
		case strings.Contains(m, "fail"):
			o.Err = processor.Fail("_far", "it failed")
		case strings.Contains(m, "split"):
			o.More = []*event.Event{{Fields: []event.Field{{Name: "message", Value: m + "+"}}}}
		case strings.Contains(m, "panic"):
			panic("far")
		}
		if o.Err == nil {
			e.Put("far", "yes")
		}
		out = append(out, o)
	}
	f.batches = append(f.batches, strings.Join(all, " "))
	if strings.Contains(strings.Join(all, " "), "miscount") {
		return out[1:]
	}
	return out
}

func farChain(t *testing.T, yaml string) (*Chain, *far) {
	t.Helper()
	n, err := strictyaml.Parse("f.yml", []byte(yaml), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	f := &far{}
	c, err := Compile(n, Extra{Name: "far", New: func(n strictyaml.Node) (processor.Processor, error) { return f, n.Decode(&struct{}{}) }})
	if err != nil {
		t.Fatal(err)
	}
	return c, f
}

func messages(events []*event.Event) string {
	var out []string
	for _, e := range events {
		m, _ := e.Get("message")
		for _, f := range []string{"far", "tags", "side", "after"} {
			if v, ok := e.Get(f); ok {
				m += fmt.Sprintf("{%s=%s}", f, v)
			}
		}
		out = append(out, m)
	}
	return strings.Join(out, " ")
}

func TestGroups(t *testing.T) {
	f := func(what, yaml, in, want, batches string, change ...func(*Chain)) {
		t.Helper()
		c, far := farChain(t, yaml)
		for _, g := range change {
			g(c)
		}
		var events []*event.Event
		for _, m := range strings.Fields(in) {
			e := &event.Event{}
			e.Put("message", m)
			events = append(events, e)
		}
		var told []string
		got := messages(c.Run(events, Observer{
			Taken: func(e, _ *event.Event, _ *Step) { m, _ := e.Get("message"); told = append(told, "-"+m) },
			Made:  func(e, from *event.Event) { m, _ := e.Get("message"); told = append(told, "*"+m) },
			Rejected: func(e *event.Event, s *Step, err error) {
				told = append(told, "!"+messages([]*event.Event{e})+":"+s.Name)
			},
		}))
		if len(told) > 0 {
			got += " | " + strings.Join(told, " ")
		}
		if got != want || strings.Join(far.batches, ";") != batches {
			t.Errorf("%s:\n got %s\nwant %s\nbatches %q, want %q", what, got, want, far.batches, batches)
		}
	}
	f("all in one batch, and in order", "- far:\n", "a b c", "a{far=yes} b{far=yes} c{far=yes}", "a b c")
	f("outcomes", "- far:\n- add_fields: {target: '', fields: {after: 1}}\n", "a drop fail split z",
		`a{far=yes}{after=1} fail{tags=["_far"]}{after=1} split{far=yes}{after=1} split+{after=1} z{far=yes}{after=1} | -drop *split+`, "a drop fail split z")
	f("when", "- far: {when: {contains: {message: x}}}\n", "a x1 b x2", "a x1{far=yes} b x2{far=yes}", "x1 x2")
	f("when nobody fits", "- far: {when: {contains: {message: x}}}\n", "a b", "a b", "")
	nested := "- if: {contains: {message: x}}\n  then:\n  - add_fields: {target: '', fields: {side: then}}\n  - far:\n  else:\n  - if: {contains: {message: y}}\n    then: {far: }\n- add_fields: {target: '', fields: {after: 1}}\n"
	f("if", nested, "x1 a y1 xsplit ydrop x2", "x1{far=yes}{side=then}{after=1} a{after=1} y1{far=yes}{after=1} xsplit{far=yes}{side=then}{after=1} xsplit+{after=1} x2{far=yes}{side=then}{after=1} | *xsplit+ -ydrop", "x1 xsplit x2;y1 ydrop")
	f("split twice", "- if: {contains: {message: x}}\n  then:\n  - far:\n  - far:\n", "a xsplit b", "a xsplit{far=yes} xsplit+ xsplit+{far=yes} xsplit++ b | *xsplit+ *xsplit+ *xsplit++", "xsplit;xsplit xsplit+")
	f("panic", "- far:\n", "a panic", `a{tags=["_processor_panic"]} panic{tags=["_processor_panic"]}`, "")
	f("a wrong count", "- far:\n", "a miscount", `a{tags=["_processor_failure"]} miscount{tags=["_processor_failure"]}`, "a miscount")
	mend := func(c *Chain) {
		c.OnFailure, _ = farChain(t, "- add_fields: {target: '', fields: {side: mended}}\n")
	}
	f("on_failure ends the chain for its event", nested, "a xfail yfail x1", `a{after=1} xfail{tags=["_far"]}{side=mended} yfail{tags=["_far"]}{side=mended} x1{far=yes}{side=then}{after=1}`, "xfail x1;yfail", mend)
	f("a failure before the group", "- dissect: {tokenizer: '%{a}=%{b}'}\n- far:\n", "a k=v", `a{tags=["_dissectfailure"]}{side=mended} k=v{far=yes}`, "k=v", mend)
	f("dead letters are as they came", nested, "a xfail b", "a{after=1} b{after=1} | !xfail:far", "xfail", func(c *Chain) { c.Reject = true })
}

func TestGroupObserved(t *testing.T) {
	c, _ := farChain(t, "- if: {contains: {message: l}}\n  then:\n  - far:\n")
	var steps []string
	events := []*event.Event{{}, {}}
	events[0].Put("message", "fail")
	events[1].Put("message", "lost drop")
	c.Run(events, Observer{Step: func(s *Step, depth int, e *event.Event, kept bool, err error) {
		steps = append(steps, fmt.Sprintf("%s%d %t %v", s.Name, depth, kept, err))
	}})
	if got := strings.Join(steps, ", "); got != "far1 true it failed, far1 false <nil>" {
		t.Error(got)
	}
	far := c.Steps[0].Then.Steps[0]
	if s := &far.Stats; s.Events.Load() != 2 || s.Dropped.Load() != 1 || s.Failures.Load() != 1 {
		t.Errorf("%d %d %d", s.Events.Load(), s.Dropped.Load(), s.Failures.Load())
	}
	if !c.Process(&event.Event{}) {
		t.Error("a single event is gone")
	}
	if !c.Steps[0].Grouped() {
		t.Error("an if with a group below is one")
	}
}
