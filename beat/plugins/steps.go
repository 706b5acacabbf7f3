package plugins

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/conditions"
	"github.com/elastic/beats/v7/libbeat/processors"

	"github.com/tallylog/tally/beat/processing"
	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/plugins/host"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// name is that of the processor.
const name = "plugin"

// Plugins are the steps of a configuration up to its last plugin.
type Plugins struct {
	set   *host.Set
	draft *host.Draft
	steps []step
}

// step is a run of libbeat's processors, or one plugin with its condition.
type step struct {
	before *processors.Processors
	group  processor.Group
	when   conditions.Condition
}

// Cut takes the processors up to the last plugin out of a configuration, which it leaves alone: rest has the others. Without plugins it
// gives nil.
func Cut(cfg *common.Config, o host.Options) (p *Plugins, rest *common.Config, err error) {
	var root struct {
		Processors []*common.Config `config:"processors"`
	}
	if err := cfg.Unpack(&root); err != nil {
		return nil, nil, err
	}
	last := -1
	for i, c := range root.Processors {
		if c.HasField(name) {
			last = i
		} else if nested(c) {
			return nil, nil, fmt.Errorf("in the agent a plugin cannot stand under if: give it a when accessing 'processors.%d'", i)
		}
	}
	if last < 0 {
		return nil, cfg, nil
	}
	p = &Plugins{set: host.New(o)}
	if p.draft, err = p.set.Draft(strictyaml.Node{}); err != nil {
		return nil, nil, err
	}
	var plain processors.PluginConfig
	flush := func() error {
		if len(plain) == 0 {
			return nil
		}
		list, err := processors.New(plain)
		p.steps = append(p.steps, step{before: list})
		plain = nil
		return err
	}
	for i, c := range root.Processors[:last+1] {
		if !c.HasField(name) {
			plain = append(plain, c)
			continue
		}
		if err := flush(); err != nil {
			return nil, nil, err
		}
		if err := p.add(c); err != nil {
			return nil, nil, fmt.Errorf("%w accessing 'processors.%d.%s'", err, i, name)
		}
	}
	if rest, err = common.NewConfigFrom(cfg); err != nil {
		return nil, nil, err
	}
	if _, err = rest.Remove("processors", -1); err != nil {
		return nil, nil, err
	}
	if tail := root.Processors[last+1:]; len(tail) > 0 {
		err = rest.Merge(map[string]any{"processors": tail})
	}
	return p, rest, err
}

// nested tells whether a plugin stands somewhere below an if.
func nested(c *common.Config) bool {
	if !c.HasField("if") {
		return false
	}
	for _, key := range c.FlattenedKeys() {
		for _, part := range strings.Split(key, ".") {
			if part == name {
				return true
			}
		}
	}
	return false
}

func (p *Plugins) add(c *common.Config) error {
	c, err := c.Child(name, -1)
	if err != nil {
		return err
	}
	keys := map[string]any{}
	if err := c.Unpack(&keys); err != nil {
		return err
	}
	s := step{}
	if _, ok := keys["when"]; ok {
		var cond struct {
			When conditions.Config `config:"when"`
		}
		if err := c.Unpack(&cond); err != nil {
			return err
		}
		if s.when, err = conditions.NewCondition(&cond.When); err != nil {
			return err
		}
		delete(keys, "when")
	}
	text, err := yaml.Marshal(keys)
	if err != nil {
		return err
	}
	n, err := strictyaml.Parse(name, text, func(v string) (string, bool) { return "${" + v + "}", true }) // libbeat has replaced variables
	if err != nil {
		return err
	}
	made, err := p.draft.Processor(n)
	if err != nil {
		return err
	}
	s.group = made.(processor.Group)
	p.steps = append(p.steps, s)
	return p.draft.Check()
}

// Start starts the plugins; an error is that of one that no second try would mend.
func (p *Plugins) Start() error { return p.draft.Start() }

// Close ends them.
func (p *Plugins) Close() { p.set.Close() }

// List tells of the plugins.
func (p *Plugins) List() []host.Status { return p.set.List() }

// item is an event that an input has published, and what has been made of it: itself first, nothing when it was dropped.
type item struct {
	in  beat.Event
	out []*beat.Event
}

// run takes the items through the steps.
func (p *Plugins) run(items []*item) {
	for i := range p.steps {
		s := &p.steps[i]
		if s.group != nil {
			s.plugin(items)
			continue
		}
		for _, it := range items {
			left := it.out[:0]
			for _, e := range it.out {
				if control(e) {
					left = append(left, e)
				} else if e, err := s.before.Run(e); e != nil { // libbeat's own pipeline drops nothing for an error either
					_ = err
					left = append(left, e)
				}
			}
			it.out = left
		}
	}
}

// plugin takes the events that its condition chooses through a plugin, all in one batch.
func (s *step) plugin(items []*item) {
	var chosen []*beat.Event
	var flat []*event.Event
	var before []event.Event
	for _, it := range items {
		for _, e := range it.out {
			if control(e) || s.when != nil && !s.when.Check(e) {
				continue
			}
			f := processing.Flatten(e)
			f.Position = position(e)
			b := f
			b.Fields = append([]event.Field(nil), f.Fields...)
			chosen, flat, before = append(chosen, e), append(flat, &f), append(before, b)
		}
	}
	if len(chosen) == 0 {
		return
	}
	outcomes := s.group.ProcessGroup(flat)
	at := 0
	for _, it := range items {
		var left []*beat.Event
		for _, e := range it.out {
			if at >= len(chosen) || chosen[at] != e {
				left = append(left, e)
				continue
			}
			o := &outcomes[at]
			if !o.Drop {
				left = append(left, parts(e, &before[at], flat[at], o)...)
			}
			at++
		}
		it.out = left
	}
}

// parts gives an event what the plugin made of it, and the further events.
func parts(e *beat.Event, before, after *event.Event, o *processor.Outcome) []*beat.Event {
	out := []*beat.Event{e}
	original := *e
	if o.Err != nil {
		after.AddTag(processor.Tag(o.Err))
		if !processor.Has(after, "error") {
			after.Put("error.message", o.Err.Error())
		}
	}
	processing.PutBack(e, before, after)
	for _, m := range o.More {
		c := original
		c.Meta = original.Meta.Clone()
		setPart(&c, m.Position.Part)
		processing.PutBack(&c, before, m)
		out = append(out, &c)
	}
	return out
}
