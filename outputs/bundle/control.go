package bundle

import (
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/publisher"
)

// WithoutControls returns the events that are lines, in the same slice where all are. The events given are not changed.
func WithoutControls(events []publisher.Event) []publisher.Event {
	for i := range events {
		if IsControl(&events[i]) {
			kept := append(make([]publisher.Event, 0, len(events)), events[:i]...)
			for ; i < len(events); i++ {
				if !IsControl(&events[i]) {
					kept = append(kept, events[i])
				}
			}
			return kept
		}
	}
	return events
}

// IsControl tells control records from lines: @metadata.tally names a control (docs/wire.md).
func IsControl(e *publisher.Event) bool {
	var tally map[string]interface{}
	switch t := e.Content.Meta["tally"].(type) {
	case common.MapStr:
		tally = t
	case map[string]interface{}:
		tally = t
	}
	_, is := tally["control"]
	return is
}
