package clean

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tallylog/tally/processors"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/server/record"
	"github.com/tallylog/tally/strictyaml"
)

// Cleaner holds the pipelines that are in force, and changes them while batches pass.
type Cleaner struct {
	// Load reads the pipelines anew, for Reload; nil where the server has no configuration file.
	Load func() (strictyaml.Node, error)

	begin   func() (Plugins, error) // nil where there are none
	mu      sync.Mutex              // reloads
	current atomic.Pointer[state]
}

// Plugins makes the processors of one set of pipelines that are programs of their own; a host.Draft makes one.
type Plugins interface {
	Processor(strictyaml.Node) (processor.Processor, error)
	// Start starts them; an error refuses the configuration.
	Start() error
	// Named makes the processors of other pipelines, which may use none but the programs that the configuration names.
	Named() Plugins
	// Close ends those that no other pipelines use. No batch is under way in them.
	Close()
}

type state struct {
	*Pipelines
	plugins Plugins
	loaded  time.Time
	// Batches that pass hold it for reading, so that the plugins of pipelines that have been replaced end after the last of them.
	passing sync.RWMutex
	over    bool
}

// New compiles the pipelines under n. load may be nil. begin, nil for no plugins, is called for each set of pipelines.
func New(n strictyaml.Node, load func() (strictyaml.Node, error), begin func() (Plugins, error)) (*Cleaner, error) {
	c := &Cleaner{Load: load, begin: begin}
	s, err := c.compile(n)
	if err != nil {
		return nil, err
	}
	c.current.Store(s)
	return c, nil
}

// compile compiles pipelines and starts their plugins.
func (c *Cleaner) compile(n strictyaml.Node) (*state, error) {
	s := &state{loaded: time.Now()}
	var extra []processors.Extra
	if c.begin != nil {
		var err error
		if s.plugins, err = c.begin(); err != nil {
			return nil, err
		}
		extra = append(extra, Plugin(s.plugins))
	}
	var err error
	if s.Pipelines, err = Compile(n, extra...); err == nil && s.plugins != nil {
		err = s.plugins.Start()
	}
	if err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// Plugin is the processor plugin, made by p.
func Plugin(p Plugins) processors.Extra { return processors.Extra{Name: "plugin", New: p.Processor} }

// end ends the plugins once no batch is under way in them.
func (s *state) end() {
	s.passing.Lock()
	s.over = true
	s.passing.Unlock()
	if s.plugins != nil {
		s.plugins.Close()
	}
}

// Clean takes a batch through the pipelines in force.
func (c *Cleaner) Clean(b *record.Batch) {
	for !c.current.Load().pass(b) {
	}
}

// pass takes a batch through pipelines that are not over yet.
func (s *state) pass(b *record.Batch) bool {
	s.passing.RLock()
	defer s.passing.RUnlock()
	if !s.over {
		s.Clean(b)
	}
	return !s.over
}

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
	s, err := c.compile(n)
	if err != nil {
		return err
	}
	if _, failed := s.Test(); len(failed) > 0 {
		s.end()
		f := failed[0]
		return fmt.Errorf("%d tests fail; %s, %s: %s", len(failed), f.Pipeline, f.Case, f.Difference)
	}
	for _, old := range c.Pipelines().List {
		for _, q := range s.List {
			if q.Name == old.Name {
				q.Stats = old.Stats
			}
		}
	}
	c.current.Swap(s).end()
	return nil
}
