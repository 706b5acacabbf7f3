package journald

import (
	"fmt"
	"slices"
	"time"
)

// retain keeps an entry, which was read, in the position until it is shipped.
func (s *source) retain(e *entry, skipped uint64) {
	p := piece{Seq: e.seq, Skipped: skipped}
	if s.account.volatile {
		p.Monotonic, p.Sum = e.monotonic, e.xor
	}
	s.account.hold(p)
}

// whole takes a message that has all its pieces: it is an event, or a line of one.
func (s *source) whole(m *joined) {
	if s.cfg.Multiline == nil {
		s.shipJoined(m)
		return
	}
	for _, done := range s.lines.add(s.cfg.Multiline, m, s.cut) {
		s.shipJoined(done)
	}
	for s.ctx.Err() == nil && (len(s.lines.open) > maxStreams || s.lines.bytes > maxLineBytes) {
		s.endNow(s.lines.oldest())
	}
}

// endOverdue ships what has waited for its next piece or line for too long when there is nothing else to read. Where it ends is
// stored durably before, so that a replay ends it there too; while that cannot be stored, it waits.
func (s *source) endOverdue(now time.Time) {
	pieces := s.joiner.overdue(now.Add(-s.cfg.PartialTimeout))
	var events []*joined
	if s.cfg.Multiline != nil {
		events = s.lines.overdue(now.Add(-s.cfg.Multiline.Timeout))
	}
	if len(pieces)+len(events) == 0 || s.ctx.Err() != nil {
		return
	}
	s.endAll(slices.Concat(pieces, events))
}

// endNow ends what there is no room for. Nothing else is read before its end is stored.
func (s *source) endNow(m *joined) {
	for s.ctx.Err() == nil && !s.endAll([]*joined{m}) {
		s.pause(s.cfg.Backoff)
	}
}

// endAll ends messages and events after it has stored where; false where it cannot.
func (s *source) endAll(all []*joined) bool {
	ends := map[uint64]uint64{}
	for _, m := range all {
		ends[m.pieces[0].Seq] = m.last.seq
	}
	if err := s.account.end(ends); err != nil {
		s.trouble(s.account.key, fmt.Errorf("cannot store where messages of journal %s end, they wait: %w", s.id, err))
		return false
	}
	s.well(s.account.key)
	for _, m := range all {
		m.cuts = append(m.cuts, m.pieces[0].Seq)
		if at := s.lines.open[m.stream]; at != nil && at.joined == m {
			s.shipJoined(s.lines.remove(at))
			continue
		}
		s.whole(s.joiner.remove(m))
	}
	return true
}
