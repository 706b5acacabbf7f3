package grok

import (
	"errors"
	"fmt"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// FailureTag marks an event that no pattern matches.
const FailureTag = "_grokparsefailure"

// Processor takes a field apart by the first of its patterns that matches.
type Processor struct {
	c        config
	patterns []*Pattern
	prefix   string
}

type config struct {
	Field         string            `yaml:"field"`
	Patterns      strictyaml.Texts  `yaml:"patterns,required"`
	Definitions   map[string]string `yaml:"pattern_definitions"`
	TargetPrefix  string            `yaml:"target_prefix"`
	OverwriteKeys bool              `yaml:"overwrite_keys"`
	IgnoreMissing bool              `yaml:"ignore_missing"`
	IgnoreFailure bool              `yaml:"ignore_failure"`
}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration; README.md says what each key means.
func New(n strictyaml.Node) (*Processor, error) {
	c := config{Field: event.Message, OverwriteKeys: true}
	if err := n.Decode(&c); err != nil {
		return nil, err
	}
	p := &Processor{c: c}
	if c.TargetPrefix != "" {
		p.prefix = c.TargetPrefix + "."
	}
	for _, text := range c.Patterns {
		q, err := Compile(text, c.Definitions)
		if err != nil {
			return nil, n.At("patterns").Errorf("%v", err)
		}
		for _, name := range q.Names() {
			if err := processor.CheckName(p.prefix + name); err != nil {
				return nil, n.At("patterns").Errorf("%v", err)
			}
		}
		p.patterns = append(p.patterns, q)
	}
	if len(p.patterns) == 0 {
		return nil, n.At("patterns").Errorf("at least one pattern is wanted")
	}
	return p, nil
}

var errNoMatch = &processor.Failure{Tag: FailureTag, Err: errors.New("grok: no pattern matches")}

// Process implements processor.Processor.
func (p *Processor) Process(e *event.Event) (bool, error) {
	f, ok := processor.Get(e, p.c.Field)
	if !ok {
		if p.c.IgnoreMissing || p.c.IgnoreFailure {
			return true, nil
		}
		return true, processor.Missing(FailureTag, p.c.Field)
	}
	var room [32]event.Field
	var failed error = errNoMatch
	for _, q := range p.patterns {
		fields, ok, err := q.Match(room[:0], f.Value)
		if err != nil {
			failed = &processor.Failure{Tag: FailureTag, Err: fmt.Errorf("grok: %w", err)}
			continue
		}
		if ok {
			failed = p.put(e, fields)
			break
		}
	}
	if p.c.IgnoreFailure {
		failed = nil
	}
	return true, failed
}

func (p *Processor) put(e *event.Event, fields []event.Field) error {
	for i := range fields {
		fields[i].Name = p.prefix + fields[i].Name
		if !p.c.OverwriteKeys && processor.Has(e, fields[i].Name) {
			return processor.Fail(FailureTag, "grok: the field %q is there already", fields[i].Name)
		}
		if err := processor.CheckTime(fields[i]); err != nil {
			return processor.Fail(FailureTag, "grok: %w", err)
		}
	}
	for _, f := range fields {
		if err := processor.Put(e, f); err != nil {
			return processor.Fail(FailureTag, "grok: %w", err)
		}
	}
	return nil
}

func (p *Processor) String() string {
	return fmt.Sprintf("grok=[field=%s, patterns=%q]", p.c.Field, []string(p.c.Patterns))
}
