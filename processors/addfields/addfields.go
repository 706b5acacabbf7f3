package addfields

import (
	"fmt"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// Processor sets fields.
type Processor struct{ fields []event.Field }

type config struct {
	Target *string         `yaml:"target"`
	Fields strictyaml.Node `yaml:"fields,required"`
}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration; README.md says what each key means.
func New(n strictyaml.Node) (*Processor, error) {
	var c config
	if err := n.Decode(&c); err != nil {
		return nil, err
	}
	target := "fields"
	if c.Target != nil {
		target = *c.Target
	}
	if !c.Fields.IsMap() {
		return nil, c.Fields.Errorf("keys and values are wanted here")
	}
	fields, err := processor.FromYAML(nil, target, c.Fields)
	for _, f := range fields {
		if err := processor.CheckTime(f); err != nil {
			return nil, c.Fields.Place(err)
		}
	}
	return &Processor{fields}, err
}

// Process implements processor.Processor.
func (p *Processor) Process(e *event.Event) (bool, error) {
	for _, f := range p.fields {
		_ = processor.Put(e, f) // New has seen that it can be put
	}
	return true, nil
}

func (p *Processor) String() string {
	e := event.Event{Fields: p.fields}
	return fmt.Sprintf("add_fields=%s", processor.AppendJSON(nil, &e))
}
