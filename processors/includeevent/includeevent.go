package includeevent

import (
	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/condition"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// Processor takes away the events for which its condition does not hold.
type Processor struct{ when condition.Condition }

type config struct {
	When strictyaml.Node `yaml:"when,required"`
}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration; README.md says what each key means.
func New(n strictyaml.Node) (*Processor, error) {
	var c config
	if err := n.Decode(&c); err != nil {
		return nil, err
	}
	when, err := condition.New(c.When)
	return &Processor{when}, err
}

// Process implements processor.Processor.
func (p *Processor) Process(e *event.Event) (bool, error) { return p.when.Check(e), nil }

func (p *Processor) String() string { return "include_event, when " + p.when.String() }
