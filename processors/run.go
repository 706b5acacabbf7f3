package processors

import (
	"fmt"
	"sync"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
)

// PanicTag marks an event on which a processor has panicked.
const PanicTag = "_processor_panic"

// ErrorField holds, on an event that has a failure tag and no such field of its own, what went wrong.
const ErrorField = "error.message"

// Observer is told what becomes of events; any of its functions may be nil.
type Observer struct {
	// Taken is called with each event that is no longer among those that Run returns, and the one that has taken over its text
	// and position, or nil.
	Taken func(gone, into *event.Event, by *Step)
	// Made is called with each event that Run returns beside those that it was given, and the one that it was made of.
	Made func(e, from *event.Event)
	// Step is called after each step that was applied to e, with its failure; depth is that of the ifs around it. For a step that
	// looks at whole batches it is called with each event that remains.
	Step func(s *Step, depth int, e *event.Event, kept bool, err error)
	// Rejected is called with each event on which a step has failed in a chain that rejects, as it was before the chain; the event
	// is no longer among those that Run returns, and Taken is not called for it.
	Rejected func(e *event.Event, s *Step, err error)
}

// Run takes events, in the order in which they came, through the chain. It returns those that remain, and those that were made on the
// way behind what they were made of, in the memory of the slice it was given while that suffices.
func (c *Chain) Run(events []*event.Event, o Observer) []*event.Event {
	if o.Taken == nil {
		o.Taken = func(_, _ *event.Event, _ *Step) {}
	}
	if o.Made == nil {
		o.Made = func(_, _ *event.Event) {}
	}
	scratch := pool.Get().(*runner)
	scratch.o = o
	defer func() { *scratch = runner{before: scratch.before}; pool.Put(scratch) }()
	scratch.onFailure, scratch.rejects, scratch.stops = c.OnFailure, c.Reject && o.Rejected != nil, c.OnFailure != nil || c.Reject
	if scratch.rejects && c.grouped() {
		scratch.remember(events)
	}
	return scratch.through(c, events, 0)
}

// Process takes a single event through the chain. What is made beside it is lost.
func (c *Chain) Process(e *event.Event) (keep bool) {
	return len(c.Run([]*event.Event{e}, Observer{})) > 0
}

var pool = sync.Pool{New: func() any { return &runner{} }}

// runner keeps what an event was, for the case of a panic or of a rejection.
type runner struct {
	before []event.Field
	time   int64
	tenant string
	at     *Step
	err    error // of the step that failed last
	o      Observer

	onFailure *Chain
	rejects   bool
	stops     bool // a failure ends the chain for its event
	// originals are the events as they came, where a chain that rejects is taken in pieces.
	originals map[*event.Event]event.Event
	// over are the events that have been through onFailure: the steps that are left are not for them. Only where a chain has to be
	// taken in pieces is there anything to remember.
	over map[*event.Event]bool
}

// fate is what became of an event in some steps.
type fate uint8

const (
	kept     fate = iota
	dropped       // by a step
	rejected      // handed to Observer.Rejected
	finished      // it has failed and been through onFailure: what is left of the chain is not for it
)

// one takes an event through the steps. After a panic it is as it was before the first of them, and tagged.
func (r *runner) one(c *Chain, e *event.Event, depth int) (f fate) {
	r.before = append(r.before[:0], e.Fields...)
	r.time, r.tenant, r.err = e.Time, e.Tenant, nil
	defer func() {
		if p := recover(); p != nil {
			r.at.Stats.Panics.Add(1)
			r.err = fmt.Errorf("panic: %v", p)
			r.restore(e)
			r.step(r.at, depth, e, true, r.err)
			if f = kept; r.rejects {
				f = r.reject(e)
			} else {
				mark(e, PanicTag, fmt.Errorf("%s: %w", r.at.Name, r.err))
			}
		}
	}()
	keep, failed := r.steps(c, e, depth, r.stops)
	switch {
	case !keep:
		return dropped
	case failed && r.rejects:
		r.restore(e)
		return r.reject(e)
	case failed && r.onFailure != nil:
		return r.mend(e)
	}
	return kept
}

func (r *runner) restore(e *event.Event) {
	e.Fields = append(make([]event.Field, 0, len(r.before)+2), r.before...)
	e.Time, e.Tenant = r.time, r.tenant
}

// reject hands an event over, as it was before the chain.
func (r *runner) reject(e *event.Event) fate {
	if as, ok := r.originals[e]; ok {
		*e = as
	}
	r.o.Rejected(e, r.at, r.err)
	return rejected
}

// steps goes through a chain; failed tells that a step has failed, which ends it where stop is true.
func (r *runner) steps(c *Chain, e *event.Event, depth int, stop bool) (keep, failed bool) {
	for _, s := range c.Steps {
		r.at = s
		if s.p == nil {
			keep, bad := r.choose(s, e, depth, stop)
			failed = failed || bad
			if !keep || bad && stop {
				return keep, failed
			}
			continue
		}
		if s.When != nil && !s.When.Check(e) {
			continue
		}
		s.Stats.Events.Add(1)
		keep, err := s.p.Process(e)
		if err != nil {
			s.Stats.Failures.Add(1)
			failed, r.err = true, err
			mark(e, processor.Tag(err), err)
		}
		if !keep {
			s.Stats.Dropped.Add(1)
		}
		if r.o.Step != nil {
			r.o.Step(s, depth, e, keep, err)
		}
		if !keep || err != nil && stop {
			return keep, failed
		}
	}
	return true, failed
}

func (r *runner) choose(s *Step, e *event.Event, depth int, stop bool) (keep, failed bool) {
	s.Stats.Events.Add(1)
	way := s.Then
	if !s.When.Check(e) {
		way = s.Else
	}
	if way == nil {
		return true, false
	}
	return r.steps(way, e, depth+1, stop)
}

// mark tags an event, and says why where the event has no error of its own.
func mark(e *event.Event, tag string, err error) {
	e.AddTag(tag)
	if !processor.Has(e, "error") {
		e.Put(ErrorField, err.Error())
	}
}

// whole applies a step that looks at whole batches. After a panic all events are as they were, and tagged.
func (s *Step) whole(events []*event.Event, o Observer) (out []*event.Event) {
	if len(events) == 0 {
		return events
	}
	s.Stats.Events.Add(int64(len(events)))
	all := append([]*event.Event(nil), events...)
	saved := make([]event.Event, len(events))
	for i, e := range events {
		saved[i] = *e
		saved[i].Fields = append([]event.Field(nil), e.Fields...)
	}
	type pair struct{ gone, into *event.Event }
	var gone []pair
	defer func() {
		if p := recover(); p != nil {
			s.Stats.Panics.Add(1)
			out = append(events[:0], all...)
			for i, e := range out {
				*e = saved[i]
				mark(e, PanicTag, fmt.Errorf("%s: panic: %v", s.Name, p))
			}
		}
	}()
	out = s.batch.ProcessBatch(events, func(g, into *event.Event) { gone = append(gone, pair{g, into}) })
	for _, g := range gone {
		if g.into == nil {
			s.Stats.Dropped.Add(1)
		}
		o.Taken(g.gone, g.into, s)
	}
	if o.Step != nil {
		for _, e := range out {
			o.Step(s, 0, e, true, nil)
		}
	}
	return out
}
