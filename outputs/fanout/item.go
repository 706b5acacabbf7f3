package fanout

import (
	"slices"
	"time"

	"github.com/elastic/beats/v7/libbeat/publisher"
)

// item is a batch of one child; to its clients it is a publisher.Batch.
type item struct {
	c       *child
	all     []publisher.Event // as they came, for the spill; nobody changes them
	events  []publisher.Event // not delivered yet, for the client, which may change the slice
	retries int
	since   time.Time

	// Under c.mu:
	parent *parent // to be told; nil once the spill has the batch
	rec    *stored // where the spill has it
	held   bool    // in queue or sending
	done   bool
}

var _ publisher.Batch = (*item)(nil)

// Events are the batch's events.
func (it *item) Events() []publisher.Event { return it.events }

// ACK and Drop end the batch: it is delivered, or its events cannot be.
func (it *item) ACK() {
	it.c.mu.Lock()
	p := it.c.finish(it)
	it.c.mu.Unlock()
	if p != nil {
		p.childDone()
	}
}

// Drop ends the batch, too.
func (it *item) Drop() { it.ACK() }

// Cancelled gives the batch back: it was not tried.
func (it *item) Cancelled() { it.again(it.events) }

// CancelledEvents gives a part of the batch back.
func (it *item) CancelledEvents(events []publisher.Event) { it.again(events) }

// Retry gives the batch back after a failure.
func (it *item) Retry() { it.RetryEvents(it.events) }

// RetryEvents gives a part of the batch back after a failure. As in libbeat's pipeline, a batch that has failed max_retries times keeps
// only its guaranteed events, which then have no limit.
func (it *item) RetryEvents(events []publisher.Event) {
	if it.retries >= 0 {
		if it.retries--; it.retries < 0 {
			n := len(events)
			events = slices.DeleteFunc(slices.Clone(events), func(e publisher.Event) bool { return !e.Guaranteed() })
			if n > len(events) {
				it.c.log.Warnf("output %s drops %d events after max_retries", it.c.name, n-len(events))
			}
		}
	}
	if len(events) == 0 {
		it.ACK()
		return
	}
	it.again(events)
}

func (it *item) again(events []publisher.Event) {
	c := it.c
	c.mu.Lock()
	defer c.mu.Unlock()
	it.events = events
	c.queue = slices.Insert(c.queue, 0, it)
	c.ready.Signal()
}
