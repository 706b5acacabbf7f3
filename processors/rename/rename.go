package rename

import (
	"fmt"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// Processor renames fields.
type Processor struct{ c config }

type config struct {
	Fields        []pair `yaml:"fields,required"`
	IgnoreMissing bool   `yaml:"ignore_missing"`
	FailOnError   bool   `yaml:"fail_on_error"`
}

type pair struct {
	From string `yaml:"from,required"`
	To   string `yaml:"to,required"`
}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration; README.md says what each key means.
func New(n strictyaml.Node) (*Processor, error) {
	c := config{FailOnError: true}
	if err := n.Decode(&c); err != nil {
		return nil, err
	}
	for _, f := range c.Fields {
		if err := processor.CheckName(f.To); err != nil {
			return nil, n.At("fields").Place(err)
		}
		if f.From == event.Timestamp {
			return nil, n.At("fields").Errorf("@timestamp cannot be renamed; copy_fields copies it")
		}
	}
	return &Processor{c}, nil
}

// FailureTag marks an event whose fields could not be renamed.
const FailureTag = "_renamefailure"

// Process implements processor.Processor.
func (p *Processor) Process(e *event.Event) (bool, error) {
	return true, processor.All(e, len(p.c.Fields), func(i int) error {
		if err := p.move(e, p.c.Fields[i]); err != nil && p.c.FailOnError {
			return processor.Fail(FailureTag, "rename: %w", err)
		}
		return nil
	})
}

func (p *Processor) move(e *event.Event, f pair) error {
	leaves, err := processor.Renamed(e, f.From, f.To, p.c.IgnoreMissing)
	if err != nil || len(leaves) == 0 {
		return err
	}
	e.Delete(f.From)
	return processor.PutAll(e, leaves)
}

func (p *Processor) String() string { return fmt.Sprintf("rename=%+v", p.c.Fields) }
