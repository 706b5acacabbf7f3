package clean

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors"
	"github.com/tallylog/tally/server/record"
)

// Clean takes the events of a batch through the pipelines. Those that are dropped, or joined to others, leave the batch; their ranges
// become notes. Those that a pipeline rejects go over into b.Rejected.
func (p *Pipelines) Clean(b *record.Batch) { p.clean(b, nil) }

// watcher is told what happens to the events of a batch.
type watcher interface {
	step(q *Pipeline, s *processors.Step, depth int, e *event.Event, kept bool, err error)
	taken(e, into *event.Event)
	rejected(e *event.Event)
	left(e *event.Event)
	made(e, from *event.Event)
}

// clean is Clean with a watcher, or nil.
func (p *Pipelines) clean(b *record.Batch, w watcher) {
	if len(p.List) == 0 || len(b.Events) == 0 {
		return
	}
	pending := make([]*event.Event, len(b.Events))
	for i := range b.Events {
		pending[i] = &b.Events[i]
	}
	gone := map[*event.Event]bool{}
	originals := p.originals(b)
	all := family{b: b}
	chosen := make([]*event.Event, 0, len(pending))
	for _, q := range p.List {
		if len(pending) == 0 {
			break
		}
		chosen, pending = q.choose(chosen[:0], pending)
		if len(chosen) == 0 {
			continue
		}
		q.Stats.Events.Add(int64(len(chosen)))
		o := processors.Observer{}
		if w != nil {
			o.Step = func(s *processors.Step, depth int, e *event.Event, kept bool, err error) {
				w.step(q, s, depth, e, kept, err)
			}
		}
		o.Taken = func(e, into *event.Event, by *processors.Step) {
			gone[e] = true
			if w != nil {
				w.taken(e, into)
			}
			if into != nil {
				q.Stats.Joined.Add(1)
			} else {
				q.Stats.Dropped.Add(1)
			}
			b.Skip(&e.Position, into == nil, fmt.Sprintf("pipeline %s, processor %s", q.Name, by.Name))
			if into != nil { // it is what came no longer
				delete(originals, into)
			}
		}
		o.Rejected = func(e *event.Event, s *processors.Step, err error) {
			gone[e] = true
			q.Stats.Rejected.Add(1)
			if w != nil {
				w.rejected(e)
			}
			raw := *e
			if as, ok := originals[e]; ok {
				raw = as
			}
			b.Rejected = append(b.Rejected, record.Rejected{Event: raw, By: q.Name, Reason: reason(s.Name, err)})
		}
		o.Made = func(e, from *event.Event) {
			all.add(e, from)
			if w != nil {
				w.made(e, from)
			}
			q.Stats.Made.Add(1)
		}
		left := q.Chain.Run(chosen, o)
		if q.Continue {
			pending = merge(&all, pending, left, gone)
		}
	}
	if w != nil {
		all.each(func(e *event.Event) {
			if !gone[e] {
				w.left(e)
			}
		})
	}
	if len(gone) == 0 && all.made == nil {
		return
	}
	kept := b.Events[:0]
	if all.made != nil { // what was made goes in between
		kept = make([]event.Event, 0, len(b.Events)+len(all.made))
	}
	all.each(func(e *event.Event) {
		if !gone[e] {
			kept = append(kept, *e)
		}
	})
	if all.made == nil {
		clear(b.Events[len(kept):])
	}
	b.Events = kept
}

// reason is what an error says, and of which processor, once.
func reason(name string, err error) string {
	s := err.Error()
	if strings.HasPrefix(s, name+": ") {
		return s
	}
	return name + ": " + s
}

// family is the events of a batch with those that were made of them.
type family struct {
	b    *record.Batch
	made map[*event.Event][]*event.Event
}

func (f *family) add(e, from *event.Event) {
	if f.made == nil {
		f.made = map[*event.Event][]*event.Event{}
	}
	f.made[from] = append(f.made[from], e)
}

// each calls do with each event, in the order of the batch; what was made of an event comes behind it.
func (f *family) each(do func(*event.Event)) {
	for i := range f.b.Events {
		e := &f.b.Events[i]
		do(e)
		if f.made != nil {
			f.below(e, do)
		}
	}
}

func (f *family) below(e *event.Event, do func(*event.Event)) {
	for _, m := range f.made[e] {
		do(m)
		f.below(m, do)
	}
}

// originals copies the events of a batch where a pipeline that rejects stands behind one that may have changed them; elsewhere the chain
// gives them back as they were. One that others were joined to has no original.
func (p *Pipelines) originals(b *record.Batch) map[*event.Event]event.Event {
	changed := false
	for _, q := range p.List {
		if changed && q.Chain.Reject {
			all := make(map[*event.Event]event.Event, len(b.Events))
			for i := range b.Events {
				e := b.Events[i]
				e.Fields = slices.Clone(e.Fields)
				all[&b.Events[i]] = e
			}
			return all
		}
		changed = changed || q.Continue
	}
	return nil
}

// choose parts the events that the pipeline takes from the others.
func (q *Pipeline) choose(chosen, pending []*event.Event) (in, out []*event.Event) {
	if q.When == nil {
		return append(chosen, pending...), pending[:0]
	}
	out = pending[:0]
	for _, e := range pending {
		if q.When.Check(e) {
			chosen = append(chosen, e)
		} else {
			out = append(out, e)
		}
	}
	return chosen, out
}

// merge puts events that go on back among those that were not chosen, in the order of the batch.
func merge(all *family, pending, left []*event.Event, gone map[*event.Event]bool) []*event.Event {
	want := make(map[*event.Event]bool, len(pending)+len(left))
	for _, e := range pending {
		want[e] = true
	}
	for _, e := range left {
		want[e] = true
	}
	out := make([]*event.Event, 0, len(want))
	all.each(func(e *event.Event) {
		if want[e] && !gone[e] {
			out = append(out, e)
		}
	})
	return out
}
