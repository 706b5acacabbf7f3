package journald

import (
	"bytes"
	"math"
	"slices"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"

	"github.com/tallylog/tally/inputs/multiline"
)

const (
	maxStreams   = 4096     // events that wait for their next line at a time, in one source
	maxLineBytes = 32 << 20 // their text, together
)

// lines joins lines to events by the rules of multiline, for each stream by itself, however many entries of other streams lie
// between.
//
// An event is a function of the entries from its first on, and of the cuts that are stored: it ends where the rules say, or
// before an entry of any stream that is younger than its last line by the timeout, or at a cut. Only where nothing more comes to
// read does the clock of the machine decide, and that becomes a cut.
type lines struct {
	open  map[string]*lineEvent
	bytes int
	// due is the earliest realtime, in microseconds, at which an event may end by the journal's time; 0 where none is open.
	due uint64
}

type lineEvent struct {
	*joined
	rules multiline.Event
}

// streamOf tells which lines may belong together: those of a container's standard output, or error (docker sets the priority by
// it), of a service's, or what a process writes under one name.
func streamOf(e *entry) string {
	b := make([]byte, 0, 96)
	for _, names := range [][]string{{"CONTAINER_ID_FULL", "PRIORITY"}, {"CONTAINER_ID", "PRIORITY"}, {"_STREAM_ID"}} {
		id := e.get(names[0])
		if id == nil {
			continue
		}
		b = append(b, id...)
		if len(names) > 1 {
			b = append(append(b, 0), e.get(names[1])...)
		}
		return string(b)
	}
	for _, name := range []string{"_BOOT_ID", "_MACHINE_ID", "_HOSTNAME", "_TRANSPORT", "_SYSTEMD_UNIT", "_PID", "SYSLOG_IDENTIFIER"} {
		b = append(append(b, e.get(name)...), 0)
	}
	return string(b)
}

// single is an entry that is a line by itself.
func single(e *entry, skipped uint64, now time.Time, event beat.Event) *joined {
	return &joined{
		stream: streamOf(e), event: event, message: bytes.Clone(e.get("MESSAGE")), pieces: []piece{{Seq: e.seq, Skipped: skipped}},
		xor: e.xor, last: e.cursor, since: now,
	}
}

// add takes the next line of a stream, which belongs to it from then on, and returns the events that are complete with it.
func (l *lines) add(c *multiline.Config, m *joined, cut map[uint64]uint64) (done []*joined) {
	first := m.pieces[0].Seq
	ended := cut[first] == m.last.seq || len(m.cuts) > 0
	at := l.open[m.stream]
	if at == nil {
		at = &lineEvent{}
	} else {
		ended = ended || cut[at.pieces[0].Seq] == m.last.seq || len(at.message)+len(m.message) >= maxValue
	}
	begins, ends := c.Next(&at.rules, string(m.message), ended)
	if begins && at.joined != nil {
		done = append(done, l.remove(at))
	}
	if begins {
		at = &lineEvent{joined: m, rules: at.rules}
	} else {
		at.append(m)
		l.bytes += len(m.message) + 1
	}
	if ends {
		for _, first := range []uint64{at.pieces[0].Seq, first} {
			if cut[first] == m.last.seq && !slices.Contains(at.cuts, first) {
				at.cuts = append(at.cuts, first)
			}
		}
		return append(done, l.remove(at))
	}
	if begins {
		if l.open == nil {
			l.open = map[string]*lineEvent{}
		}
		l.open[m.stream] = at
		l.bytes += len(at.message)
	}
	if due := at.last.realtime; l.due == 0 || due < l.due {
		l.due = due
	}
	return done
}

// append adds a line to an event.
func (m *joined) append(next *joined) {
	m.message = append(append(m.message, '\n'), next.message...)
	m.pieces = append(m.pieces, next.pieces...)
	m.xor ^= next.xor
	m.last, m.since = next.last, next.since
	m.units += 1 + next.units
	m.cuts = append(m.cuts, next.cuts...)
	m.flagged = m.flagged || next.flagged
}

func (l *lines) remove(at *lineEvent) *joined {
	if l.open[at.stream] == at {
		delete(l.open, at.stream)
		l.bytes -= len(at.message)
	}
	return at.joined
}

// endedBefore takes out the events whose last line is older, by the journal's time, than an entry by the timeout or more.
func (l *lines) endedBefore(realtime uint64, timeout time.Duration) []*joined {
	limit := uint64(timeout.Microseconds())
	if l.due == 0 || realtime < l.due+limit {
		return nil
	}
	l.due = math.MaxUint64
	var done []*joined
	for _, at := range l.open {
		if realtime >= at.last.realtime+limit {
			done = append(done, l.remove(at))
		} else {
			l.due = min(l.due, at.last.realtime)
		}
	}
	if len(l.open) == 0 {
		l.due = 0
	}
	return inOrder(done)
}

// overdue takes out the events that had no line since before.
func (l *lines) overdue(before time.Time) (done []*joined) {
	for _, at := range l.open {
		if at.since.Before(before) {
			done = append(done, at.joined)
		}
	}
	return inOrder(done)
}

// oldest is the event that had no line for longest.
func (l *lines) oldest() (old *joined) {
	for _, at := range l.open {
		if old == nil || at.last.seq < old.last.seq {
			old = at.joined
		}
	}
	return old
}

func inOrder(all []*joined) []*joined {
	slices.SortFunc(all, func(a, b *joined) int {
		if a.pieces[0].Seq < b.pieces[0].Seq {
			return -1
		}
		return 1
	})
	return all
}
