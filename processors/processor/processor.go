package processor

import (
	"errors"
	"fmt"

	"github.com/tallylog/tally/event"
)

// Processor changes events, one at a time. Process is called by many goroutines at once.
type Processor interface {
	// Process changes e in place. It returns false to have the event taken away. With an error the event is as it was, its text
	// above all (drop_fields alone does what it can), and the caller tags it: see Tag.
	Process(e *event.Event) (keep bool, err error)
	// String says what the processor does, in the words of its configuration.
	String() string
}

// Batch is a Processor that looks at several events at once, as joining does; ProcessBatch is called in place of Process.
type Batch interface {
	Processor
	// ProcessBatch gets the events of one batch in their order and returns those that remain, in the memory of the slice it
	// was given. taken is called with what an event that is no longer among them leaves: the event, and the one that has taken
	// over its text and its position, or nil. Each event belongs to the caller.
	ProcessBatch(events []*event.Event, taken func(gone, into *event.Event)) []*event.Event
}

// Group is a Processor for which an event alone is too little to be worth the call, as one in another process; ProcessGroup is called
// in place of Process. Unlike a Batch it may stand under when and if: it gets those events of a batch that its conditions choose.
type Group interface {
	Processor
	// ProcessGroup gets events of one batch in their order, changes them in place, and returns an outcome for each. Each event belongs to
	// the caller.
	ProcessGroup(events []*event.Event) []Outcome
}

// Outcome is what became of one event of a Group.
type Outcome struct {
	Drop bool
	Err  error          // unless it is dropped the event is as it was
	More []*event.Event // what else was made of it, to stand right behind it; their identities are their own
}

// Failure is an error of a processor with the tag that the event gets for it.
type Failure struct {
	Tag string
	Err error
}

func (f *Failure) Error() string { return f.Err.Error() }
func (f *Failure) Unwrap() error { return f.Err }

// Fail makes a Failure.
func Fail(tag, format string, args ...any) error {
	return &Failure{Tag: tag, Err: fmt.Errorf(format, args...)}
}

// GenericTag marks an event on which a processor failed that names no tag of its own.
const GenericTag = "_processor_failure"

// Tag is the tag for an error of a Processor.
func Tag(err error) string {
	var f *Failure
	if errors.As(err, &f) && f.Tag != "" {
		return f.Tag
	}
	return GenericTag
}

// Missing is the error for a field that is not there.
func Missing(tag, field string) error { return Fail(tag, "field %q is missing", field) }
