package clean

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/server/record"
	"github.com/tallylog/tally/strictyaml"
)

// Case is an example in a pipeline: what goes in, and what must come out.
type Case struct {
	Name string `yaml:"name"`
	// Input is a line, or an event; Lines are several lines of one source.
	Input strictyaml.Node  `yaml:"input"`
	Lines strictyaml.Texts `yaml:"lines"`
	// Want names the fields that must come out, with null for one that must not; Output is the whole event. Both may be a list where
	// several events come out.
	Want    strictyaml.Node `yaml:"want"`
	Output  strictyaml.Node `yaml:"output"`
	Dropped bool            `yaml:"dropped"`

	input []string // JSON
	want  []map[string]any
	whole bool
}

// check reads the case, and finds what is wrong with it.
func (c *Case) check() error {
	place := c.Input
	for _, s := range c.Lines {
		c.input = append(c.input, messageJSON(s))
	}
	if !c.Input.IsZero() {
		items := []strictyaml.Node{c.Input}
		if c.Input.IsList() {
			items, _ = c.Input.Items()
		}
		for _, item := range items {
			var v any
			if err := item.Decode(&v); err != nil {
				return err
			}
			if item.IsText() {
				c.input = append(c.input, messageJSON(item.Value()))
				continue
			}
			b, err := json.Marshal(v)
			if err != nil || !item.IsMap() {
				return item.Errorf("a line or an event is wanted")
			}
			c.input = append(c.input, string(b))
		}
	}
	c.whole = !c.Output.IsZero()
	wanted := c.Want
	if c.whole {
		wanted = c.Output
	}
	if !wanted.IsZero() {
		place = wanted
	}
	switch n := boolInt(!c.Want.IsZero()) + boolInt(c.whole) + boolInt(c.Dropped); {
	case len(c.input) == 0:
		return place.Errorf("a test needs input or lines")
	case n != 1:
		return place.Errorf("a test needs one of want, output, dropped: true")
	case c.Dropped:
		return nil
	}
	items := []strictyaml.Node{wanted}
	if wanted.IsList() {
		items, _ = wanted.Items()
	}
	for _, item := range items {
		if !item.IsMap() {
			return item.Errorf("fields and their values are wanted")
		}
		m := map[string]any{}
		if err := flatten(m, "", item); err != nil {
			return err
		}
		c.want = append(c.want, m)
	}
	return nil
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func messageJSON(s string) string {
	return string(append(event.AppendQuoted([]byte(`{"message":`), strings.TrimSuffix(s, "\n")), '}'))
}

// flatten reads fields as JSON has them.
func flatten(to map[string]any, name string, n strictyaml.Node) error {
	if n.IsMap() {
		return n.Pairs(func(k string, _, v strictyaml.Node) error {
			if name != "" {
				k = name + "." + k
			}
			return flatten(to, k, v)
		})
	}
	var v any
	if err := n.Decode(&v); err != nil {
		return err
	}
	if t, ok := v.(time.Time); ok { // an unquoted date
		v = n.Value()
		if name == event.Timestamp {
			v = event.FormatTime(t.UnixNano())
		}
	}
	if s, ok := v.(string); ok && name == event.Timestamp {
		if ns, ok := event.ParseTime(s); ok {
			v = event.FormatTime(ns)
		}
	}
	b, err := json.Marshal(v)
	if err != nil {
		return n.Errorf("the value has no JSON form")
	}
	to[name] = decodeJSON(b)
	return nil
}

func decodeJSON(b []byte) (v any) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return string(b)
	}
	return v
}

// Run runs the case through the pipeline alone, whatever its when, and gives the difference between what came out and what was
// wanted, "" where there is none.
func (c *Case) Run(p *Pipeline) string {
	b, err := batch(c.input)
	if err != nil {
		return err.Error()
	}
	alone := &Pipelines{List: []*Pipeline{{Name: p.Name, Chain: p.Chain, Stats: &Stats{}}}}
	alone.clean(b, nil)
	if len(b.Events) != len(c.want) {
		s := fmt.Sprintf("%d events came out, %d were wanted", len(b.Events), len(c.want))
		for i := range b.Events {
			s += "\n  " + string(processor.AppendJSON(nil, &b.Events[i]))
		}
		return s
	}
	var out []string
	for i := range b.Events {
		out = append(out, c.differ(i, &b.Events[i])...)
	}
	return strings.Join(out, "\n")
}

func (c *Case) differ(i int, e *event.Event) (out []string) {
	got := map[string]any{}
	if e.Time != 0 {
		got[event.Timestamp] = event.FormatTime(e.Time)
	}
	for _, f := range e.Fields {
		got[f.Name] = decodeJSON(processor.AppendValue(nil, f))
	}
	where := ""
	if len(c.want) > 1 {
		where = fmt.Sprintf("event %d: ", i+1)
	}
	names := make([]string, 0, len(got))
	for name := range got {
		names = append(names, name)
	}
	for name := range c.want[i] {
		if _, ok := got[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		g, have := got[name]
		w, wanted := c.want[i][name]
		switch {
		case !wanted && c.whole:
			out = append(out, fmt.Sprintf("%s%s: got %s, not wanted at all", where, name, text(g)))
		case !wanted || w == nil && !have || have && same(g, w):
		case !have:
			out = append(out, fmt.Sprintf("%s%s: missing, want %s", where, name, text(w)))
		case w == nil:
			out = append(out, fmt.Sprintf("%s%s: got %s, want none", where, name, text(g)))
		default:
			out = append(out, fmt.Sprintf("%s%s: got %s, want %s", where, name, text(g), text(w)))
		}
	}
	return out
}

// same compares numbers by their value, everything else by what it is.
func same(a, b any) bool {
	x, xok := a.(json.Number)
	y, yok := b.(json.Number)
	if xok && yok {
		f, ferr := x.Float64()
		g, gerr := y.Float64()
		return x == y || ferr == nil && gerr == nil && f == g
	}
	return reflect.DeepEqual(a, b)
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// batch makes a batch of events in JSON.
func batch(events []string) (*record.Batch, error) {
	b := &record.Batch{}
	var d event.Decoder
	for _, s := range events {
		e, err := d.Decode([]byte(s))
		if err != nil {
			return nil, err
		}
		b.Events = append(b.Events, e)
	}
	return b, nil
}

// Failed is a case that went wrong.
type Failed struct {
	Pipeline   string `json:"pipeline"`
	Case       string `json:"case"`
	Difference string `json:"difference"`
}

// Test runs all cases of all pipelines.
func (p *Pipelines) Test() (ran int, failed []Failed) {
	for _, q := range p.List {
		for i := range q.Tests {
			c := &q.Tests[i]
			ran++
			if d := c.Run(q); d != "" {
				name := c.Name
				if name == "" {
					name = fmt.Sprintf("test %d", i+1)
				}
				failed = append(failed, Failed{q.Name, name, d})
			}
		}
	}
	return ran, failed
}
