package fanout

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/elastic/beats/v7/libbeat/logp"
	"github.com/elastic/beats/v7/libbeat/outputs"
	"github.com/elastic/beats/v7/libbeat/publisher"

	"github.com/tallylog/tally/outputs/bundle"
)

// retryWrite is how long after a failed write to the spill the next is tried.
const retryWrite = time.Second

// child is one output with a queue and workers of its own. Its batches are in one of these places:
//
//	queue     to be sent, in memory
//	sending   with a client
//	incoming  on their way to the spill
//	stored    in the spill, and nowhere else
//
// As long as the peer keeps up, batches go through queue alone. When the oldest has waited for longer than spillAfter, all are
// written to the spill, and so are those that come from then on, until everything has been delivered.
type child struct {
	name    string
	log     *logp.Logger
	clients []outputs.Client
	kind    string // the type of the output
	retries int    // of a batch before its events are dropped that are not guaranteed; below 0: no end
	spill   *spill
	after   time.Duration // spillAfter
	wake    chan struct{} // to the spiller
	stop    chan struct{}

	mu       sync.Mutex
	ready    sync.Cond
	closed   bool
	queue    []*item
	waiting  []*item // not done and not in the spill, the oldest first; done ones are taken out late
	incoming []*item
	stored   []*stored
	spilling bool
	open     int // records in queue or sending
}

func newChild(name, kind string, g outputs.Group, log *logp.Logger) *child {
	c := &child{name: name, log: log, clients: g.Clients, kind: kind, retries: g.Retry, wake: make(chan struct{}, 1), stop: make(chan struct{})}
	c.ready.L = &c.mu
	return c
}

// start begins to work: on what the spill holds, where there is one, and on what was pushed meanwhile.
func (c *child) start(s *spill, recs []*stored, after time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		if s != nil {
			s.close()
		}
		return
	}
	c.spill, c.after, c.stored, c.spilling = s, after, recs, len(recs) > 0
	if c.spilling {
		c.incoming, c.waiting = c.waiting, nil
	}
	if s != nil {
		go c.spillLoop()
	}
	for _, cl := range c.clients {
		go c.work(cl)
	}
}

// hurry makes the child spill whatever is not delivered.
func (c *child) hurry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.after = 0
	c.poke()
}

// push takes a batch. It does not block.
func (c *child) push(p *parent, events []publisher.Event) {
	events = c.understood(events)
	if len(events) == 0 {
		p.childDone()
		return
	}
	it := &item{c: c, all: events, events: c.copy(events), retries: c.retries, since: time.Now(), parent: p}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.spilling {
		c.incoming = append(c.incoming, it)
	} else {
		it.held = true
		c.queue = append(c.queue, it)
		c.waiting = append(c.waiting, it)
	}
	c.poke()
	c.ready.Signal()
}

// understood is what this child gets of a batch. Bundles go to our outputs logstash and file; control records to the first, which gives them to
// nobody but Tally, and to output.tally, whose peer cannot be anything else.
func (c *child) understood(events []publisher.Event) []publisher.Event {
	switch c.kind {
	case "logstash":
		return events
	case "tally":
		return bundle.Expand(events)
	case "file":
		return bundle.WithoutControls(events)
	}
	return bundle.Expand(bundle.WithoutControls(events))
}

// copy gives the clients a slice of their own. The maps of the events are shared, and only read, but for @metadata, to which
// libbeat's Elasticsearch output adds a mark.
func (c *child) copy(events []publisher.Event) []publisher.Event {
	out := slices.Clone(events)
	if c.kind == "elasticsearch" {
		for i := range out {
			out[i].Content.Meta = maps.Clone(out[i].Content.Meta)
		}
	}
	return out
}

// poke wakes the spiller.
func (c *child) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// pop waits for a batch to send; nil means that the child is closed.
func (c *child) pop() *item {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.closed {
		if len(c.queue) > 0 {
			it := c.queue[0]
			c.queue = slices.Delete(c.queue, 0, 1)
			return it
		}
		if len(c.stored) > 0 {
			rec := c.stored[0]
			c.stored = slices.Delete(c.stored, 0, 1)
			c.open++
			c.mu.Unlock()
			events, err := c.spill.read(rec)
			c.mu.Lock()
			it := &item{c: c, events: events, retries: c.retries, rec: rec, held: true}
			if err == nil {
				return it
			}
			c.log.Errorf("a batch is lost: %v", err)
			c.finish(it) // nobody waits for it
			continue
		}
		// The spill cannot be written: the peer takes what waits for it.
		if i := slices.IndexFunc(c.incoming, func(it *item) bool { return !it.held }); i >= 0 {
			c.incoming[i].held = true
			return c.incoming[i]
		}
		c.ready.Wait()
	}
	return nil
}

