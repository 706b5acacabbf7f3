package beat

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// early keeps a request to end that comes before libbeat listens for one: the process then ends as one that was asked while it
// ran, with its exit code, and not by the signal.
type early struct {
	mu      sync.Mutex
	asked   bool
	running func() // ends the beat; nil before it runs
}

// listen begins to take signals. A second one before the beat runs ends the process at once.
func (e *early) listen() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	go func() {
		for range signals {
			if !e.take() {
				signal.Stop(signals)
				return
			}
		}
	}()
}

// take notes a signal, and reports whether it was the first and the beat does not run yet.
func (e *early) take() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running != nil {
		return false // libbeat has it, too
	}
	if e.asked {
		os.Exit(1)
	}
	e.asked = true
	return true
}

// run is told that the beat runs from now on; it stops it where that was asked for already.
func (e *early) run(stop func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running = stop
	if e.asked {
		stop()
	}
}
