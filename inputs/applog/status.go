package applog

import (
	"maps"
	"slices"
	"time"

	"github.com/tallylog/tally/inputs/status"
)

// statusEvery is how old the status of an input may be where it is asked for so often: it goes over all sources, so it is made by the
// discoverer, in its time, and only once the last was read.
const statusEvery = 5 * time.Second

// status is what the discoverer saw last.
func (in *Input) status() status.Summary {
	in.mu.Lock()
	defer in.mu.Unlock()
	s := in.seen
	in.asked = true
	s.Sources = slices.Clone(s.Sources)
	return s
}

// observe makes the status of the input.
func (d *discoverer) observe(now time.Time) {
	if now.Sub(d.observed) < statusEvery {
		return
	}
	d.in.mu.Lock()
	asked := d.in.asked
	d.in.asked = false
	d.in.mu.Unlock()
	if !asked {
		return
	}
	d.observed = now
	s := status.Summary{Kind: Name, Unit: "bytes", Open: d.open, Waiting: len(d.waiting), Lost: d.lost}
	d.in.mu.Lock()
	defer d.in.mu.Unlock()
	for _, src := range d.sources {
		h := src.handle
		if h == nil && src.file == nil && src.orphan.IsZero() {
			continue // it has ended, or another input has it
		}
		s.Known++
		one := status.Source{Name: src.rec.Path, ID: src.rec.Source, Position: src.rec.Offset}
		if h != nil {
			one.Name, one.Lag = h.path, max(0, h.size-src.rec.Offset)
		}
		if !src.busy {
			one.Error = src.reported
		}
		s.Add(one)
	}
	for _, path := range slices.Sorted(maps.Keys(d.said)) {
		if path != "" {
			s.Add(status.Source{Name: path, Error: d.said[path]})
		}
	}
	s.Trim()
	d.in.seen = s
}