// finish ends a batch and returns who is to be told, once c.mu, which is held, is not any more.
func (c *child) finish(it *item) *parent {
	if it.done {
		return nil
	}
	it.done = true
	for len(c.waiting) > 0 && c.waiting[0].done {
		c.waiting = slices.Delete(c.waiting, 0, 1)
	}
	if it.rec != nil {
		c.open--
		c.spill.done(it.rec)
		c.poke() // there may be room now
	}
	c.settle()
	return it.parent
}

// settle ends the time of spilling when everything of it is delivered. c.mu is held.
func (c *child) settle() {
	if c.spilling && len(c.stored) == 0 && c.open == 0 && len(c.incoming) == 0 {
		c.spilling = false
		c.log.Infof("output %s has caught up", c.name)
	}
}

// work sends batches through one client.
func (c *child) work(cl outputs.Client) {
	nc, network := cl.(outputs.NetworkClient)
	connected, failures := !network, 0
	for {
		it := c.pop()
		if it == nil {
			return
		}
		if !connected {
			// Connecting may take as long as its back-off: others may have the batch.
			it.Cancelled()
			if err := nc.Connect(); err != nil {
				failures++
				c.log.Errorf("Failed to connect output %s to %v, %d times in a row: %v", c.name, cl, failures, err)
			} else {
				c.log.Infof("Connection of output %s to %v established", c.name, cl)
				connected, failures = true, 0
			}
			continue
		}
		if err := cl.Publish(context.Background(), it); err != nil {
			c.log.Errorf("Failed to publish events to output %s: %v", c.name, err)
			connected = !network
		}
	}
}

// spillLoop writes batches to the spill.
func (c *child) spillLoop() {
	for {
		next := c.store()
		timer := time.NewTimer(next)
		select {
		case <-timer.C:
		case <-c.wake:
		case <-c.stop:
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// store writes what is due, and returns when to look again at the latest.
func (c *child) store() time.Duration {
	batches, next := c.due()
	if len(batches) == 0 {
		return next
	}
	events := make([][]publisher.Event, len(batches))
	for i, it := range batches {
		events[i] = it.all
	}
	recs, err := c.spill.append(events)
	c.mu.Lock()
	var tell []*parent
	for i, rec := range recs {
		if p := c.written(batches[i], rec); p != nil {
			tell = append(tell, p)
		}
	}
	c.incoming = slices.DeleteFunc(c.incoming, func(it *item) bool { return it.rec != nil })
	c.settle()
	if err != nil {
		// Workers may take what waits, if nothing else is left to them.
		c.ready.Broadcast()
	}
	c.mu.Unlock()
	for _, p := range tell {
		p.childDone()
	}
	switch {
	case err == nil:
		return 0 // more may have come
	case !errors.Is(err, errFull):
		c.log.Errorf("events for output %s wait in memory: %v", c.name, err)
	}
	return retryWrite
}

// due returns what is to be written, and if that is nothing, when to look again.
func (c *child) due() (batches []*item, next time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.spilling {
		if len(c.waiting) == 0 {
			return nil, time.Hour
		}
		if left := c.after - time.Since(c.waiting[0].since); left > 0 {
			return nil, left
		}
		c.log.Warnf("output %s does not keep up, its events go to the spill %s", c.name, c.spill.dir)
		c.spilling = true
		c.incoming, c.waiting = c.waiting, nil
	}
	c.incoming = slices.DeleteFunc(c.incoming, func(it *item) bool { return it.done })
	c.settle()
	return slices.Clone(c.incoming), time.Hour
}

// written notes that the spill has a batch, and returns who is to be told. c.mu is held.
func (c *child) written(it *item, rec *stored) *parent {
	it.rec = rec
	if it.done {
		c.spill.done(rec)
		return nil
	}
	if it.held {
		c.open++
	} else {
		c.stored = append(c.stored, rec)
		c.ready.Signal()
	}
	p := it.parent
	it.parent = nil
	return p
}

// close ends the workers and clients. What is under way stays without an answer.
func (c *child) close() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	close(c.stop)
	s := c.spill
	c.ready.Broadcast()
	c.mu.Unlock()
	for _, cl := range c.clients {
		if err := cl.Close(); err != nil {
			c.log.Debugf("closing %v: %v", cl, err)
		}
	}
	if s != nil {
		s.close()
	}
}
