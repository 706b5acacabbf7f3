package bundle

import (
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
)

// Part is the Private of an event that is one line, of an input which publishes line by line. Its message, its path and its stream are all that
// the event has for itself, so lines of one file can be joined to a bundle on their way: the processing of the client puts in what they share, and the
// queue joins those that come one after the other. Each is acknowledged as one event.
//
// It belongs to who publishes it, and may be used again when Publish has returned.
type Part struct {
	Line
	Source string
	Path   string      // log.file.path
	Stream string      // of a container; empty for no such field
	Shared *beat.Event // what the processing makes of an event with the path and stream alone; only read
	Origin any         // the Private that the input gave
}

// Template is the event with nothing but what lines of the same path and stream share.
func (p *Part) Template() *beat.Event {
	e := &beat.Event{Timestamp: time.Unix(0, p.Time).UTC(), Fields: common.MapStr{"log": common.MapStr{"file": common.MapStr{"path": p.Path}}}}
	if p.Stream != "" {
		e.Fields["stream"] = p.Stream
	}
	return e
}

// Bundle begins a bundle, with room for some lines.
func (p *Part) Bundle(room int) *Bundle {
	lines := make([]Line, 1, max(1, min(room, MaxLines)))
	lines[0] = p.Line
	return &Bundle{Source: p.Source, Lines: lines, Owner: p.Shared}
}

// Join adds a line to a bundle that was begun with one of its kind and that nobody else has seen yet. It returns false where they do
// not go together.
func (b *Bundle) Join(p *Part) bool {
	if b == nil || b.Owner != any(p.Shared) || b.Source != p.Source || len(b.Lines) >= MaxLines {
		return false
	}
	b.Lines = append(b.Lines, p.Line)
	return true
}
