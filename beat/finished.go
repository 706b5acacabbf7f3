package beat

import (
	"sync"
	"time"

	inputfile "github.com/elastic/beats/v7/filebeat/input/file"
	"github.com/elastic/beats/v7/libbeat/beat"
)

// finished keeps Filebeat's log input from losing a line when it stops reading a file. Its harvester hands lines, and at its end the place that it has
// come to, to goroutines of their own, and the place may overtake the last line, which may then never come: the registry would be behind a line
// that nobody has shipped. So a place waits for its line, and without it goes no further than the lines that came.
type finished struct {
	beat.Client
	order sync.Mutex // held while a line or place is published: what comes after it is not published before it

	mu     sync.Mutex
	moved  sync.Cond
	closed bool
	open   map[string]int64 // files that are read: how far their events have come
}

// lineTime is how long a place waits for its line at most.
const lineTime = 5 * time.Second

func newFinished(next beat.Client) *finished {
	f := &finished{Client: next, open: map[string]int64{}}
	f.moved.L = &f.mu
	return f
}

// Publish implements beat.Client.
func (f *finished) Publish(e beat.Event) {
	s, ok := e.Private.(inputfile.State)
	if !ok { // another kind of input
		f.Client.Publish(e)
		return
	}
	if s.Finished {
		e.Private = f.end(s)
	}
	f.order.Lock()
	defer f.order.Unlock()
	if !s.Finished {
		f.line(s)
	}
	f.Client.Publish(e)
}

// PublishAll implements beat.Client.
func (f *finished) PublishAll(events []beat.Event) {
	for _, e := range events {
		f.Publish(e)
	}
}

// Close implements beat.Client.
func (f *finished) Close() error {
	f.mu.Lock()
	f.closed = true
	f.moved.Broadcast()
	f.mu.Unlock()
	return f.Client.Close()
}

// line notes how far the events of a file have come.
func (f *finished) line(s inputfile.State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open[s.Id] = s.Offset
	f.moved.Broadcast()
}

// end is what may go to the registry when a file is not read any more.
func (f *finished) end(s inputfile.State) inputfile.State {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, reading := f.open[s.Id]; !reading {
		return s // of a file that is only known
	}
	late := false
	timer := time.AfterFunc(lineTime, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		late = true
		f.moved.Broadcast()
	})
	defer timer.Stop()
	for s.Offset > f.open[s.Id] && !f.closed && !late {
		f.moved.Wait()
	}
	s.Offset = min(s.Offset, f.open[s.Id])
	delete(f.open, s.Id)
	return s
}
