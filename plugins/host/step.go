package host

import (
	"fmt"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/plugins/pluginapi"
	"github.com/tallylog/tally/plugins/proto"
	"github.com/tallylog/tally/processors/processor"
)

// FailureTag marks an event on which a plugin has failed.
const FailureTag = "_pluginfailure"

// A batch for a plugin has at most so many events, and bytes unless one event alone has more.
const (
	maxEvents = 1024
	maxBytes  = 4 << 20
)

// Step is a plugin in a pipeline.
type Step struct {
	c *Config
	p *instance
}

var _ processor.Group = (*Step)(nil)

func (s *Step) String() string {
	return fmt.Sprintf("plugin=[name=%s, path=%s, on_failure=%s]", s.c.Name, s.c.Path, s.c.OnFailure)
}

// Process implements processor.Processor for a single event. What it is split into is lost to the caller, so it is not split.
func (s *Step) Process(e *event.Event) (bool, error) {
	o := s.ProcessGroup([]*event.Event{e})[0]
	if len(o.More) > 0 {
		return true, processor.Fail(FailureTag, "the plugin %s splits an event where only one can be", s.c.Name)
	}
	return !o.Drop, o.Err
}

// ProcessGroup implements processor.Group.
func (s *Step) ProcessGroup(events []*event.Event) []processor.Outcome {
	out := make([]processor.Outcome, len(events))
	for from := 0; from < len(events); {
		to, bytes := from, 0
		for to < len(events) && to-from < maxEvents {
			if bytes += proto.Size(events[to]); bytes > maxBytes && to > from {
				break
			}
			to++
		}
		s.chunk(events[from:to], out[from:to])
		from = to
	}
	return out
}

func (s *Step) chunk(events []*event.Event, out []processor.Outcome) {
	st := &s.p.stats
	st.events.Add(int64(len(events)))
	limit := time.Duration(0)
	if s.c.OnFailure == retry {
		limit = time.Duration(s.c.RetryTimeout)
	}
	results, err := s.p.processFor(limit, events)
	if err != nil {
		st.failed.Add(int64(len(events)))
		err = processor.Fail(FailureTag, "%w", err)
		for i := range out {
			out[i].Err = err
			out[i].Drop = s.c.OnFailure == drop
		}
		if s.c.OnFailure == drop {
			st.dropped.Add(int64(len(events)))
		}
		return
	}
	room := pluginapi.MaxMessage
	for i := range results {
		r := &results[i]
		switch r.What {
		case pluginapi.Dropped:
			out[i].Drop = true
			st.dropped.Add(1)
		case pluginapi.Failed:
			out[i].Err = processor.Fail(FailureTag, "the plugin %s: %s", s.c.Name, r.Reason)
		case pluginapi.Changed:
			out[i].Err = s.change(events[i], &r.Changes[0])
		case pluginapi.SplitUp:
			out[i].More, out[i].Err = s.split(events[i], r.Changes, &room)
			st.made.Add(int64(len(out[i].More)))
		}
		if out[i].Err != nil {
			st.failed.Add(1)
		}
	}
}

// change applies a change; an event that would be too large for a row stays as it was.
func (s *Step) change(e *event.Event, c *proto.Change) error {
	n := 0
	for i := range c.Set {
		n += len(c.Set[i].Name) + len(c.Set[i].Value)
	}
	if len(e.Fields)+len(c.Set)+1 <= event.MaxFields && n+size0(e) <= event.MaxEvent {
		c.Apply(e)
		return nil
	}
	before := *e
	before.Fields = append([]event.Field(nil), e.Fields...)
	c.Apply(e)
	if len(e.Fields) > event.MaxFields || size0(e) > event.MaxEvent {
		*e = before
		return processor.Fail(FailureTag, "the plugin %s makes an event too large", s.c.Name)
	}
	return nil
}

// size0 is what event.MaxEvent bounds.
func size0(e *event.Event) (n int) {
	for i := range e.Fields {
		n += len(e.Fields[i].Name) + len(e.Fields[i].Value)
	}
	return n
}

// split makes the parts of an event: e itself becomes the first, the others are new. room bounds their bytes.
func (s *Step) split(e *event.Event, changes []proto.Change, room *int) ([]*event.Event, error) {
	before := *e
	before.Fields = append([]event.Field(nil), e.Fields...)
	if err := s.change(e, &changes[0]); err != nil {
		return nil, err
	}
	more := make([]*event.Event, 0, len(changes)-1)
	for i := 1; i < len(changes); i++ {
		part := before
		part.Fields = append(make([]event.Field, 0, len(before.Fields)+len(changes[i].Set)), before.Fields...)
		err := s.change(&part, &changes[i])
		if err == nil {
			err = number(&part, i)
		}
		if *room -= size0(&part); err == nil && *room < 0 {
			err = processor.Fail(FailureTag, "the plugin %s makes too much of its events", s.c.Name)
		}
		if err != nil {
			*e = before
			return nil, err
		}
		more = append(more, &part)
	}
	return more, nil
}

// number gives the part i of an event, from 1, an identity of its own, which is the same whenever the event comes again. What was
// skipped before the event goes with its first part. An input counts parts from 0, so ours stand far above; a second split stands
// above the first.
func number(e *event.Event, i int) error {
	e.ID, e.Control = "", nil
	if e.Identity != "" {
		e.Identity = fmt.Sprintf("%s\x00part %d", e.Identity, i)
	}
	if !e.HasPosition() {
		return nil
	}
	p := &e.Position
	p.Skipped = 0
	for _, shift := range []int{32, 44} {
		if p.Part < 1<<shift {
			p.Part += int64(i) << shift
			return nil
		}
	}
	return processor.Fail(FailureTag, "an event cannot be split a third time")
}
