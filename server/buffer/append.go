package buffer

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"time"

	"github.com/tallylog/tally/internal/durable"
	"github.com/tallylog/tally/internal/failpoint"
)

// active is the segment that is written.
type active struct {
	header
	file    file
	size    int64
	written uint64 // last sequence number in the file
	// synced and syncedSize are what the last good sync covered; only that was acknowledged.
	synced     uint64
	syncedSize int64
	syncing    bool
	// err ends the segment: a sync failed, so nobody knows what of it is on disk, and another sync that succeeds would
	// not tell. All that wait get it.
	err error
	// torn ends the segment too: a failed write left bytes that could not be cut. What was written before can be synced.
	torn bool
}

// Append writes the parts as one payload, and returns when they are durable. On an error nothing was acknowledged, and
// after a restart the record will not be there unless the disk refused to take it back.
func (w *WAL) Append(payload ...[]byte) (Location, error) {
	l, wait, err := w.Write(payload...)
	if err != nil {
		return Location{}, err
	}
	if err := wait(); err != nil {
		return Location{}, err
	}
	return l, nil
}

// Write writes the parts as one payload and assigns its sequence number; the order of Write calls is that of the numbers.
// The record is durable when the returned function has returned nil. That function may be called by any goroutine, more
// than once, or never; on its error the sequence number stays unused. The parts are the caller's again when Write returns.
//
// Errors: ErrFull, ErrNoSpace, ErrClosed, one for a payload above Options.MaxRecord, and those of the disk. After any of
// them the log goes on as if Write had not been called.
func (w *WAL) Write(payload ...[]byte) (Location, func() error, error) {
	n, sum := 0, uint32(0)
	for _, p := range payload {
		n += len(p)
		if n > w.opts.MaxRecord {
			return Location{}, nil, fmt.Errorf("cannot append to the buffer: the payload has over %d bytes", w.opts.MaxRecord)
		}
		sum = crc32.Update(sum, castagnoli, p)
	}
	f := frame{size: uint32(n), sum: sum}
	// Truncate can always make room for the rest.
	if m := w.opts.MaxBytes; m > 0 && f.extent()+dataStart+w.opts.rollTruncated() > m {
		return Location{}, nil, fmt.Errorf("cannot append to the buffer: a payload of %d bytes does not fit its bound of %d", n, m)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s, err := w.room(f.extent())
	if err != nil {
		return Location{}, nil, fmt.Errorf("cannot append to the buffer: %w", err)
	}
	f.seq, f.last = w.next, w.next
	if err := w.put(s, f, payload); err != nil {
		if cutErr := s.file.Truncate(s.size); cutErr != nil {
			s.torn = true
			w.opts.Log.Warn("cannot cut a failed write from a buffer segment; a new segment will be begun",
				"segment", segmentName(s.first), "error", cutErr)
		}
		return Location{}, nil, fmt.Errorf("cannot append to segment %q: %w", segmentName(s.first), noSpace(err))
	}
	l := Location{Seq: f.seq, Segment: s.first, Offset: s.size, Len: n}
	s.size += f.extent()
	s.written = f.seq
	w.next++
	w.bytes += f.extent()
	w.stats.Appends++
	w.stats.Bytes += uint64(f.extent())
	return l, func() error { return w.wait(s, l.Seq) }, nil
}

// put writes one record behind the others. Small parts are gathered, large ones written from where they are.
func (w *WAL) put(s *active, f frame, payload [][]byte) error {
	w.buf.Reset(&sectionWriter{s.file, s.size})
	var b [frameSize]byte
	f.put(b[:], s.salt)
	w.buf.Write(b[:]) // a bufio.Writer keeps its first error for Flush
	for _, p := range payload {
		w.buf.Write(p)
	}
	f.tail = true
	f.put(b[:], s.salt)
	w.buf.Write(b[:])
	return w.buf.Flush()
}

// room returns the segment to write n bytes to. mu is held; it may be released in between.
func (w *WAL) room(n int64) (*active, error) {
	for {
		if w.closed {
			return nil, ErrClosed
		}
		s := w.active
		usable := s != nil && s.err == nil && !s.torn && s.written+1 == w.next &&
			(s.size < w.opts.SegmentBytes || s.written < s.first) // one record fits always
		need := n
		if !usable {
			need += dataStart
		}
		if w.opts.MaxBytes > 0 && w.bytes+need > w.opts.MaxBytes {
			return nil, ErrFull
		}
		if usable {
			return s, nil
		}
		if s != nil {
			// Its records get their sync, or the error that they are owed, before anything follows them. An error is
			// theirs, not the caller's.
			if ready, _ := w.settle(s); !ready {
				continue
			}
		}
		if err := w.roll(); err != nil {
			return nil, err
		}
	}
}

// settle makes everything in s acknowledged or failed. It returns true if that was so without releasing mu; else the
// caller looks again.
func (w *WAL) settle(s *active) (bool, error) {
	switch {
	case s.syncing:
		w.cond.Wait()
		return false, nil
	case s.err != nil:
		return true, nil
	case s.synced < s.written:
		return false, w.commit(s, s.written)
	}
	return true, nil
}

func (w *WAL) wait(s *active, seq uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.commit(s, seq)
}

// commit returns when the record seq of s is durable, or can never be. One caller syncs for all whose records are written;
// those that come meanwhile are covered by the next sync. mu is held on entry and on return, and released in between.
func (w *WAL) commit(s *active, seq uint64) error {
	for {
		switch {
		case s.synced >= seq:
			return nil
		case s.err != nil:
			return s.err
		case s.syncing:
			w.cond.Wait()
			continue
		}
		s.syncing = true
		written, size := s.written, s.size
		w.mu.Unlock()
		began := time.Now()
		failpoint.Sync("buffer.sync.before")
		err := s.file.Sync()
		failpoint.Here("buffer.sync.after")
		took := time.Since(began)
		w.mu.Lock()
		s.syncing = false
		w.stats.Fsyncs++
		w.stats.LastFsync = took
		if err == nil {
			s.synced, s.syncedSize = written, size
			w.acked = max(w.acked, written)
		} else {
			w.abandon(s, err)
		}
		w.cond.Broadcast()
	}
}

// abandon ends a segment after a failed sync: the kernel may have dropped the pages and called them clean. What was not
// acknowledged is cut; should that fail too, the header of the next segment tells that it never was.
func (w *WAL) abandon(s *active, err error) {
	name := segmentName(s.first)
	s.err = fmt.Errorf("cannot sync segment %q: %w", name, noSpace(err))
	w.opts.Log.Error("cannot sync a buffer segment; its unacknowledged records are dropped and a new segment will be begun",
		"segment", name, "first", s.synced+1, "last", s.written, "error", err)
	cutErr := s.file.Truncate(s.syncedSize)
	if cutErr == nil {
		w.bytes -= s.size - s.syncedSize
		s.size = s.syncedSize
		cutErr = s.file.Sync() // for the cut alone; it acknowledges nothing
	}
	if cutErr != nil {
		w.opts.Log.Warn("cannot cut unacknowledged records from a buffer segment", "segment", name, "error", cutErr)
	}
}

// roll begins a new segment. mu is held, and everything in the active one is settled. On an error the old one stays.
func (w *WAL) roll() error {
	salt, err := newSalt()
	if err != nil {
		return err
	}
	h := header{salt: salt, prev: w.acked}
	f, err := w.create(&h)
	if err != nil {
		return fmt.Errorf("cannot begin segment %q: %w", segmentName(h.first), noSpace(err))
	}
	w.retire()
	w.bytes += dataStart
	w.active = &active{header: h, file: f, size: dataStart, written: h.first - 1, synced: h.first - 1, syncedSize: dataStart}
	return nil
}

// create makes the file of a new segment, its name durable.
func (w *WAL) create(h *header) (file, error) {
	var raw *os.File
	for raw == nil {
		h.first = w.next
		var err error
		raw, err = os.OpenFile(segmentPath(w.dir, h.first), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, os.ErrExist) {
			// An earlier attempt left it and could not remove it. The number was never acknowledged; skip it.
			w.next++
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	f := w.opts.wrap(raw)
	failpoint.Here("buffer.segment.created")
	_, err := f.WriteAt(h.block(), 0)
	if err == nil {
		failpoint.Here("buffer.segment.written")
		err = durable.SyncDir(w.dir)
		failpoint.Here("buffer.segment.synced")
	}
	if err != nil {
		f.Close()
		if rmErr := os.Remove(raw.Name()); rmErr != nil {
			err = errors.Join(err, rmErr)
		}
		return nil, err
	}
	return f, nil
}

// retire closes the active segment, and drops it if nothing in it was ever acknowledged.
func (w *WAL) retire() {
	s := w.active
	if s == nil {
		return
	}
	name := segmentName(s.first)
	if err := s.file.Close(); err != nil {
		w.opts.Log.Warn("cannot close a buffer segment", "segment", name, "error", err)
	}
	if s.synced < s.first {
		if err := os.Remove(segmentPath(w.dir, s.first)); err == nil {
			w.bytes -= s.size
			return
		}
	}
	w.sealed = append(w.sealed, sealed{first: s.first, last: s.synced, size: s.size})
}
