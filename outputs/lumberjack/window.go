package lumberjack

import "sync"

// firstWindow is the size slow_start begins with.
const firstWindow = 10

// slowStart is the size of windows with slow_start: it grows by half as long as windows are acknowledged, up to max, is
// halved by a failure, and then grows again only to the size that last went well.
type slowStart struct {
	mu   sync.Mutex
	size int
	good int
	max  int // 0 and below: no bound
}

func newSlowStart(max int) *slowStart { return &slowStart{size: firstWindow, max: max} }

func (w *slowStart) get() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.size
}

// grow is called when a window of a batch of this many events was acknowledged.
func (w *slowStart) grow(batch int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.size > batch {
		return // it was not the window that bounded the batch
	}
	next := (3*w.size + 1) / 2
	if w.good < w.size {
		w.good = w.size
		next = max(min(next, batch), w.size)
		if w.max > 0 {
			next = min(next, w.max)
		}
	} else {
		next = min(next, w.good)
	}
	w.size = next
}

func (w *slowStart) shrink() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.size = max(1, w.size/2)
}
