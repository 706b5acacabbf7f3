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
	Taken func(gone, into *event.Event)
	// Step is called after each step that was applied to e, with its failure; depth is that of the ifs around it. For a step that
	// looks at whole batches it is called with each event that remains.
	Step func(s *Step, depth int, e *event.Event, kept bool, err error)
	// Rejected is called with each event on which a step has failed in a chain that rejects, as it was before the chain; the event
	// is no longer among those that Run returns, and Taken is not called for it.
	Rejected func(e *event.Event, s *Step, err error)
}

// Run takes events, in the order in which they came, through the chain. It returns those that remain, in the memory of the slice it
// was given.
func (c *Chain) Run(events []*event.Event, o Observer) []*event.Event {
	if o.Taken == nil {
		o.Taken = func(_, _ *event.Event) {}
	}
	scratch := pool.Get().(*runner)
	scratch.o = o
	defer func() { scratch.o = Observer{}; pool.Put(scratch) }()
	for from := 0; from < len(c.Steps) || from == 0; {
		to := from
		for to < len(c.Steps) && c.Steps[to].batch == nil {
			to++
		}
		part := &Chain{Steps: c.Steps[from:to], OnFailure: c.OnFailure, Reject: c.Reject}
		kept := events[:0]
		for _, e := range events {
			keep, rejected := scratch.one(part, e)
			switch {
			case rejected:
			case keep:
				kept = append(kept, e)
			default:
				o.Taken(e, nil)
			}
		}
		events = kept
		if to < len(c.Steps) {
			events = c.Steps[to].whole(events, o)
		}
		from = to + 1
	}
	return events
}

// Process takes a single event through the chain.
func (c *Chain) Process(e *event.Event) (keep bool) {
	return len(c.Run([]*event.Event{e}, Observer{})) == 1
}

var pool = sync.Pool{New: func() any { return &runner{} }}

// runner keeps what an event was, for the case of a panic or of a rejection.
type runner struct {
	before []event.Field
	time   int64
	at     *Step
	err    error // of the step that failed last
	o      Observer
}

// one takes an event through the steps. After a panic it is as it was before the first of them, and tagged.
func (r *runner) one(c *Chain, e *event.Event) (keep, rejected bool) {
	r.before = append(r.before[:0], e.Fields...)
	r.time, r.err = e.Time, nil
	defer func() {
		if p := recover(); p != nil {
			r.at.Stats.Panics.Add(1)
			r.err = fmt.Errorf("panic: %v", p)
			r.restore(e)
			keep = true
			if r.o.Step != nil {
				r.o.Step(r.at, 0, e, true, r.err)
			}
			if rejected = r.reject(c, e); !rejected {
				mark(e, PanicTag, fmt.Errorf("%s: %w", r.at.Name, r.err))
			}
		}
	}()
	keep, failed := r.steps(c, e, 0, c.OnFailure != nil || c.Reject)
	if failed && keep {
		switch {
		case c.Reject && r.o.Rejected != nil:
			r.restore(e)
			return false, r.reject(c, e)
		case c.OnFailure != nil:
			keep, _ = r.steps(c.OnFailure, e, 0, false)
		}
	}
	return keep, false
}

func (r *runner) restore(e *event.Event) {
	e.Fields = append(make([]event.Field, 0, len(r.before)+2), r.before...)
	e.Time = r.time
}

// reject hands an event over where the chain rejects and somebody takes it; else it stays.
func (r *runner) reject(c *Chain, e *event.Event) bool {
	if !c.Reject || r.o.Rejected == nil {
		return false
	}
	r.o.Rejected(e, r.at, r.err)
	return true
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
		o.Taken(g.gone, g.into)
	}
	if o.Step != nil {
		for _, e := range out {
			o.Step(s, 0, e, true, nil)
		}
	}
	return out
}
