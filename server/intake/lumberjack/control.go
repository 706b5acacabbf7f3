package lumberjack

import (
	"github.com/tallylog/tally/server/intake"
	"github.com/tallylog/tally/server/record"
)

// takeControls makes notes of the control records in b. They are acknowledged with their window, as lines are: when the record
// that holds them is durable.
func takeControls(b *record.Batch) {
	kept := b.Events[:0]
	for _, e := range b.Events {
		if e.Control == nil {
			kept = append(kept, e)
			continue
		}
		b.Notes = append(b.Notes, intake.ControlNotes(&e)...)
	}
	clear(b.Events[len(kept):])
	b.Events = kept
}
