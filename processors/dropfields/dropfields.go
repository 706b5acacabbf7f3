package dropfields

import (
	"fmt"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// FailureTag marks an event that lacks a field to drop.
const FailureTag = "_dropfieldsfailure"

// Processor takes fields away.
type Processor struct{ c config }

type config struct {
	Fields        strictyaml.Texts `yaml:"fields,required"`
	IgnoreMissing bool             `yaml:"ignore_missing"`
}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration; README.md says what each key means.
func New(n strictyaml.Node) (*Processor, error) {
	var c config
	if err := n.Decode(&c); err != nil {
		return nil, err
	}
	for _, f := range c.Fields {
		if f == event.Timestamp || processor.Reserved(f) {
			return nil, n.At("fields").Errorf("the field %q cannot be dropped", f)
		}
	}
	return &Processor{c}, nil
}

// Process implements processor.Processor. When a field is missing it drops the others all the same: what must go must go.
func (p *Processor) Process(e *event.Event) (bool, error) {
	var err error
	for _, f := range p.c.Fields {
		if !e.Delete(f) && !p.c.IgnoreMissing {
			err = processor.Missing(FailureTag, f)
		}
	}
	return true, err
}

func (p *Processor) String() string { return fmt.Sprintf("drop_fields=%v", []string(p.c.Fields)) }
