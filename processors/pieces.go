package processors

import (
	"errors"
	"fmt"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
)

// through takes events through a chain in pieces: steps for single events, event by event, then a step for several, and so on.
func (r *runner) through(c *Chain, events []*event.Event, depth int) []*event.Event {
	for from := 0; from < len(c.Steps) || from == 0; {
		to := from
		for to < len(c.Steps) && c.Steps[to].batch == nil && !c.Steps[to].grouped {
			to++
		}
		if to > from {
			events = r.singles(&Chain{Steps: c.Steps[from:to]}, events, depth, to < len(c.Steps))
		}
		if to < len(c.Steps) {
			switch s := c.Steps[to]; {
			case s.batch != nil:
				events = s.whole(events, r.o)
			case s.group != nil:
				events = r.grouped(s, events, depth)
			default:
				events = r.parted(s, events, depth)
			}
		}
		from = to + 1
	}
	return events
}

// singles takes events through steps one after the other. more tells that steps come behind these.
func (r *runner) singles(c *Chain, events []*event.Event, depth int, more bool) []*event.Event {
	left := events[:0]
	for _, e := range events {
		if r.over[e] {
			left = append(left, e)
			continue
		}
		switch r.one(c, e, depth) {
		case dropped:
			r.o.Taken(e, nil, r.at)
		case finished:
			if more || depth > 0 {
				r.finish(e)
			}
			left = append(left, e)
		case kept:
			left = append(left, e)
		}
	}
	return left
}

// finish remembers that an event is through with the chain.
func (r *runner) finish(e *event.Event) {
	if r.over == nil {
		r.over = map[*event.Event]bool{}
	}
	r.over[e] = true
}

// parted takes events through an if with a Group below: those of each side together, and back into their order.
func (r *runner) parted(s *Step, events []*event.Event, depth int) []*event.Event {
	sides := make(map[*event.Event]*Chain, len(events))
	var then, other []*event.Event
	for _, e := range events {
		if r.over[e] {
			continue
		}
		s.Stats.Events.Add(1)
		if s.When.Check(e) {
			sides[e] = s.Then
			then = append(then, e)
		} else if s.Else != nil {
			sides[e] = s.Else
			other = append(other, e)
		}
	}
	outer := r.o.Made
	from := map[*event.Event]*event.Event{} // of what was made, the event that came in
	r.o.Made = func(e, of *event.Event) {
		if root, ok := from[of]; ok {
			from[e] = root
		} else {
			from[e] = of
		}
		outer(e, of)
	}
	then = r.through(s.Then, then, depth+1)
	if s.Else != nil {
		other = r.through(s.Else, other, depth+1)
	}
	r.o.Made = outer
	root := func(e *event.Event) *event.Event {
		if of, ok := from[e]; ok {
			return of
		}
		return e
	}
	out := make([]*event.Event, 0, len(events)+len(from))
	for _, e := range events {
		list := &then
		switch sides[e] {
		case nil: // on neither side
			out = append(out, e)
			continue
		case s.Else:
			list = &other
		}
		for len(*list) > 0 && root((*list)[0]) == e {
			out = append(out, (*list)[0])
			*list = (*list)[1:]
		}
	}
	return out
}

// grouped takes the events that a Group is for through it.
func (r *runner) grouped(s *Step, events []*event.Event, depth int) []*event.Event {
	chosen := make([]*event.Event, 0, len(events))
	for _, e := range events {
		if !r.over[e] && (s.When == nil || s.When.Check(e)) {
			chosen = append(chosen, e)
		}
	}
	if len(chosen) == 0 {
		return events
	}
	s.Stats.Events.Add(int64(len(chosen)))
	outcomes := s.outcomes(chosen)
	made := 0
	for i := range outcomes {
		made += len(outcomes[i].More)
	}
	left := events[:0]
	if made > 0 {
		left = make([]*event.Event, 0, len(events)+made)
	}
	for _, e := range events {
		if len(chosen) == 0 || chosen[0] != e {
			left = append(left, e)
			continue
		}
		o := &outcomes[0]
		chosen, outcomes = chosen[1:], outcomes[1:]
		switch r.fate(s, depth, e, o) {
		case dropped:
			r.o.Taken(e, nil, s)
		case finished:
			r.finish(e)
			left = append(left, e)
		case kept:
			left = append(left, e)
		}
		for _, m := range o.More {
			r.o.Made(m, e)
			r.step(s, depth, m, true, nil)
			left = append(left, m)
		}
	}
	return left
}

// fate does to an event what a Group's outcome says.
func (r *runner) fate(s *Step, depth int, e *event.Event, o *processor.Outcome) fate {
	if o.Err != nil {
		s.Stats.Failures.Add(1)
	}
	r.step(s, depth, e, !o.Drop, o.Err)
	switch {
	case o.Drop:
		s.Stats.Dropped.Add(1)
		return dropped
	case o.Err == nil:
		return kept
	case r.rejects:
		r.at, r.err = s, o.Err
		return r.reject(e)
	}
	mark(e, processor.Tag(o.Err), o.Err)
	if r.onFailure != nil {
		return r.mend(e)
	}
	return kept
}

// mend takes an event that has failed through onFailure; what goes wrong there has no further consequence.
func (r *runner) mend(e *event.Event) fate {
	c := r.onFailure
	r.onFailure, r.stops = nil, false
	f := r.one(c, e, 0)
	r.onFailure, r.stops = c, true
	if f == kept {
		return finished
	}
	return f
}

// remember copies the events as they are.
func (r *runner) remember(events []*event.Event) {
	r.originals = make(map[*event.Event]event.Event, len(events))
	for _, e := range events {
		as := *e
		as.Fields = append([]event.Field(nil), e.Fields...)
		r.originals[e] = as
	}
}

func (r *runner) step(s *Step, depth int, e *event.Event, kept bool, err error) {
	if r.o.Step != nil {
		r.o.Step(s, depth, e, kept, err)
	}
}

// outcomes calls the Group. After a panic, or with a number of outcomes that is not that of the events, all events are as they were.
func (s *Step) outcomes(events []*event.Event) (out []processor.Outcome) {
	saved := make([]event.Event, len(events))
	for i, e := range events {
		saved[i] = *e
		saved[i].Fields = append([]event.Field(nil), e.Fields...)
	}
	failed := func(tag string, err error) []processor.Outcome {
		all := make([]processor.Outcome, len(events))
		for i, e := range events {
			*e = saved[i]
			all[i].Err = &processor.Failure{Tag: tag, Err: err}
		}
		return all
	}
	defer func() {
		if p := recover(); p != nil {
			s.Stats.Panics.Add(1)
			out = failed(PanicTag, fmt.Errorf("%s: panic: %v", s.Name, p))
		}
	}()
	if out = s.group.ProcessGroup(events); len(out) != len(events) {
		return failed(processor.GenericTag, errors.New("the processor has lost count of its events"))
	}
	return out
}
