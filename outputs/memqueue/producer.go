package memqueue

import (
	"slices"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/publisher"
	"github.com/elastic/beats/v7/libbeat/publisher/queue"
)

// producer is one client's way into the queue.
type producer struct {
	q         *Queue
	ack       func(int)
	drop      func(beat.Event)
	dropping  bool
	cancelled bool // guarded by q.mu
}

// Producer returns a producer.
func (q *Queue) Producer(cfg queue.ProducerConfig) queue.Producer {
	return &producer{q: q, ack: cfg.ACK, drop: cfg.OnDrop, dropping: cfg.DropOnCancel}
}

// Publish adds an event; it waits for room, and returns false once producer or queue are closed.
func (p *producer) Publish(e publisher.Event) bool {
	q := p.q
	n := entry{p, lines(&e)}
	q.mu.Lock()
	if p.cancelled || q.closed {
		q.mu.Unlock()
		return false
	}
	if len(q.waiting) == 0 && q.fits(n.lines) {
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
	n := entry{p, lines(&e)}
	q.mu.Lock()
	defer q.mu.Unlock()
	if p.cancelled || q.closed || len(q.waiting) > 0 || !q.fits(n.lines) {
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
	if p.dropping {
		dropped = q.remove(p)
		q.admit()
	}
	q.mu.Unlock()
	if p.drop != nil {
		for i := range dropped {
			p.drop(dropped[i].Content)
		}
	}
	return len(dropped)
}

// remove takes out what a producer has in the queue and nobody has got yet. q.mu is held.
func (q *Queue) remove(p *producer) (removed []publisher.Event) {
	var events []publisher.Event
	var entries []entry
	ready := q.ready
	for i, n := range q.entries {
		if n.from != p {
			events, entries = append(events, q.events[i]), append(entries, n)
			continue
		}
		removed = append(removed, q.events[i])
		q.used -= int(n.lines)
		if i < ready {
			q.ready--
		} else {
			q.fresh -= int(n.lines)
		}
	}
	q.events, q.entries = events, entries
	return removed
}
