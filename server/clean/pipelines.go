package clean

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"sync/atomic"

	"github.com/tallylog/tally/processors"
	"github.com/tallylog/tally/processors/condition"
	"github.com/tallylog/tally/strictyaml"
)

// Pipelines are the pipelines of one configuration. They are safe for concurrent use.
type Pipelines struct {
	List []*Pipeline
	Sum  string // equal where two configurations say the same
}

// sum is that of what a configuration says. Maps are printed in the order of their keys.
func sum(v any) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%v", v))
	return hex.EncodeToString(h[:8])
}

// Pipeline is a chain of processors for the events that its condition chooses.
type Pipeline struct {
	Name string
	When condition.Condition // nil for every event
	// Continue lets the events go on to the pipelines that follow.
	Continue bool
	Chain    *processors.Chain
	Tests    []Case
	Stats    *Stats
}

// Stats counts the events of a pipeline since start. A pipeline that is loaded again under the same name goes on counting.
type Stats struct{ Events, Dropped, Joined, Made, Rejected atomic.Int64 }

// deadLetter is the on_failure of a pipeline whose failures go to the dead letters.
const deadLetter = "dead_letter"

type config struct {
	Name       string          `yaml:"name"`
	Use        string          `yaml:"use"`
	When       strictyaml.Node `yaml:"when"`
	Continue   bool            `yaml:"continue"`
	Processors strictyaml.Node `yaml:"processors"`
	OnFailure  strictyaml.Node `yaml:"on_failure"`
	Tests      []Case          `yaml:"tests"`
}

// Compile reads what stands under the key pipelines: a list, or the name of a file that has one, seen from the file that names it. The
// errors name file, line and key. The zero Node gives no pipelines. extra are processors beside those of the family.
func Compile(n strictyaml.Node, extra ...processors.Extra) (*Pipelines, error) {
	if n.IsText() && !n.IsZero() {
		file := n.Value()
		if !filepath.IsAbs(file) {
			file = filepath.Join(filepath.Dir(n.File()), file)
		}
		root, err := strictyaml.ReadFile(file)
		if err != nil {
			return nil, n.Place(err)
		}
		return CompileFile(root, extra...)
	}
	items, err := n.Items()
	if err != nil {
		return nil, err
	}
	p := &Pipelines{}
	seen := map[string]bool{}
	var all []any
	for i, item := range items {
		var v any
		if err := item.Decode(&v); err != nil {
			return nil, err
		}
		all = append(all, v)
		q, err := compile(item, extra)
		if err != nil {
			return nil, err
		}
		if q.Name == "" {
			q.Name = fmt.Sprint("pipeline ", i+1)
		}
		if seen[q.Name] {
			return nil, item.Errorf("there are two pipelines named %q", q.Name)
		}
		seen[q.Name] = true
		p.List = append(p.List, q)
	}
	p.Sum = sum(all)
	return p, nil
}

// CompileFile compiles the pipelines of a file of their own: a list of them, one under the key pipelines, or a single one.
func CompileFile(root strictyaml.Node, extra ...processors.Extra) (*Pipelines, error) {
	if single, _ := root.Take("processors"); !single.IsZero() {
		q, err := compile(root, extra)
		if err != nil {
			return nil, err
		}
		if q.Name == "" {
			q.Name = "pipeline 1"
		}
		var v any
		if err := root.Decode(&v); err != nil {
			return nil, err
		}
		return &Pipelines{List: []*Pipeline{q}, Sum: sum(v)}, nil
	}
	n := root
	if !root.IsZero() && !root.IsList() {
		var c struct {
			Pipelines strictyaml.Node `yaml:"pipelines,required"`
		}
		if err := root.Decode(&c); err != nil {
			return nil, err
		}
		n = c.Pipelines
	}
	if _, err := n.Items(); err != nil {
		return nil, err // not the name of yet another file
	}
	return Compile(n, extra...)
}

func compile(n strictyaml.Node, extra []processors.Extra) (*Pipeline, error) {
	var c config
	if err := n.Decode(&c); err != nil {
		return nil, err
	}
	p := &Pipeline{Name: c.Name, Continue: c.Continue, Tests: c.Tests, Stats: &Stats{}}
	if c.Use != "" {
		if !c.Processors.IsZero() || !c.OnFailure.IsZero() {
			return nil, n.Errorf("use takes a ready pipeline: processors and on_failure do not go with it")
		}
		ready, err := Ready(c.Use)
		if err != nil {
			return nil, n.At("use").Place(err)
		}
		p.When, p.Chain = ready.When, ready.Chain
		if p.Name == "" {
			p.Name = c.Use
		}
	} else if err := p.chains(n, &c, extra); err != nil {
		return nil, err
	}
	if !c.When.IsZero() {
		var err error
		if p.When, err = condition.New(c.When); err != nil {
			return nil, err
		}
	}
	for i := range p.Tests {
		if err := p.Tests[i].check(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *Pipeline) chains(n strictyaml.Node, c *config, extra []processors.Extra) error {
	if c.Processors.IsZero() {
		return n.Errorf("processors, or use with one of %s, is wanted", readyList())
	}
	var err error
	if p.Chain, err = processors.Compile(c.Processors, extra...); err != nil || c.OnFailure.IsZero() {
		return err
	}
	if c.OnFailure.IsText() {
		if c.OnFailure.Value() != deadLetter {
			return c.OnFailure.Errorf("%q is not known; %s is, or a list of processors", c.OnFailure.Value(), deadLetter)
		}
		p.Chain.Reject = true
		return nil
	}
	if p.Chain.OnFailure, err = processors.Compile(c.OnFailure, extra...); err != nil {
		return err
	}
	for i, s := range p.Chain.Steps {
		if s.Joins() && i > 0 {
			return c.OnFailure.Errorf("with on_failure, %s can only be the first processor", s.Name)
		}
	}
	for _, s := range p.Chain.OnFailure.Steps {
		if s.Joins() || s.Grouped() {
			return c.OnFailure.Errorf("%s cannot stand here", s.Name)
		}
	}
	return nil
}
