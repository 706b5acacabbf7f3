package split

import (
	"fmt"
	"strings"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// FailureTag marks an event that lacks the field.
const FailureTag = "_splitfailure"

// Processor cuts a text.
type Processor struct{ c config }

type config struct {
	Field         string `yaml:"field,required"`
	Separator     string `yaml:"separator,required"`
	TargetField   string `yaml:"target_field"`
	Trim          bool   `yaml:"trim"`
	IgnoreMissing bool   `yaml:"ignore_missing"`
}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration; README.md says what each key means.
func New(n strictyaml.Node) (*Processor, error) {
	p := &Processor{}
	if err := n.Decode(&p.c); err != nil {
		return nil, err
	}
	if p.c.Separator == "" {
		return nil, n.At("separator").Errorf("a text is wanted")
	}
	if p.c.TargetField == "" {
		p.c.TargetField = p.c.Field
	}
	if err := processor.CheckName(p.c.TargetField); err != nil || p.c.TargetField == event.Timestamp {
		return nil, n.Errorf("the field %q cannot hold a list", p.c.TargetField)
	}
	return p, nil
}

// Process implements processor.Processor.
func (p *Processor) Process(e *event.Event) (bool, error) {
	f, ok := processor.Get(e, p.c.Field)
	switch {
	case !ok && p.c.IgnoreMissing:
		return true, nil
	case !ok:
		return true, processor.Missing(FailureTag, p.c.Field)
	case f.Kind != event.String:
		return true, processor.Fail(FailureTag, "split: field %q is no text", p.c.Field)
	}
	parts := strings.Split(f.Value, p.c.Separator)
	if p.c.Trim {
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
	}
	e.PutField(processor.List(p.c.TargetField, parts))
	return true, nil
}

func (p *Processor) String() string {
	return fmt.Sprintf("split=[field=%s, separator=%q]", p.c.Field, p.c.Separator)
}
