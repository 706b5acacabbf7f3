package journald

// passCopy passes e over where it is a copy, in the same journal, of an entry that was read from a file in memory; done is true for what
// needs nothing more.
//
// Until the last of them, the copy of the last entry that was read, the position stays at the originals: after a crash all copies are
// found again. Copies of what an earlier run had read and held are shipped.
func (s *source) passCopy(e *entry) (done bool, err error) {
	if s.account.volatile && s.inMemory(e.seq) {
		s.memory = e.cursor
		return false, nil
	}
	last := s.memory
	if last.seqID.isZero() {
		return false, nil
	}
	upTo, known := s.flushes.copies[last]
	if !known {
		if last.boot != e.boot || e.seq <= last.seq || e.monotonic > last.monotonic {
			s.memory = cursor{} // the first entry on disk is none of those that were read
			return false, nil
		}
		if !s.account.settledBut(s.next, s.held) {
			return false, errWait
		}
		if upTo, err = s.flushes.await(s, last, last.seq); err != nil {
			return false, err
		}
	}
	if e.seq <= upTo {
		s.passOrShip(e)
		done = true
	}
	if e.seq >= upTo {
		s.endCopies(e, upTo)
	}
	return done, nil
}

// passOrShip passes a copy over, or ships it if its original was held when the agent was stopped, and is gone.
func (s *source) passOrShip(e *entry) {
	back := s.flushes.held[s.id]
	at := [2]uint64{e.monotonic, e.xor}
	h, is := back.pieces[at]
	if _, held := s.held[h.Seq]; !is || !held {
		s.metrics.filtered.Inc()
		return
	}
	delete(back.pieces, at)
	delete(s.held, h.Seq)
	s.account.release(h.Seq)
	if s.controls {
		s.tell(Range{Source: back.source, From: int64(h.Seq), To: int64(h.Seq + 1), Reason: Skipped, Skipped: int64(h.Skipped)})
	}
	skipped := e.seq - max(s.next, s.copies)
	if s.copies == 0 {
		skipped += s.skipped
	}
	s.copies = e.seq + 1
	s.ship(e, skipped)
}

// endCopies moves the position behind the copies.
func (s *source) endCopies(e *entry, upTo uint64) {
	s.memory = cursor{}
	s.account.onDisk()
	if upTo < s.next {
		return
	}
	if s.skipped += upTo + 1 - s.next; s.copies > 0 {
		s.skipped = upTo + 1 - s.copies
	}
	s.next, s.copies = upTo+1, 0
	if e.seq == upTo {
		s.last = e.cursor
	}
}

// inMemory tells whether a number is that of an entry in a file in memory: such as have gone while they are open are of that kind.
func (s *source) inMemory(seq uint64) bool {
	var at *file
	for _, files := range [][]*file{s.files.opened, s.listing.wanted[s.id]} {
		for _, f := range files {
			if f.entries > 0 && f.head <= seq && (at == nil || f.head > at.head) {
				at = f
			}
		}
	}
	return at == nil || s.where.volatile(at.path)
}
