package bundle

import (
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/publisher"
)

// MaxLines is how many lines an input puts into one bundle at most, so that batches can be of about the size that is
// configured for them.
const MaxLines = 512

// Bundle is the Private of an event that stands for several lines.
type Bundle struct {
	Source string // @metadata.tally.source
	Lines  []Line
	Owner  any // the input's own
}

// Line is what an event of the bundle has for itself.
type Line struct {
	From, To, Skipped int64  // of @metadata.tally; From is log.offset too
	Sum               uint64 // xxhash64 of the bytes [From, To)
	Time              int64  // of @timestamp, in nanoseconds since 1970; 0 for that of the event
	Message           string
}

// Of returns the bundle that an event stands for, nil for a plain event.
func Of(e *beat.Event) *Bundle {
	b, _ := e.Private.(*Bundle)
	return b
}

// Lines is the number of events that e stands for.
func Lines(e *beat.Event) int {
	if b := Of(e); b != nil {
		return len(b.Lines)
	}
	return 1
}

// Count is the number of events that a batch stands for.
func Count(events []publisher.Event) (n int) {
	for i := range events {
		n += Lines(&events[i].Content)
	}
	return n
}

// After returns what is left of events without the first n lines. The events given are not changed.
func After(events []publisher.Event, n int) []publisher.Event {
	for i := range events {
		lines := Lines(&events[i].Content)
		switch {
		case n == 0:
			return events[i:]
		case n >= lines:
			n -= lines
		default:
			rest := append([]publisher.Event(nil), events[i:]...)
			b := *Of(&rest[0].Content)
			b.Lines = b.Lines[n:]
			rest[0].Content.Private = &b
			return rest
		}
	}
	return nil
}

// Has says whether one of the events is a bundle.
func Has(events []publisher.Event) bool {
	for i := range events {
		if Of(&events[i].Content) != nil {
			return true
		}
	}
	return false
}

// Expand returns the events with each line as one of its own, in the same slice where there is no bundle. Their maps belong to them
// alone.
func Expand(events []publisher.Event) []publisher.Event {
	if !Has(events) {
		return events
	}
	out := make([]publisher.Event, 0, Count(events))
	for i := range events {
		e := &events[i]
		b := Of(&e.Content)
		if b == nil {
			out = append(out, *e)
			continue
		}
		for j := range b.Lines {
			out = append(out, publisher.Event{Content: b.event(&e.Content, j), Flags: e.Flags})
		}
	}
	return out
}

// event is line i as an event. What the shared fields have under the same names is the configuration's, and wins.
func (b *Bundle) event(e *beat.Event, i int) beat.Event {
	l := &b.Lines[i]
	fields, meta := e.Fields.Clone(), e.Meta.Clone()
	if meta == nil {
		meta = common.MapStr{}
	}
	meta["tally"] = common.MapStr{"source": b.Source, "from": l.From, "to": l.To, "skipped": l.Skipped, "sum": Hex(l.Sum)}
	if _, has := fields["message"]; !has {
		fields["message"] = l.Message
	}
	if log, ok := fields["log"].(common.MapStr); ok {
		if _, has := log["offset"]; !has {
			log["offset"] = l.From
		}
	}
	at := e.Timestamp
	if l.Time != 0 {
		at = time.Unix(0, l.Time).UTC()
	}
	return beat.Event{Timestamp: at, Meta: meta, Fields: fields, TimeSeries: e.TimeSeries}
}

// Hex is how a checksum is written.
func Hex(sum uint64) string { return string(AppendHex(nil, sum)) }

// AppendHex appends it.
func AppendHex(dst []byte, sum uint64) []byte {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], sum)
	return hex.AppendEncode(dst, raw[:])
}
