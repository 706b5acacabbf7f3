package processing

import (
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"

	"github.com/tallylog/tally/event"
)

// Flatten gives the flat event that a processor of ours knows, without position and metadata.
func Flatten(e *beat.Event) event.Event {
	flat := event.Event{Fields: flatten(nil, "", e.Fields, maxDepth)}
	if !e.Timestamp.IsZero() {
		flat.Time = e.Timestamp.UnixNano()
	}
	return flat
}

// PutBack gives an event what has changed between before, which Flatten made of it, and after. Maps that other events may share are
// copied.
func PutBack(e *beat.Event, before, after *event.Event) {
	if after.Time != before.Time {
		e.Timestamp = time.Unix(0, after.Time).UTC()
	}
	e.Fields = putBack(e.Fields, before.Fields, after.Fields)
}
