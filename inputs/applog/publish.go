package applog

import (
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/common/acker"

	"github.com/tallylog/tally/outputs/bundle"
)

// publish ships the lines of a turn. b holds the bytes from t.from on. All texts share one string, and all checksums
// another, so that a line costs no allocation of its own; both live as long as the turn, which is what max_in_flight counts.
func (w *worker) publish(t *turn, b []byte, spans []span) {
	w.now = time.Now()
	f := &t.source.format
	if w.in.bundles {
		w.bundle(t, b, spans)
		return
	}
	sums := make([]byte, 0, 16*len(spans))
	for _, sp := range spans {
		sums = bundle.AppendHex(sums, xxhash.Sum64(b[sp.from:sp.to]))
	}
	allSums, all := string(sums), ""
	plain := f.plain(b)
	if plain {
		all = string(b)
	}
	for i, sp := range spans {
		w.event = i
		sum := allSums[16*i : 16*i+16]
		from, to := t.from+int64(sp.from), t.from+int64(sp.to)
		if plain && sp.text-sp.from <= int(w.in.cfg.MaxBytes) {
			w.send(t, from, to, all[sp.from:sp.text], to, sum)
		} else {
			w.ship(t, from, to, b[sp.from:sp.to], sp.text-sp.from)
		}
	}
}

// bundle ships the lines of a turn with one event for many of them.
func (w *worker) bundle(t *turn, b []byte, spans []span) {
	s := t.source
	f := &s.format
	all := ""
	plain := f.plain(b)
	if plain {
		all = string(b)
	}
	var lines []bundle.Line
	w.event = 0
	for i, sp := range spans {
		from, to := t.from+int64(sp.from), t.from+int64(sp.to)
		if sp.text-sp.from > int(w.in.cfg.MaxBytes) {
			w.together(t, lines)
			lines = nil
			w.ship(t, from, to, b[sp.from:sp.to], sp.text-sp.from)
			w.event++
			continue
		}
		if lines == nil {
			lines = make([]bundle.Line, 0, min(len(spans)-i, bundle.MaxLines))
		}
		var text string
		if plain {
			text = all[sp.from:sp.text]
		} else {
			text = f.decode(b[sp.from:sp.text])
		}
		sum := xxhash.Sum64(b[sp.from:sp.to])
		lines = append(lines, bundle.Line{From: from, To: to, Skipped: from - s.shipped, Sum: sum, Message: w.in.joined(text)})
		s.shipped = to
		if len(lines) == bundle.MaxLines {
			w.together(t, lines)
			lines = nil
		}
	}
	w.together(t, lines)
}

// ends are the ends of the events that publish makes of spans.
func (in *Input) ends(s *source, at int64, spans []span) (ends []int64) {
	n := 0 // lines of the bundle that is open
	for _, sp := range spans {
		end := at + int64(sp.to)
		switch {
		case !in.bundles, sp.text-sp.from > int(in.cfg.MaxBytes):
			ends, n = append(ends, end), 0
		case n == 0 || n == bundle.MaxLines:
			ends, n = append(ends, end), 1
		default:
			ends[len(ends)-1] = end
			n++
		}
	}
	return ends
}

// together publishes lines as one event.
func (w *worker) together(t *turn, lines []bundle.Line) {
	if len(lines) == 0 {
		return
	}
	s := t.source
	fields := common.MapStr{"log": common.MapStr{"file": common.MapStr{"path": s.path}}}
	for k, v := range s.pod {
		fields[k] = v.(common.MapStr).Clone()
	}
	w.client.Publish(beat.Event{
		Timestamp: w.now, Fields: fields, Private: &bundle.Bundle{Source: s.rec.Source, Lines: lines, Owner: t},
	})
	w.event++
}

// joined is a message of several lines with the ends that JSON's readers expect.
func (in *Input) joined(message string) string {
	if in.cfg.Multiline == nil {
		return message
	}
	return strings.ReplaceAll(message, "\r\n", "\n")
}

// turnOf is the turn that an event is of.
func turnOf(private any) (*turn, bool) {
	if b, ok := private.(*bundle.Bundle); ok {
		private = b.Owner
	}
	t, ok := private.(*turn)
	return t, ok
}

// ship cuts and decodes a line and sends it. raw are its bytes [from, to), of which the first n are its text, or as many of them as an
// event may hold and more. The event of a line that is cut ends where that is cut; the rest is lost.
func (w *worker) ship(t *turn, from, to int64, raw []byte, n int) {
	f := &t.source.format
	text, truncated := f.cut(raw[:n], int(w.in.cfg.MaxBytes))
	if end := from + int64(len(text)); truncated || from+int64(len(raw)) < to {
		w.in.owe(t.source, [][2]int64{{end, to}}, nil)
		w.send(t, from, end, f.decode(text), to, bundle.Hex(xxhash.Sum64(text)))
		w.in.sure(t.source, !w.dropped)
		return
	}
	w.send(t, from, to, f.decode(text), to, bundle.Hex(xxhash.Sum64(raw)))
}

// send publishes one event, of bytes [from, to) of a line that ends at end. It blocks while the pipeline does.
func (w *worker) send(t *turn, from, to int64, message string, end int64, sum string) {
	s := t.source
	message = w.in.joined(message)
	log := common.MapStr{"offset": from, "file": common.MapStr{"path": s.path}}
	if to < end {
		log["flags"] = []string{"truncated"}
	}
	fields := common.MapStr{"message": message, "log": log}
	if s.pod != nil {
		// Processors change events in place, so every event has maps of its own.
		for k, v := range s.pod {
			fields[k] = v.(common.MapStr).Clone()
		}
	}
	w.dropped = false
	w.client.Publish(beat.Event{
		Timestamp: w.now,
		Meta: common.MapStr{"tally": common.MapStr{
			"source": s.name, "from": from, "to": to, "skipped": from - s.shipped, "sum": sum,
		}},
		Fields:  fields,
		Private: t,
	})
	if !w.dropped {
		s.shipped = end
	}
}

// acks hears what becomes of a worker's events. libbeat calls AddEvent within Publish, in the worker's goroutine, and tells
// there whether the processors dropped the event; everything else is left to libbeat's own ACKer, which reports events, dropped
// ones included, in the order of their publication.
type acks struct {
	beat.ACKer
	w *worker
}

func newAcks(w *worker) beat.ACKer {
	return &acks{acker.EventPrivateReporter(func(_ int, data []interface{}) { w.in.acked(data) }), w}
}

func (a *acks) AddEvent(e beat.Event, published bool) {
	if t, ok := turnOf(e.Private); ok && !published {
		a.w.dropped = true
		a.w.in.filtered(t, a.w.event)
	}
	a.ACKer.AddEvent(e, published)
}
