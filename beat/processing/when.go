package processing

import (
	"errors"
	"fmt"
	"strings"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/conditions"
	"github.com/elastic/beats/v7/libbeat/processors"

	"github.com/tallylog/tally/processors/condition"
)

const includeEvent = "include_event"

// dropEvent takes away the events for which a condition holds; nil holds always.
type dropEvent struct{ when conditions.Condition }

func newDropEvent(c *common.Config) (processors.Processor, error) {
	when, err := newCondition(c)
	return &dropEvent{when}, err
}

// Run implements processors.Processor.
func (p *dropEvent) Run(e *beat.Event) (*beat.Event, error) {
	if p.when == nil || p.when.Check(e) {
		return nil, nil
	}
	return e, nil
}

// String implements processors.Processor.
func (p *dropEvent) String() string {
	if p.when == nil {
		return "drop_event"
	}
	return "drop_event, condition=" + p.when.String()
}

// keepEvent takes away the events for which a condition does not hold.
type keepEvent struct{ when conditions.Condition }

func newIncludeEvent(c *common.Config) (processors.Processor, error) {
	for _, name := range c.GetFields() {
		if name != "when" {
			return nil, fmt.Errorf("unexpected %s option in %s", name, c.Path())
		}
	}
	when, err := newCondition(c)
	if err == nil && when == nil {
		err = errors.New("include_event keeps the events for which a condition holds: when is missing")
	}
	return &keepEvent{when}, err
}

// Run implements processors.Processor.
func (p *keepEvent) Run(e *beat.Event) (*beat.Event, error) {
	if p.when.Check(e) {
		return e, nil
	}
	return nil, nil
}

// String implements processors.Processor.
func (p *keepEvent) String() string { return "include_event, condition=" + p.when.String() }

// conditional puts a processor behind the condition under when, as libbeat's NewConditional does.
func conditional(make processors.Constructor) processors.Constructor {
	return func(c *common.Config) (processors.Processor, error) {
		p, err := make(c)
		if err != nil {
			return nil, err
		}
		when, err := newCondition(c)
		if when == nil || err != nil {
			return p, err
		}
		return &whenProcessor{when, p}, nil
	}
}

type whenProcessor struct {
	when conditions.Condition
	p    processors.Processor
}

// Run implements processors.Processor.
func (p *whenProcessor) Run(e *beat.Event) (*beat.Event, error) {
	if !p.when.Check(e) {
		return e, nil
	}
	return p.p.Run(e)
}

// String implements processors.Processor.
func (p *whenProcessor) String() string {
	return fmt.Sprintf("%v, condition=%v", p.p, p.when)
}

// newCondition reads the condition under when; it is nil where there is none.
func newCondition(c *common.Config) (conditions.Condition, error) {
	if !c.HasField("when") {
		return nil, nil
	}
	when, err := c.Child("when", -1)
	if err != nil {
		return nil, err
	}
	return compile(when)
}

// compile makes libbeat's condition. Where it comes to regular expressions that ask only for the beginning of a text, it is answered
// without libbeat's detours.
func compile(c *common.Config) (conditions.Condition, error) {
	var config conditions.Config
	if err := c.Unpack(&config); err != nil {
		return nil, err
	}
	own, err := conditions.NewCondition(&config)
	if err != nil {
		return nil, fmt.Errorf("failed to initialize condition: %w", err)
	}
	if len(c.GetFields()) != 1 {
		return own, nil // libbeat's choice among them is libbeat's to make
	}
	switch {
	case config.NOT != nil:
		sub, err := c.Child("not", -1)
		if err != nil {
			return nil, err
		}
		inner, err := compile(sub)
		if err != nil {
			return nil, err
		}
		return conditions.NewNotCondition(inner)
	case config.Regexp != nil:
		var written struct {
			Regexp map[string]any `config:"regexp"`
		}
		if err := c.Unpack(&written); err != nil {
			return nil, err
		}
		q := &quick{Condition: own}
		if q.add("", written.Regexp) {
			return q, nil
		}
	}
	return own, nil
}

// quick is a regexp condition of libbeat whose texts are looked at without it.
type quick struct {
	conditions.Condition
	fields []quickField
}

type quickField struct {
	field
	pattern *condition.Pattern
}

// add takes the fields of a condition; it tells whether each is one that can be answered quickly.
func (q *quick) add(prefix string, fields map[string]any) bool {
	for name, v := range fields {
		name = prefix + name
		switch v := v.(type) {
		case map[string]any:
			if !q.add(name+".", v) {
				return false
			}
		case string:
			p, err := condition.CompilePattern(v)
			if err != nil || !p.Quick() || strings.HasPrefix(name, "@") {
				return false
			}
			q.fields = append(q.fields, quickField{newField(name), p})
		default:
			return false
		}
	}
	return true
}

// Check implements conditions.Condition.
func (q *quick) Check(values conditions.ValuesMap) bool {
	e, ok := values.(*beat.Event)
	if !ok {
		return q.Condition.Check(values)
	}
	for i := range q.fields {
		f := &q.fields[i]
		v, err := f.get(e.Fields)
		if err != nil {
			return false
		}
		text, ok := v.(string)
		if !ok {
			return q.Condition.Check(values)
		}
		if !f.pattern.MatchString(text) {
			return false
		}
	}
	return true
}
