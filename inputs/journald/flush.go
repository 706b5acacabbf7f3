package journald

import (
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// flushWait is how long an entry that may be a copy waits for journald to finish the copying.
const flushWait = 5 * time.Second

// errWait ends the reading of a batch: the next entry is to be looked at again later.
var errWait = errors.New("journald may be copying a journal")

// flushes keeps entries from coming twice when journald copies the journal it kept in memory (/run) to disk (/var), early at
// boot or by journalctl --flush. The copies are entries of another journal, with numbers of their own, but with the same
// boot, times and checksum. journald copies all in order, then removes the files in /run, and writes what is new to /var.
//
// So if the journal on disk has a copy of the last entry that was read of the one in memory, then what comes before it,
// of the same boot and not later, are copies of what was read as well. Nothing is passed over for that before its original is
// acknowledged; and of what an earlier run had read and held (pieces of messages, lines of events), the copies are shipped.
//
// Some versions of systemd (254 and 255) give the copies numbers behind those of the originals in the same journal, with the same
// sequence-number id: then they come from the same source. See passCopy.
type flushes struct {
	read    map[id128]cursor // the last entry read of journals in memory that were read by an earlier run
	held    map[id128]heldBack
	copies  map[cursor]uint64
	waiting time.Time
}

// heldBack are the entries of a journal in memory that an earlier run had read and not shipped, by time and checksum.
type heldBack struct {
	source string
	pieces map[[2]uint64]piece
}

// restore finds out what earlier runs have read of journals in memory, whose files may be gone.
func (fl *flushes) restore(f *follower) {
	fl.read, fl.held, fl.copies = map[id128]cursor{}, map[id128]heldBack{}, map[cursor]uint64{}
	prefix := f.key + "::"
	err := f.store.Range(prefix, func(key string, raw []byte) error {
		var p position
		if err := json.Unmarshal(raw, &p); err != nil || !p.Volatile || strings.Contains(key[len(prefix):], "::") {
			return nil
		}
		if c, err := parseCursor(p.Cursor); err == nil {
			fl.read[c.seqID] = c
			back := heldBack{p.Source, map[[2]uint64]piece{}}
			for _, h := range p.Held {
				back.pieces[[2]uint64{h.Monotonic, h.Sum}] = h
			}
			fl.held[c.seqID] = back
		}
		return nil
	})
	if err != nil {
		f.log.Warnf("Cannot find what was read of journals in memory: %v", err)
	}
}

// before lets the journals in memory be read to their ends before entries of s that were read already are looked at: what s
// has copies of was in those journals by then.
func (fl *flushes) before(s *source) error {
	if s.account.volatile {
		return nil
	}
	for _, v := range s.follower.order {
		if !v.account.volatile {
			continue
		}
		for more := true; more && s.ctx.Err() == nil; {
			var err error
			if more, err = v.step(); err != nil {
				return err
			}
		}
		fl.read[v.id] = v.last
	}
	return nil
}

// copied tells whether e, the next entry of s, is a copy of one that was read. errWait: it may be one, which cannot be said
// yet.
func (fl *flushes) copied(s *source, e *entry) (bool, error) {
	if s.account.volatile {
		return false, nil
	}
	for _, last := range fl.read {
		if last.seqID == s.id {
			continue
		}
		if last.boot != e.boot || e.monotonic > last.monotonic || last.seqID.isZero() {
			continue
		}
		upTo, known := fl.copies[last]
		if !known {
			var err error
			if upTo, err = fl.await(s, last, 0); err != nil {
				return false, err
			}
		}
		if e.seq > upTo {
			continue
		}
		if v := s.follower.sources[last.seqID]; v != nil {
			if !v.account.settled(v.next) {
				return false, errWait
			}
			return true, nil
		}
		back := fl.held[last.seqID]
		at := [2]uint64{e.monotonic, e.xor}
		h, isHeld := back.pieces[at]
		if isHeld {
			delete(back.pieces, at)
			if s.controls { // it comes as the copy
				s.tell(Range{Source: back.source, From: int64(h.Seq), To: int64(h.Seq + 1), Reason: Skipped, Skipped: int64(h.Skipped)})
			}
		}
		return !isHeld, nil
	}
	return false, nil
}

// await finds the number of the entry's copy among those behind a number; 0 where s has none, so that s is no copy of that journal.
// errWait: it may be on its way.
func (fl *flushes) await(s *source, of cursor, behind uint64) (upTo uint64, err error) {
	if upTo = fl.find(s, of, behind); upTo == 0 {
		if fl.waiting.IsZero() {
			fl.waiting = time.Now()
		}
		if time.Since(fl.waiting) < flushWait {
			return 0, errWait
		}
	}
	fl.waiting = time.Time{}
	fl.copies[of] = upTo
	return upTo, nil
}

// find returns the number in s, behind another, of the copy of the entry, 0 where there is none.
func (fl *flushes) find(s *source, of cursor, behind uint64) uint64 {
	r, err := s.files.openAt(s, place{boot: of.boot, monotonic: of.monotonic})
	if err != nil {
		return 0
	}
	defer r.close()
	for {
		b, err := r.read()
		if err != nil || len(b) == 0 {
			return 0
		}
		var e entry
		for len(b) > 0 {
			if b, err = e.unpack(b); err == nil && e.seq <= behind {
				continue
			}
			if err != nil || e.boot != of.boot || e.monotonic > of.monotonic {
				return 0
			}
			if e.monotonic == of.monotonic && e.realtime == of.realtime && e.xor == of.xor {
				return e.seq
			}
		}
	}
}
