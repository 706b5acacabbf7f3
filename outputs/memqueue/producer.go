package memqueue

import (
	"slices"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/publisher"
	"github.com/elastic/beats/v7/libbeat/publisher/queue"

	"github.com/tallylog/tally/outputs/bundle"
)

// producer is one client's way into the queue.
type producer struct {
	q        *Queue
	ack      func(int)
	drop     func(beat.Event)
	dropping bool

	// The rest is guarded by q.mu.
	cancelled bool
	open      *bundle.Bundle // the last event, where the next line can be joined to it
	openSince uint64         // q.flushes when that was made
	room      int            // lines of the bundle before
}

// Producer returns a producer.
func (q *Queue) Producer(cfg queue.ProducerConfig) queue.Producer {
	return &producer{q: q, ack: cfg.ACK, drop: cfg.OnDrop, dropping: cfg.DropOnCancel}
}

// Publish adds an event; it waits for room, and returns false once producer or queue are closed.
func (p *producer) Publish(e publisher.Event) bool {
	q := p.q
	n := entry{from: p, single: lines(&e)}
	q.mu.Lock()
	if p.cancelled || q.closed {
		q.mu.Unlock()
		return false
	}
	if len(q.waiting) == 0 && q.fits(n) {
		q.put(e, n)
		q.mu.Unlock()
		return true
	}
	r := &request{event: e, entry: n, done: make(chan bool, 1)}
	q.waiting = append(q.waiting, r)
	q.flush()
	q.mu.Unlock()
	return <-r.done
}

// TryPublish adds an event if there is room at once.
func (p *producer) TryPublish(e publisher.Event) bool {
	q := p.q
	n := entry{from: p, single: lines(&e)}
	q.mu.Lock()
	defer q.mu.Unlock()
	if p.cancelled || q.closed || len(q.waiting) > 0 || !q.fits(n) {
		return false
	}
	q.put(e, n)
	return true
}

// Cancel ends the producer. What it has in the queue is delivered and acknowledged all the same, unless it is to be dropped.
func (p *producer) Cancel() int {
	q := p.q
	q.mu.Lock()
	p.cancelled = true
	q.waiting = slices.DeleteFunc(q.waiting, func(r *request) bool {
		if r.entry.from != p {
			return false
		}
		r.done <- false
		return true
	})
	var dropped []publisher.Event
	var counts []int
	if p.dropping {
		dropped, counts = q.remove(p)
		q.admit()
	}
	q.mu.Unlock()
	all := 0
	for i := range dropped {
		all += counts[i]
		for range counts[i] {
			if p.drop != nil {
				p.drop(dropped[i].Content)
			}
		}
	}
	return all
}

// remove takes out what a producer has in the queue and nobody has got yet; counts are the events that each stands for. q.mu is held.
func (q *Queue) remove(p *producer) (removed []publisher.Event, counts []int) {
	p.open = nil
	var events []publisher.Event
	var entries []entry
	ready := q.ready
	for i, n := range q.entries {
		if n.from != p {
			events, entries = append(events, q.events[i]), append(entries, n)
			continue
		}
		removed, counts = append(removed, q.events[i]), append(counts, n.events())
		q.used -= n.lines()
		if i < ready {
			q.ready--
		} else {
			q.fresh -= n.lines()
		}
	}
	q.events, q.entries = events, entries
	return removed, counts
}
