package clean

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tallylog/tally/server/record"
	"github.com/tallylog/tally/strictyaml"
)

// Cleaner holds the pipelines that are in force, and changes them while batches pass.
type Cleaner struct {
	// Load reads the pipelines anew, for Reload; nil where the server has no configuration file.
	Load func() (strictyaml.Node, error)

	mu      sync.Mutex // reloads
	current atomic.Pointer[state]
}

type state struct {
	*Pipelines
	loaded time.Time
}

// New compiles the pipelines under n. load may be nil.
func New(n strictyaml.Node, load func() (strictyaml.Node, error)) (*Cleaner, error) {
	p, err := Compile(n)
	if err != nil {
		return nil, err
	}
	c := &Cleaner{Load: load}
	c.current.Store(&state{p, time.Now()})
	return c, nil
}

// Clean takes a batch through the pipelines in force.
func (c *Cleaner) Clean(b *record.Batch) { c.current.Load().Clean(b) }

// Pipelines are those in force.
func (c *Cleaner) Pipelines() *Pipelines { return c.current.Load().Pipelines }

// Reload reads the configuration again, tries the pipelines on their own tests, and puts them in force. After an error those before
// stay.
func (c *Cleaner) Reload() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Load == nil {
		return fmt.Errorf("the server was started without a configuration file")
	}
	n, err := c.Load()
	if err != nil {
		return err
	}
	p, err := Compile(n)
	if err != nil {
		return err
	}
	if _, failed := p.Test(); len(failed) > 0 {
		f := failed[0]
		return fmt.Errorf("%d tests fail; %s, %s: %s", len(failed), f.Pipeline, f.Case, f.Difference)
	}
	for _, old := range c.Pipelines().List {
		for _, q := range p.List {
			if q.Name == old.Name {
				q.Stats = old.Stats
			}
		}
	}
	c.current.Store(&state{p, time.Now()})
	return nil
}
