package clean

import (
	"maps"
	"slices"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/server/record"
)

// Trace is what became of one event.
type Trace struct {
	Event    *event.Event   // what came out, nil when it was dropped, rejected or joined to another
	More     []*event.Event // what came out beside it
	Joined   bool
	Rejected bool // it goes to the dead letters
	Steps    []Change
}

// Change is what one step did to an event.
type Change struct {
	Pipeline string
	Step     *processors.Step
	Depth    int           // number of ifs around the step
	Set      []event.Field // new, or changed
	Removed  []string
	Dropped  bool
	Err      error
}

// Explain is Clean, and tells what each step did to each event, in the order in which they came.
func (p *Pipelines) Explain(b *record.Batch) []Trace {
	t := &tracer{index: make(map[*event.Event]int, len(b.Events)), before: make([]map[string]event.Field, len(b.Events)), traces: make([]Trace, len(b.Events))}
	for i := range b.Events {
		e := &b.Events[i]
		t.index[e], t.before[i] = i, fields(e)
		if len(p.List) == 0 {
			t.left(e)
		}
	}
	p.clean(b, t)
	return t.traces
}

type tracer struct {
	index  map[*event.Event]int
	from   map[*event.Event]int // of what was made on the way, the event that came in
	before []map[string]event.Field
	traces []Trace
}

func (t *tracer) step(q *Pipeline, s *processors.Step, depth int, e *event.Event, kept bool, err error) {
	i, ok := t.index[e]
	if !ok {
		return // one that was made on the way; More has it
	}
	c := Change{Pipeline: q.Name, Step: s, Depth: depth, Dropped: !kept, Err: err}
	now := fields(e)
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if old, ok := t.before[i][name]; !ok || old != now[name] {
			c.Set = append(c.Set, now[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.before[i])) {
		if _, ok := now[name]; !ok {
			c.Removed = append(c.Removed, name)
		}
	}
	t.before[i] = now
	t.traces[i].Steps = append(t.traces[i].Steps, c)
}

func (t *tracer) taken(e, into *event.Event) {
	if i, ok := t.index[e]; ok {
		t.traces[i].Joined = into != nil
	}
}

func (t *tracer) rejected(e *event.Event) {
	if i, ok := t.index[e]; ok {
		t.traces[i].Rejected = true
	}
}

func (t *tracer) left(e *event.Event) {
	c := *e
	c.Fields = slices.Clone(e.Fields)
	if i, ok := t.index[e]; ok {
		t.traces[i].Event = &c
		return
	}
	tr := &t.traces[t.from[e]]
	tr.More = append(tr.More, &c)
}

func (t *tracer) made(e, from *event.Event) {
	i, ok := t.index[from]
	if !ok {
		i = t.from[from]
	}
	if t.from == nil {
		t.from = map[*event.Event]int{}
	}
	t.from[e] = i
}

// tenant stands for the tenant that an event is routed to, which is none of its fields.
const tenant = "(tenant)"

// fields gives the leaves by name, the time among them.
func fields(e *event.Event) map[string]event.Field {
	m := make(map[string]event.Field, len(e.Fields)+1)
	if f, ok := processor.Get(e, event.Timestamp); ok {
		m[event.Timestamp] = f
	}
	if e.Tenant != "" {
		m[tenant] = event.Field{Name: tenant, Value: e.Tenant}
	}
	for _, f := range e.Fields {
		m[f.Name] = f
	}
	return m
}
