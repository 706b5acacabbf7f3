package buffer

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/tallylog/tally/internal/durable"
	"github.com/tallylog/tally/internal/failpoint"
)

var (
	// ErrFull is returned when a record would take the log beyond Options.MaxBytes. The caller waits for a Truncate.
	ErrFull = errors.New("the buffer is full")
	// ErrNoSpace is returned, wrapped, when the disk or a quota is full. The caller waits and tries again.
	ErrNoSpace = errors.New("no space left for the buffer")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("the buffer is closed")
	// ErrLocked is returned, wrapped, when another process, or another WAL of this one, has the log open.
	ErrLocked = errors.New("it is in use by a running server")
)

const (
	defaultSegment = 64 << 20
	defaultRecord  = 64 << 20
	largest        = 1 << 30 // of segments and records, so that a damaged region of a segment fits one lost record
	keepActive     = 1 << 20 // an active segment with more than this is given up for its space
)

// Options configure a log. The zero value is usable.
type Options struct {
	// SegmentBytes is the size at which a new segment begins; 0 means 64 MiB, and more than 1 GiB means 1 GiB. Where
	// MaxBytes is set it is at most a quarter of that, so that space comes back in steps.
	SegmentBytes int64
	// MaxBytes bounds all segments together, on disk; 0 means no bound.
	MaxBytes int64
	// MaxRecord bounds the bytes of one payload; 0 means 64 MiB, more than 1 GiB means 1 GiB.
	MaxRecord int
	// After is a sequence number that the caller has already seen used (its checkpoint): none up to it will be assigned,
	// though the files that held them be gone.
	After uint64
	// Log takes what Open finds and what fails while running; nil means nowhere.
	Log *slog.Logger

	// wrap lets a test put a failing disk under each segment that is written.
	wrap func(file) file
}

func (o *Options) setDefaults() {
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = defaultSegment
	}
	o.SegmentBytes = min(o.SegmentBytes, largest)
	if o.MaxBytes > 0 {
		o.SegmentBytes = min(o.SegmentBytes, max(o.MaxBytes/4, 1))
	}
	if o.MaxRecord <= 0 {
		o.MaxRecord = defaultRecord
	}
	o.MaxRecord = min(o.MaxRecord, largest)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.wrap == nil {
		o.wrap = func(f file) file { return f }
	}
}

// rollTruncated is the number of bytes of records above which Truncate gives up the active segment.
func (o *Options) rollTruncated() int64 {
	if o.MaxBytes > 0 {
		return min(keepActive, o.MaxBytes/4)
	}
	return keepActive
}

// Location says where a record is. It is valid until the log is closed.
type Location struct {
	Seq     uint64
	Segment uint64 // first sequence number of the segment, which names its file
	Offset  int64  // of the record in the file, bytes
	Len     int    // of the payload, bytes
}

// WAL is an open log. All methods are safe for concurrent use.
type WAL struct {
	dir    string
	opts   Options
	lock   *os.File
	found  []*segment // as of Open, for Replay
	lost   []SeqRange
	buf    *bufio.Writer
	remove sync.Mutex // one Truncate at a time

	mu     sync.Mutex
	cond   sync.Cond // a sync ended
	sealed []sealed  // ascending
	active *active   // nil until the first Write of a new log
	next   uint64    // sequence number of the next record
	acked  uint64    // last sequence number that was synced or found; those behind it were never acknowledged
	bytes  int64     // of all segments
	closed bool
	stats  Stats
}

// sealed is a segment that is no longer written.
type sealed struct {
	first, last uint64
	size        int64
}

// Stats count since Open.
type Stats struct {
	Appends   uint64        // records written
	Bytes     uint64        // written for them, with their frames
	Fsyncs    uint64        // of segments, failed ones included
	LastFsync time.Duration // how long the last one took
	Segments  int           // files now
}

// Open opens the log in dir, which it creates (0700) where it is missing. It reads all segments, cuts a torn tail, puts
// damaged bytes into dir/quarantine, and logs each damage with the word "corrupt" and the segment's name. What Replay will
// give back is durable when Open returns. A log that is open already gives ErrLocked.
func Open(dir string, o Options) (_ *WAL, err error) {
	o.setDefaults()
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	lock, err := lockDir(dir, syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			lock.Close()
		}
	}()
	s, err := scanDir(dir)
	if err != nil {
		return nil, err
	}
	for i := range s.findings {
		f := &s.findings[i]
		log := o.Log.With("segment", f.Segment, "offset", f.Offset, "bytes", f.Length, "reason", f.Reason)
		switch {
		case f.harmless:
			log.Info("end of buffer segment cut after a crash")
		case f.Last >= f.First && f.First > 0:
			log.Error("corrupt buffer segment: records lost", "first_lost", f.First, "last_lost", f.Last)
		default:
			log.Error("corrupt buffer segment: no record lost")
		}
	}
	if _, err := s.mend(); err != nil {
		return nil, err
	}
	w := &WAL{dir: dir, opts: o, lock: lock, lost: s.lost, next: s.next, acked: s.next - 1}
	w.buf = bufio.NewWriterSize(nil, 64<<10)
	w.cond.L = &w.mu
	if err := w.adopt(s); err != nil {
		return nil, err
	}
	w.next = max(w.next, o.After+1)
	return w, nil
}

