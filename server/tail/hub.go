// Package tail hands events to those who watch them arrive. Batches come in from admission once they are durable; each
// watcher has a bounded queue of its own. A watcher that is too slow loses events and is told how many: it never holds up
// intake, and it is never silent about a loss.
package tail

import (
	"context"
	"sync"

	"github.com/tallylog/tally/event"
)

// Hub is the meeting point. The zero value is ready.
type Hub struct {
	mu       sync.RWMutex
	watchers map[*Watcher]struct{}
}

// Watcher receives the events of one tenant that match.
type Watcher struct {
	hub    *Hub
	tenant uint32
	match  func(*event.Event) bool
	max    int

	mu      sync.Mutex
	queue   []*event.Event
	skipped int64
	wake    chan struct{}
}

// Watch starts to receive. match must be safe to call while Next runs; max is the number of events kept for a slow reader.
// Close must be called in the end.
func (h *Hub) Watch(tenant uint32, match func(*event.Event) bool, max int) *Watcher {
	w := &Watcher{hub: h, tenant: tenant, match: match, max: max, wake: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers == nil {
		h.watchers = make(map[*Watcher]struct{})
	}
	h.watchers[w] = struct{}{}
	return w
}

// Watchers is the number of those who watch.
func (h *Hub) Watchers() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.watchers)
}

// Publish offers the events of a durable batch to all watchers. It keeps references to events that match, which must not
// be changed afterwards. It does not block on a watcher.
func (h *Hub) Publish(tenant uint32, events []event.Event) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for w := range h.watchers {
		if w.tenant == tenant {
			w.offer(events)
		}
	}
}

func (w *Watcher) offer(events []event.Event) {
	for i := range events {
		if !w.match(&events[i]) {
			continue
		}
		w.mu.Lock()
		if len(w.queue) < w.max {
			w.queue = append(w.queue, &events[i])
		} else {
			w.skipped++
		}
		w.mu.Unlock()
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Add offers events that match and that were published elsewhere, and the number of those that were skipped there. They must not be changed
// afterwards.
func (w *Watcher) Add(events []event.Event, skipped int64) {
	w.mu.Lock()
	for i := range events {
		if len(w.queue) < w.max {
			w.queue = append(w.queue, &events[i])
		} else {
			w.skipped++
		}
	}
	w.skipped += skipped
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Next waits for events and returns them in order of arrival, with the number of those that were skipped since the last
// call because the queue was full; the skipped ones are younger than those returned.
func (w *Watcher) Next(ctx context.Context) (events []*event.Event, skipped int64, err error) {
	for {
		w.mu.Lock()
		events, skipped = w.queue, w.skipped
		w.queue, w.skipped = nil, 0
		w.mu.Unlock()
		if len(events) > 0 || skipped > 0 {
			return events, skipped, nil
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

// Close ends the watch.
func (w *Watcher) Close() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	delete(w.hub.watchers, w)
}
