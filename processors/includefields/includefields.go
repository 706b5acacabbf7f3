package includefields

import (
	"fmt"
	"strings"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// Processor keeps fields.
type Processor struct{ fields []string }

type config struct {
	Fields strictyaml.Texts `yaml:"fields,required"`
}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration; README.md says what each key means.
func New(n strictyaml.Node) (*Processor, error) {
	var c config
	if err := n.Decode(&c); err != nil {
		return nil, err
	}
	return &Processor{append([]string{"type"}, c.Fields...)}, nil
}

// Process implements processor.Processor.
func (p *Processor) Process(e *event.Event) (bool, error) {
	kept := e.Fields[:0]
	for _, f := range e.Fields {
		if processor.Reserved(f.Name) || p.wanted(f.Name) {
			kept = append(kept, f)
		}
	}
	clear(e.Fields[len(kept):])
	e.Fields = kept
	return true, nil
}

func (p *Processor) wanted(name string) bool {
	for _, f := range p.fields {
		if strings.HasPrefix(name, f) && (len(name) == len(f) || name[len(f)] == '.') {
			return true
		}
	}
	return false
}

func (p *Processor) String() string { return fmt.Sprintf("include_fields=%v", p.fields[1:]) }
