package journald

import (
	"bytes"
	"strings"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"

	"github.com/tallylog/tally/ledger"
)

const (
	maxJoins     = 1024     // messages that wait for pieces at a time, in one source
	maxJoinBytes = 32 << 20 // their text, together
)

// joiner puts the pieces together into which Docker cuts messages longer than 16 KiB, however many entries of other
// containers lie between. Docker's journald driver marks all pieces but the last with CONTAINER_PARTIAL_MESSAGE=true; since
// 18.09 it marks the last, too, and adds an id for the message (CONTAINER_PARTIAL_ID, _ORDINAL, _LAST).
type joiner struct {
	open  map[string]*joined
	order []*joined // by first piece
	bytes int
}

// joined is a message with the pieces read so far; or a line, or the lines of one event with the pieces of them all.
type joined struct {
	key     string
	stream  string     // what the lines of an event have in common
	event   beat.Event // of the first piece
	message []byte
	pieces  []piece
	xor     uint64 // of all pieces' checksums
	last    cursor // of the last piece
	since   time.Time
	units   int      // how many entries, beyond the first
	cuts    []uint64 // where it, or a line of it, was ended by a timeout: the first pieces' numbers
	flagged bool     // something of it was cut off
	partial bool     // docker cut it, or the first line of it
}

// joinKey tells which message the entry is a piece of, by container and stream (Docker sets the priority by it). ok is
// false for entries that Docker did not write.
func joinKey(e *entry) (key string, partial, last, ok bool) {
	id := e.get("CONTAINER_ID_FULL")
	if id == nil {
		return "", false, false, false
	}
	partial = string(e.get("CONTAINER_PARTIAL_MESSAGE")) == "true"
	message := e.get("CONTAINER_PARTIAL_ID")
	last = string(e.get("CONTAINER_PARTIAL_LAST")) == "true" || message == nil && !partial
	return strings.Join([]string{string(id), string(e.get("PRIORITY")), string(message)}, "\x00"), partial, last, true
}

// add takes the entry, if it is a piece. done is the message that is complete with it, if so. make builds the event of the
// first piece.
func (j *joiner) add(e *entry, skipped uint64, cut map[uint64]uint64, now time.Time, build func() beat.Event) (taken bool, done *joined) {
	if len(j.open) == 0 && e.get("CONTAINER_PARTIAL_MESSAGE") == nil {
		return false, nil
	}
	key, partial, last, ok := joinKey(e)
	if !ok {
		return false, nil
	}
	m := j.open[key]
	if m == nil {
		if !partial || last {
			return false, nil
		}
		m = &joined{key: key, stream: streamOf(e), event: build(), units: -1, partial: true}
		if j.open == nil {
			j.open = map[string]*joined{}
		}
		j.open[key] = m
		j.order = append(j.order, m)
	}
	text := e.get("MESSAGE")
	m.message = append(m.message, text...)
	j.bytes += len(text)
	m.pieces = append(m.pieces, piece{Seq: e.seq, Skipped: skipped})
	m.xor ^= e.xor
	m.last = e.cursor
	m.since = now
	m.units++
	m.flagged = m.flagged || e.cut || len(m.message) >= maxValue
	byTime := cut[m.pieces[0].Seq] == e.seq
	if byTime {
		m.cuts = append(m.cuts, m.pieces[0].Seq)
	}
	if last || len(m.message) >= maxValue || byTime {
		return true, j.remove(m)
	}
	return true, nil
}

func (j *joiner) remove(m *joined) *joined {
	delete(j.open, m.key)
	for i, x := range j.order {
		if x == m {
			j.order = append(j.order[:i], j.order[i+1:]...)
			break
		}
	}
	j.bytes -= len(m.message)
	return m
}

// overdue are the messages that no piece came for since before.
func (j *joiner) overdue(before time.Time) (all []*joined) {
	for _, m := range j.order {
		if m.since.Before(before) {
			all = append(all, m)
		}
	}
	return all
}

// finish makes the event of a message, without its position.
func (m *joined) finish() beat.Event {
	fields := m.event.Fields
	if m.flagged {
		put(fields, []string{"truncated"}, "log", "flags")
	}
	if m.units == 0 && !m.partial {
		return m.event // a line, as it is
	}
	fields["message"] = string(bytes.ToValidUTF8(m.message, []byte("\uFFFD")))
	if container, ok := fields["container"].(common.MapStr); ok {
		delete(container, "partial")
	}
	if journald, ok := fields["journald"].(common.MapStr); ok {
		if custom, ok := journald["custom"].(common.MapStr); ok {
			for _, name := range []string{"container_partial_id", "container_partial_ordinal", "container_partial_last"} {
				delete(custom, name)
			}
			if len(custom) == 0 {
				delete(journald, "custom")
			}
		}
	}
	return m.event
}

// ranges are the pieces' numbers; more than one where other entries lie between.
func (m *joined) ranges() (rs []ledger.Range) {
	for _, p := range m.pieces {
		at := int64(p.Seq)
		if n := len(rs); n > 0 && rs[n-1].To == at {
			rs[n-1].To++
			continue
		}
		rs = append(rs, ledger.Range{From: at, To: at + 1})
	}
	return rs
}
