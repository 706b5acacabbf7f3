package applog

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/common/acker"
)

// publish ships the lines of a turn. b holds the bytes from t.from on. All texts share one string, and all checksums
// another, so that a line costs no allocation of its own; both live as long as the turn, which is what max_in_flight counts.
func (w *worker) publish(t *turn, b []byte, spans []span) {
	w.now = time.Now()
	f := &t.source.format
	sums := make([]byte, 0, 16*len(spans))
	for _, sp := range spans {
		var raw [8]byte
		binary.BigEndian.PutUint64(raw[:], xxhash.Sum64(b[sp.from:sp.to]))
		sums = hex.AppendEncode(sums, raw[:])
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
			w.send(t, from, to, all[sp.from:sp.text], false, sum)
		} else {
			w.ship(t, from, to, b[sp.from:sp.text], sum)
		}
	}
}

// ship cuts and decodes the text of a line and sends it.
func (w *worker) ship(t *turn, from, to int64, text []byte, sum string) {
	f := &t.source.format
	text, truncated := f.cut(text, int(w.in.cfg.MaxBytes))
	w.send(t, from, to, f.decode(text), truncated, sum)
}

// send publishes one event. It blocks while the pipeline does.
func (w *worker) send(t *turn, from, to int64, message string, truncated bool, sum string) {
	s := t.source
	if w.in.cfg.Multiline != nil {
		message = strings.ReplaceAll(message, "\r\n", "\n")
	}
	log := common.MapStr{"offset": from, "file": common.MapStr{"path": s.path}}
	if truncated {
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
		s.shipped = to
	}
}

func hexSum(sum uint64) string {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], sum)
	return hex.EncodeToString(raw[:])
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
	if t, ok := e.Private.(*turn); ok && !published {
		a.w.dropped = true
		a.w.in.filtered(t, a.w.event)
	}
	a.ACKer.AddEvent(e, published)
}
