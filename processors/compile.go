package processors

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/tallylog/tally/processors/condition"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// Chain runs processors one after the other. It is safe for concurrent use.
type Chain struct {
	Steps []*Step
	// OnFailure, where there is one, is what an event goes through when a step has failed on it; the steps behind the failure are
	// left out. Without it the steps behind go on.
	OnFailure *Chain
	// Reject takes an event on which a step has failed out of the chain and hands it to Observer.Rejected; it goes without OnFailure.
	Reject bool
}

// Step is one processor of a chain with its condition, or a choice between two chains.
type Step struct {
	Name string // the processor's, or "if"
	Line int    // of the file that it was read from
	When condition.Condition
	// Then and Else belong to an if, whose condition is When; Else may be nil.
	Then, Else *Chain
	Stats      Stats

	p       processor.Processor
	batch   processor.Batch
	group   processor.Group
	grouped bool // it is a group, or an if with one below
}

// Stats counts the events that a step has worked on, and what became of them.
type Stats struct{ Events, Dropped, Failures, Panics atomic.Int64 }

// maxDepth bounds the nesting of if.
const maxDepth = 20

// Extra is a processor that is in no list, as it needs something of the program around it.
type Extra struct {
	Name string
	New  func(strictyaml.Node) (processor.Processor, error)
}

// Compile reads a list of processors. The errors name file, line and key.
func Compile(n strictyaml.Node, extra ...Extra) (*Chain, error) {
	known := list()
	for _, x := range extra {
		known[x.Name] = x.New
	}
	return compile(n, known, 0)
}

// Names are the names of all processors.
func Names() []string { return slices.Sorted(maps.Keys(list())) }

func compile(n strictyaml.Node, known map[string]maker, depth int) (*Chain, error) {
	if depth > maxDepth {
		return nil, n.Errorf("the nesting is too deep")
	}
	items := []strictyaml.Node{n}
	if !n.IsMap() || depth == 0 { // a single processor may stand under then and else
		var err error
		if items, err = n.Items(); err != nil {
			return nil, err
		}
	}
	c := &Chain{}
	for _, item := range items {
		s, err := compileStep(item, known, depth)
		if err != nil {
			return nil, err
		}
		c.Steps = append(c.Steps, s)
	}
	return c, nil
}

func compileStep(n strictyaml.Node, known map[string]maker, depth int) (*Step, error) {
	if !n.IsMap() {
		return nil, n.Errorf("a processor is wanted here: its name, a colon, and its keys below")
	}
	if cond, _ := n.Take("if"); !cond.IsZero() {
		return compileIf(n, known, depth)
	}
	s := &Step{Line: n.Line()}
	err := n.Pairs(func(name string, key, value strictyaml.Node) (err error) {
		if s.Name != "" {
			return key.Errorf("one processor is wanted here; %s is another: begin it with a dash, or indent it if it belongs to %s", name, s.Name)
		}
		make := known[name]
		if make == nil {
			if meant, ok := elsewhere[name]; ok {
				return key.Errorf("unknown processor; did you mean %s?", meant)
			}
			return key.Errorf("unknown processor; %s", strictyaml.Known(name, slices.Sorted(maps.Keys(known))))
		}
		s.Name = name
		if name != includeEvent {
			var when strictyaml.Node
			if when, value = value.Take("when"); !when.IsZero() {
				if s.When, err = condition.New(when); err != nil {
					return err
				}
			}
		}
		if s.p, err = make(value); err != nil {
			return err
		}
		var ok bool
		if s.batch, ok = s.p.(processor.Batch); ok && (depth > 0 || s.When != nil) {
			return key.Errorf("%s looks at whole batches: it cannot stand under if, and takes no when", name)
		}
		s.group, s.grouped = s.p.(processor.Group)
		return nil
	})
	if err == nil && s.Name == "" {
		err = n.Errorf("a processor is wanted here: one of %s", strings.Join(slices.Sorted(maps.Keys(known)), ", "))
	}
	return s, err
}

func compileIf(n strictyaml.Node, known map[string]maker, depth int) (*Step, error) {
	var c struct {
		If   strictyaml.Node `yaml:"if,required"`
		Then strictyaml.Node `yaml:"then,required"`
		Else strictyaml.Node `yaml:"else"`
	}
	if err := n.Decode(&c); err != nil {
		return nil, err
	}
	s := &Step{Name: "if", Line: n.Line()}
	var err error
	if s.When, err = condition.New(c.If); err != nil {
		return nil, err
	}
	if s.Then, err = compile(c.Then, known, depth+1); err != nil {
		return nil, err
	}
	if !c.Else.IsZero() {
		s.Else, err = compile(c.Else, known, depth+1)
	}
	s.grouped = s.Then.grouped() || s.Else.grouped()
	return s, err
}

// String says what the step does.
func (s *Step) String() string {
	switch {
	case s.p == nil:
		return "if " + s.When.String()
	case s.When != nil:
		return s.p.String() + ", when " + s.When.String()
	}
	return s.p.String()
}

// grouped tells whether a step of the chain, or below it, is a Group.
func (c *Chain) grouped() bool {
	return c != nil && slices.ContainsFunc(c.Steps, func(s *Step) bool { return s.grouped })
}

// Grouped tells whether the step, or one below it, is a Group.
func (s *Step) Grouped() bool { return s.grouped }

// Joins tells whether the step looks at whole batches.
func (s *Step) Joins() bool { return s.batch != nil }
