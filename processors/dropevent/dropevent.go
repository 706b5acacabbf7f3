package dropevent

import (
	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// Processor takes every event away.
type Processor struct{}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration, which has no keys of its own: the condition under when is the caller's.
func New(n strictyaml.Node) (*Processor, error) {
	return &Processor{}, n.Decode(&struct{}{})
}

// Process implements processor.Processor.
func (*Processor) Process(*event.Event) (bool, error) { return false, nil }

func (*Processor) String() string { return "drop_event" }
