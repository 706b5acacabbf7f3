package journald

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/logp"
)

// source reads one journal of a path: the files with one sequence-number id. It is used by one goroutine.
type source struct {
	*follower
	id      id128
	log     *logp.Logger
	account *account
	convert *converter
	joiner  joiner
	lines   lines
	files   fileSet

	begin   place             // where to open the reader
	next    uint64            // the number expected next; 0 when any may come (see diverged)
	skipped uint64            // units right before next that were passed over and are in no event's position yet
	last    cursor            // of the last entry read
	check   bool              // the reader begins at last or before: it is still to be seen whether the entry there is the same
	held    map[uint64]uint64 // pieces to be read again, with their skipped counts
	damaged bool              // the entry at next cannot be read: what is missing there is lost, whatever the headers say
	cut     map[uint64]uint64 // see position.Cut
	memory  cursor            // of the last entry read from a file in memory, while copies of it on disk may come: see flush.go
	copies  uint64            // the number behind the last of these copies that was shipped; 0 while none is
	pass    passed
	torn    torn
	entry   entry

	goneSince time.Time // that no file of the journal is there; zero while one is
	ended     bool      // and it was told
}

// errReopen ends the reading of a batch: the set of files is to be opened anew at next.
var errReopen = errors.New("files have changed")

// errElsewhere ends the reading of a batch, too: the set of files was told where to go on.
var errElsewhere = errors.New("reading goes on at another place")

// step reads and publishes one batch. It reports whether there may be more at once. Errors are those that no other step
// can mend.
func (s *source) step() (more bool, err error) {
	b, err := s.files.read(s)
	switch {
	case errors.Is(err, errReopen):
		return true, nil
	case err != nil:
		return false, err
	case len(b) == 0:
		more := s.files.atEnd(s)
		s.account.atEnd(!more && s.readAll(), s.next)
		s.endOverdue(time.Now())
		s.tellEnd(time.Now())
		return more, nil
	}
	s.account.atEnd(false, 0)
	if err := s.flushes.before(s); err != nil {
		return false, err
	}
	for len(b) > 0 && s.ctx.Err() == nil {
		if b, err = s.entry.unpack(b); err != nil {
			return false, fmt.Errorf("cannot read journal %s: %w", s.id, err)
		}
		err := s.take(&s.entry)
		if errors.Is(err, errReopen) || errors.Is(err, errWait) {
			s.files.reopen(s.resume())
		}
		if errors.Is(err, errWait) {
			s.noteBatch()
			s.endOverdue(time.Now()) // what it waits for may wait for this
			return false, nil
		}
		if err != nil {
			break
		}
	}
	s.noteBatch()
	s.files.renew(s)
	return true, nil
}

// noteBatch notes how far the entries of a batch are dealt with.
func (s *source) noteBatch() {
	if s.next != 0 && !s.check && s.ctx.Err() == nil {
		s.account.passed(s.state())
		s.noteRead()
	}
}

func (s *source) state() state {
	return state{next: s.next, skipped: s.skipped, last: s.last, version: s.account.version()}
}

// resume is where the reader must begin so that nothing is missed and as little as possible is read again.
func (s *source) resume() place {
	if s.next == 0 {
		return s.begin
	}
	at := s.next
	if s.check {
		at = min(at, s.last.seq)
	}
	for seq := range s.held {
		at = min(at, seq)
	}
	return place{seqID: s.id, seq: at}
}