// adopt takes over the segments that a scan found and mended.
func (w *WAL) adopt(s *scan) error {
	for _, seg := range s.segs {
		if seg.end == 0 {
			continue
		}
		w.found = append(w.found, seg)
		w.bytes += seg.end
		w.sealed = append(w.sealed, sealed{first: seg.first, last: seg.next - 1, size: seg.end})
	}
	if len(w.found) == 0 {
		return nil
	}
	seg := w.found[len(w.found)-1]
	w.acked = seg.next - 1 // the numbers from here to w.next were never acknowledged
	f, err := os.OpenFile(segmentPath(w.dir, seg.first), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("cannot open segment %q: %w", seg.name(), err)
	}
	// The records may lie only in the page cache since the last process was killed.
	if err := f.Sync(); err != nil {
		f.Close()
		return fmt.Errorf("cannot sync segment %q: %w", seg.name(), noSpace(err))
	}
	w.sealed = w.sealed[:len(w.sealed)-1]
	w.active = &active{file: w.opts.wrap(f), header: seg.header, size: seg.end, written: seg.next - 1}
	w.active.syncedSize, w.active.synced = seg.end, seg.next-1
	return nil
}

// Lost returns the sequence numbers found damaged or missing at Open, and those that an earlier Open or Repair marked in
// segments still there. Records below the first segment are not lost but truncated.
func (w *WAL) Lost() []SeqRange { return w.lost }

// Last is the highest sequence number assigned; 0 in a new log.
func (w *WAL) Last() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.next - 1
}

// Bytes is the size of all segments on disk.
func (w *WAL) Bytes() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bytes
}

// Stats counts since Open.
func (w *WAL) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	st := w.stats
	st.Segments = len(w.sealed)
	if w.active != nil {
		st.Segments++
	}
	return st
}

// Truncate removes the segments that hold only sequence numbers up to and including upto, oldest first. The active segment
// is never removed; but where all of it is up to upto and it is large (above 1 MiB, or a quarter of MaxBytes), a new one is
// begun and it goes too.
func (w *WAL) Truncate(upto uint64) error {
	w.remove.Lock()
	defer w.remove.Unlock()
	err := w.removeSealed(upto) // first, because a new segment needs space
	rolled, rollErr := w.rollTruncated(upto)
	if err == nil {
		err = rollErr
	}
	if err == nil && rolled {
		err = w.removeSealed(upto)
	}
	return err
}

// rollTruncated begins a new segment if the active one holds nothing that is needed.
func (w *WAL) rollTruncated(upto uint64) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		s := w.active
		if w.closed || s == nil || s.written > upto || s.size-dataStart <= w.opts.rollTruncated() {
			return false, nil
		}
		ready, err := w.settle(s)
		if err != nil {
			return false, err
		}
		if ready {
			return true, w.roll()
		}
	}
}

func (w *WAL) removeSealed(upto uint64) error {
	removed := false
	for {
		w.mu.Lock()
		if len(w.sealed) == 0 || w.sealed[0].last > upto {
			w.mu.Unlock()
			break
		}
		s := w.sealed[0]
		w.mu.Unlock()
		// Without the lock: to free the blocks of a large file takes a while. Nobody else takes from the front.
		failpoint.Here("buffer.remove.before")
		if err := os.Remove(segmentPath(w.dir, s.first)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("cannot remove segment %q: %w", segmentName(s.first), err)
		}
		removed = true
		failpoint.Here("buffer.remove.after")
		w.mu.Lock()
		w.sealed = w.sealed[1:]
		w.bytes -= s.size
		w.mu.Unlock()
	}
	if removed {
		return durable.SyncDir(w.dir)
	}
	return nil
}

// Close syncs what was written, and releases the log. What waits for a sync gets it.
func (w *WAL) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	var err error
	if s := w.active; s != nil {
		for ready := false; !ready && err == nil; {
			ready, err = w.settle(s)
		}
		for s.syncing {
			w.cond.Wait()
		}
		err = errors.Join(err, s.file.Close())
	}
	return errors.Join(err, w.lock.Close())
}
