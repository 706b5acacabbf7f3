package plugins

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
)

// A client's events wait for each other until there are so many, or the first has waited so long.
const (
	most    = 512
	longest = 50 * time.Millisecond
)

// pipeline gives each client a buffer.
type pipeline struct {
	beat.PipelineConnector
	p        *Plugins
	controls bool
}

// Pipeline is parent with the steps before it. controls allows control records.
func (p *Plugins) Pipeline(parent beat.PipelineConnector, controls bool) beat.PipelineConnector {
	return &pipeline{parent, p, controls}
}

// Connect implements beat.PipelineConnector.
func (p *pipeline) Connect() (beat.Client, error) { return p.ConnectWith(beat.ClientConfig{}) }

// ConnectWith implements beat.PipelineConnector.
func (p *pipeline) ConnectWith(cfg beat.ClientConfig) (beat.Client, error) {
	a := &acks{input: cfg.ACKHandler}
	cfg.ACKHandler = a
	parent, err := p.PipelineConnector.ConnectWith(cfg)
	if err != nil {
		return nil, err
	}
	return &client{parent: parent, p: p.p, controls: p.controls, acks: a, skips: skips{}}, nil
}

// client gathers the events of one client of the pipeline.
type client struct {
	parent   beat.Client
	p        *Plugins
	controls bool
	acks     *acks

	mu    sync.Mutex
	items []*item
	outs  []*outstanding
	timer *time.Timer
	skips skips
}

// Publish implements beat.Client. It blocks while the plugins and the pipeline do.
func (c *client) Publish(e beat.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(e)
}

// PublishAll implements beat.Client.
func (c *client) PublishAll(events []beat.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range events {
		c.add(e)
	}
}

func (c *client) add(e beat.Event) {
	// The input's ACKer sees the event as it is now; the steps work on a copy, whose maps they copy before they change them.
	c.outs = append(c.outs, c.acks.begin(e))
	it := &item{in: e}
	work := e
	work.Fields, work.Meta = e.Fields.Clone(), e.Meta.Clone()
	it.out = []*beat.Event{&work}
	c.items = append(c.items, it)
	if len(c.items) >= most {
		c.flush()
	} else if c.timer == nil {
		c.timer = time.AfterFunc(longest, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.flush()
		})
	}
}

// flush takes what has gathered through the steps and publishes it. The caller holds mu.
func (c *client) flush() {
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	items, outs := c.items, c.outs
	c.items, c.outs = nil, nil
	if len(items) == 0 {
		return
	}
	c.p.run(items)
	for i, it := range items {
		at := position(&it.in)
		left := 0
		for j, e := range it.out {
			if left == 0 && at.Source != "" { // the first that goes tells what was skipped before
				if j > 0 {
					setSkipped(e, at.Skipped)
				}
				c.skips.before(e, at)
			}
			if !c.acks.publish(c.parent, *e, outs[i]) {
				left++
			}
		}
		switch {
		case left == 0:
			c.skips.dropped(at)
		case at.Source != "":
			delete(c.skips, at.Source)
		}
	}
	if c.controls {
		for _, source := range slices.Sorted(maps.Keys(c.skips)) {
			c.acks.publish(c.parent, record(source, c.skips[source], items[len(items)-1].in), nil)
			delete(c.skips, source)
		}
	}
	c.acks.settle(outs)
}

// Close implements beat.Client.
func (c *client) Close() error {
	c.mu.Lock()
	c.flush()
	c.mu.Unlock()
	return c.parent.Close()
}
