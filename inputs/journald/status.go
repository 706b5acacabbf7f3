package journald

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tallylog/tally/inputs/status"
)

// statusEvery is how old the status of a path may be: it is made by the goroutine that reads, in its time.
const statusEvery = time.Second

// seen is the status of a path as the goroutine that reads saw it last.
type seen struct {
	lost int64 // ranges, since the start

	mu      sync.Mutex
	at      time.Time
	summary status.Summary
}

func (o *seen) get() status.Summary {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.summary
	s.Sources = slices.Clone(s.Sources)
	return s
}

// observe makes the status of the path: open and known are files, the sources are journals, by the number that is next to be
// acknowledged. A file that cannot be read is named beside its journal.
func (f *follower) observe(now time.Time) {
	if now.Sub(f.seen.at) < statusEvery {
		return
	}
	s := status.Summary{Kind: pluginName, Unit: "entries", Lost: f.seen.lost}
	for path, err := range f.listing.bad {
		if f.said[path] != "" {
			s.Add(status.Source{Name: path, Error: err.Error()})
		}
	}
	for _, src := range f.order {
		one := status.Source{Name: fmt.Sprintf("%s (journal %s)", f.path, src.id), ID: src.account.source, Position: src.account.next()}
		for _, file := range f.listing.wanted[src.id] {
			s.Known++
			if file.entries > 0 {
				one.Lag = max(one.Lag, int64(file.tail)+1-one.Position)
			}
			if b, bad := src.files.bad[file.inode]; bad {
				s.Add(status.Source{Name: file.path, Error: b.why})
			}
		}
		if src.files.r != nil {
			s.Open += len(src.files.opened)
		}
		s.Add(one)
	}
	if len(f.listing.wanted) == 0 && s.Errors == 0 {
		s.Add(status.Source{Name: f.path, Error: "there is no journal yet"})
	}
	for _, key := range slices.Sorted(maps.Keys(f.stuck)) {
		s.Add(status.Source{Name: key, Error: f.stuck[key]})
	}
	s.Trim()
	f.seen.mu.Lock()
	f.seen.at, f.seen.summary = now, s
	f.seen.mu.Unlock()
}

// next is the number from which on nothing is acknowledged.
func (a *account) next() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	first := a.stored.next
	for _, h := range a.held {
		first = min(first, h.Seq)
	}
	return int64(first)
}