// take deals with the next entry in order.
func (s *source) take(e *entry) error {
	if s.check && e.seq >= s.last.seq {
		s.check = false
		if e.seq == s.last.seq && s.last.xor != 0 && e.xor != s.last.xor {
			s.diverged("its entry %d is another than the one that was read", e.seq)
			return errReopen
		}
	}
	skipped, held := s.held[e.seq]
	if (held || e.seq >= s.next) && e.lostMessage() && s.torn.again(e.seq, time.Now()) {
		return errWait
	}
	if held {
		delete(s.held, e.seq)
		if e.lostMessage() {
			s.account.release(e.seq)
			s.lost(Range{From: int64(e.seq), To: int64(e.seq + 1), Reason: Corrupt, Skipped: int64(skipped)})
			return nil
		}
		s.ship(e, skipped)
		return nil
	}
	if e.seq < s.next {
		return nil // dealt with already: read again to come to the held pieces, or to check the place
	}
	if done, err := s.passCopy(e); done || err != nil {
		return err
	}
	s.loseHeld()
	copied, err := s.flushes.copied(s, e)
	if err != nil {
		return err
	}
	if s.next != 0 && e.seq > s.next {
		if err := s.gap(e.seq); err != nil {
			return err
		}
	}
	s.damaged = false
	s.next = e.seq + 1
	s.last = e.cursor
	if e.lostMessage() {
		s.lost(Range{From: int64(e.seq), To: int64(e.seq + 1), Reason: Corrupt, Skipped: int64(s.skipped)})
		s.skipped = 0
		return nil
	}
	if copied || s.passOver(e.seq) || s.cfg.match != nil && !s.cfg.match.match(e) {
		s.skipped++
		s.metrics.filtered.Inc()
		return nil
	}
	skipped = s.skipped
	s.skipped = 0
	s.ship(e, skipped)
	return nil
}

// loseHeld reports the pieces that did not come again, for an entry behind them has.
func (s *source) loseHeld() {
	for seq, skipped := range s.held {
		r := Range{From: int64(seq), To: int64(seq + 1), Reason: Corrupt, Skipped: int64(skipped)}
		if segs := s.files.explain(s, seq, seq+1); segs[0].reason != "" {
			r.Reason = segs[0].reason
		}
		if !s.shipBody(seq, skipped) {
			delete(s.held, seq)
			s.account.release(seq)
			s.lost(r)
		}
	}
}

// ship publishes the entry, or keeps it as a piece of a message.
func (s *source) ship(e *entry, skipped uint64) {
	now := time.Now()
	build := func() beat.Event { return s.convert.whole(e, now) } // of what is joined, whose fields change
	if s.cfg.Multiline != nil {
		s.retain(e, skipped) // what is shipped before it must not pass it by
		for _, m := range s.lines.endedBefore(e.realtime, s.cfg.Multiline.Timeout) {
			s.shipJoined(m)
		}
	}
	if s.cfg.JoinPartial {
		if taken, done := s.joiner.add(e, skipped, s.cut, now, build); taken {
			s.retain(e, skipped)
			if done != nil {
				s.whole(done)
			}
			for s.ctx.Err() == nil && (len(s.joiner.order) > maxJoins || s.joiner.bytes > maxJoinBytes) {
				s.endNow(s.joiner.order[0])
			}
			return
		}
	}
	if s.cfg.Multiline != nil {
		s.whole(single(e, skipped, now, build()))
		return
	}
	s.account.release(e.seq) // one that is read again, and was a piece before the configuration changed
	tally := common.MapStr{
		"source": s.account.source, "from": int64(e.seq), "to": int64(e.seq + 1), "skipped": int64(skipped),
		"sum": strconv.FormatUint(e.xor, 16),
	}
	m := &mark{account: s.account, at: s.state(), skippedThen: skipped + 1}
	if e.seq+1 != s.next { // a held piece that is none any more, read again
		m.skippedThen = s.skipped
	}
	s.publish(s.convert.event(e, now), tally, m)
	if m.dropped {
		if e.seq+1 == s.next {
			s.skipped = m.skippedThen
		} else {
			s.lost(Range{From: int64(e.seq), To: int64(e.seq + 1), Reason: Skipped, Skipped: int64(skipped)})
		}
	}
}

func (s *source) publish(event beat.Event, tally common.MapStr, m *mark) {
	event.Meta = common.MapStr{"tally": tally}
	event.Private = m
	s.account.publishing(m)
	s.client.Publish(event)
	s.metrics.events.Inc()
}

