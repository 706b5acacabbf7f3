package addtags

import (
	"fmt"
	"slices"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// Processor adds tags.
type Processor struct{ c config }

type config struct {
	Tags   strictyaml.Texts `yaml:"tags,required"`
	Target string           `yaml:"target"`
}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration; README.md says what each key means.
func New(n strictyaml.Node) (*Processor, error) {
	c := config{Target: event.Tags}
	if err := n.Decode(&c); err != nil {
		return nil, err
	}
	if err := processor.CheckName(c.Target); err != nil || c.Target == event.Timestamp {
		return nil, n.At("target").Errorf("the field %q cannot hold tags", c.Target)
	}
	return &Processor{c}, nil
}

// Process implements processor.Processor.
func (p *Processor) Process(e *event.Event) (bool, error) {
	f, _ := processor.Get(e, p.c.Target)
	list := processor.Texts(f)
	if list == nil && f.Value != "" {
		list = []string{f.Value}
	}
	n := len(list)
	for _, tag := range p.c.Tags {
		if !slices.Contains(list, tag) {
			list = append(list, tag)
		}
	}
	if len(list) > n {
		e.PutField(processor.List(p.c.Target, list))
	}
	return true, nil
}

func (p *Processor) String() string { return fmt.Sprintf("add_tags=%v", []string(p.c.Tags)) }
