package replace

import (
	"fmt"
	"regexp"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// FailureTag marks an event whose fields could not be rewritten.
const FailureTag = "_replacefailure"

// Processor rewrites texts.
type Processor struct {
	c   config
	res []*regexp.Regexp
}

type config struct {
	Fields        []field `yaml:"fields,required"`
	IgnoreMissing bool    `yaml:"ignore_missing"`
	FailOnError   bool    `yaml:"fail_on_error"`
}

type field struct {
	Field       string `yaml:"field,required"`
	Pattern     string `yaml:"pattern,required"`
	Replacement string `yaml:"replacement"`
}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration; README.md says what each key means.
func New(n strictyaml.Node) (*Processor, error) {
	p := &Processor{c: config{FailOnError: true}}
	if err := n.Decode(&p.c); err != nil {
		return nil, err
	}
	items, _ := n.At("fields").Items()
	for i, f := range p.c.Fields {
		re, err := regexp.Compile(f.Pattern)
		if err != nil {
			return nil, items[i].At("pattern").Errorf("%v", err)
		}
		p.res = append(p.res, re)
	}
	return p, nil
}

// Process implements processor.Processor.
func (p *Processor) Process(e *event.Event) (bool, error) {
	return true, processor.All(e, len(p.c.Fields), func(i int) error {
		if err := p.replace(e, i); err != nil && p.c.FailOnError {
			return processor.Fail(FailureTag, "replace: %w", err)
		}
		return nil
	})
}

func (p *Processor) replace(e *event.Event, i int) error {
	q := &p.c.Fields[i]
	f, ok := e.Get(q.Field)
	if !ok {
		if p.c.IgnoreMissing {
			return nil
		}
		return fmt.Errorf("field %q is missing", q.Field)
	}
	if got, _ := processor.Get(e, q.Field); got.Kind != event.String {
		return fmt.Errorf("field %q is no text", q.Field)
	}
	if !p.res[i].MatchString(f) {
		return nil
	}
	s := p.res[i].ReplaceAllString(f, q.Replacement)
	if len(s) > event.MaxEvent {
		return fmt.Errorf("field %q would grow beyond %d bytes", q.Field, event.MaxEvent)
	}
	e.Put(q.Field, s)
	return nil
}

func (p *Processor) String() string { return fmt.Sprintf("replace=%+v", p.c.Fields) }