// shipJoined publishes a message made of pieces. What lies passed over right before its later pieces is in no event's
// position, and is reported.
func (s *source) shipJoined(j *joined) {
	slices.SortFunc(j.pieces, func(a, b piece) int { return cmp.Compare(a.Seq, b.Seq) })
	ranges := j.ranges()
	first, last := j.pieces[0], ranges[len(ranges)-1]
	tally := common.MapStr{
		"source": s.account.source, "from": int64(first.Seq), "to": last.To, "skipped": int64(first.Skipped),
		"sum": strconv.FormatUint(j.xor, 16),
	}
	if len(ranges) > 1 {
		list := make([][]int64, len(ranges))
		for i, r := range ranges {
			list[i] = []int64{r.From, r.To}
		}
		tally["ranges"] = list
	}
	for _, p := range j.pieces[1:] {
		if p.Skipped > 0 {
			s.lost(Range{From: int64(p.Seq - p.Skipped), To: int64(p.Seq), Reason: Skipped})
		}
	}
	for _, p := range j.pieces {
		s.account.release(p.Seq)
	}
	m := &mark{account: s.account, at: s.state(), skippedThen: s.skipped, cuts: j.cuts}
	event := j.finish()
	if s.convert.entries != nil && (j.units > 0 || j.partial) {
		s.convert.entries.whole(event.Fields)
	}
	s.publish(event, tally, m)
	if m.dropped {
		for i, r := range ranges {
			out := Range{From: r.From, To: r.To, Reason: Skipped}
			if i == 0 {
				out.Skipped = int64(first.Skipped)
			}
			s.lost(out)
		}
	}
}

// gap accounts for the numbers from next up to seq, which comes after them. errReopen means that there are files that are
// not open yet and may hold them.
func (s *source) gap(seq uint64) error {
	if s.files.missing(s) {
		return errReopen
	}
	segs := s.files.explain(s, s.next, seq)
	if !s.damaged && slices.ContainsFunc(segs, func(g segment) bool { return g.reason == Corrupt }) {
		if at, ok := s.files.salvage(s, s.next, seq); ok {
			s.damaged = true
			s.files.reopen(place{seqID: s.id, seq: at})
			return errElsewhere
		}
	}
	for _, seg := range segs {
		if seg.reason == "" && s.damaged {
			seg.reason = Corrupt
		}
		if seg.reason == "" {
			s.skipped += seg.to - seg.from
			continue
		}
		s.lost(Range{From: int64(seg.from), To: int64(seg.to), Reason: seg.reason, Skipped: int64(s.skipped)})
		s.skipped = 0
	}
	return nil
}

// lost reports a range that no event will cover.
func (s *source) lost(r Range) {
	r.Source = s.account.source
	if r.Reason != Skipped {
		s.metrics.lost.Add(r.To - r.From)
		s.seen.lost++
		s.log.Warnw(fmt.Sprintf("%d entries are lost (%s): the numbers from %d up to, not including, %d of journal %s",
			r.To-r.From, r.Reason, r.From, r.To, s.id), "source", r.Source)
	}
	if s.report != nil {
		s.report(r)
	}
	if s.controls {
		s.tell(r)
	}
}

// syncInterval is longer than the five minutes after which journald writes its files to disk by default.
const syncInterval = 10 * time.Minute

// diverged begins anew after the journal turned out to be another than the one that was read: a machine that lost its
// power lost entries that had been read already, or was set back to a snapshot, and numbered new ones alike. What is older
// than journald's interval of syncing is the same on both ways; from there on entries are read again.
func (s *source) diverged(format string, args ...any) {
	from := time.UnixMicro(int64(s.last.realtime)).Add(-syncInterval)
	s.log.Warnf("Journal %s has changed its past: %s. Reading again from %s", s.id, fmt.Sprintf(format, args...), from)
	s.begin = place{seqID: s.id, realtime: uint64(max(1, from.UnixMicro()))}
	s.account.releaseAll()
	s.next, s.skipped, s.last, s.check, s.held = 0, 0, cursor{}, false, nil
	s.joiner, s.lines = joiner{}, lines{}
}
