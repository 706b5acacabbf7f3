package changecase

import (
	"fmt"
	"strings"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// FailureTag marks an event that lacks a field.
const FailureTag = "_casefailure"

// Processor changes the case of texts.
type Processor struct {
	c    config
	name string
	to   func(string) string
}

type config struct {
	Fields        strictyaml.Texts `yaml:"fields,required"`
	IgnoreMissing bool             `yaml:"ignore_missing"`
}

var _ processor.Processor = (*Processor)(nil)

// NewLower makes lowercase of its configuration; README.md says what each key means.
func NewLower(n strictyaml.Node) (*Processor, error) { return build(n, "lowercase", strings.ToLower) }

// NewUpper makes uppercase.
func NewUpper(n strictyaml.Node) (*Processor, error) { return build(n, "uppercase", strings.ToUpper) }

func build(n strictyaml.Node, name string, to func(string) string) (*Processor, error) {
	p := &Processor{name: name, to: to}
	return p, n.Decode(&p.c)
}

// Process implements processor.Processor.
func (p *Processor) Process(e *event.Event) (bool, error) {
	for _, name := range p.c.Fields {
		if _, ok := e.Get(name); !ok && !p.c.IgnoreMissing {
			return true, processor.Missing(FailureTag, name)
		}
	}
	for i := range e.Fields {
		f := &e.Fields[i]
		for _, name := range p.c.Fields {
			if f.Name == name && f.Kind == event.String {
				f.Value = p.to(f.Value)
			}
		}
	}
	return true, nil
}

func (p *Processor) String() string { return fmt.Sprintf("%s=%v", p.name, []string(p.c.Fields)) }
