package fanout

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/elastic/beats/v7/libbeat/logp"
	"github.com/elastic/beats/v7/libbeat/publisher"

	"github.com/tallylog/tally/internal/durable"
	"github.com/tallylog/tally/outputs/beatjson"
)

const (
	magic      = "TALSPL1\n"
	headSize   = 12
	maxPayload = 1 << 30
	segmentMax = 64 << 20
	extension  = ".spill"
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errFull    = errors.New("the spill is full")
)

// spill is a bounded store of batches on disk; FORMAT.md has its files. Its methods may be called by several goroutines,
// append by one at a time.
type spill struct {
	dir string
	max int64 // bytes of all segments
	log *logp.Logger

	json *beatjson.Encoder // of append
	buf  []byte

	mu     sync.Mutex
	size   int64
	last   uint64 // number of the newest segment so far
	closed bool
	active *segment // nil where the next append begins one
	all    map[*segment]bool
}

type segment struct {
	name string
	f    *os.File
	size int64
	left int // records that are not done
}

// stored is one record.
type stored struct {
	seg  *segment
	at   int64 // of the record's head
	size int   // of the payload
}

// openSpill returns the spill and what in it is not delivered, the oldest first.
func openSpill(dir string, limit int64, log *logp.Logger) (*spill, []*stored, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("cannot make spill directory %q: %w", dir, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot list spill directory %q: %w", dir, err)
	}
	s := &spill{dir: dir, max: limit, log: log, json: newEncoder(), all: map[*segment]bool{}}
	var names []string
	for _, e := range entries {
		number, ok := strings.CutSuffix(e.Name(), extension)
		if n, err := strconv.ParseUint(number, 16, 64); ok && err == nil && len(number) == 16 {
			names = append(names, e.Name())
			s.last = max(s.last, n)
		}
	}
	slices.Sort(names)
	var out []*stored
	for _, name := range names {
		recs, err := s.load(filepath.Join(dir, name))
		if err != nil {
			s.close()
			return nil, nil, err
		}
		out = append(out, recs...)
	}
	return s, out, nil
}

// load reads one segment and returns its records that are not done. One without any is removed.
func (s *spill) load(name string) ([]*stored, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open spill segment %q: %w", name, err)
	}
	seg := &segment{name: name, f: f}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot look at spill segment %q: %w", name, err)
	}
	seg.size = info.Size()
	var recs []*stored
	head := make([]byte, headSize)
	if _, err := f.ReadAt(head[:len(magic)], 0); err != nil || string(head[:len(magic)]) != magic {
		s.log.Errorf("spill segment %s is corrupt: it does not begin as one", name)
	} else {
		for at := int64(len(magic)); at < seg.size; {
			_, err := f.ReadAt(head, at)
			n := int64(binary.LittleEndian.Uint32(head))
			if err != nil || n == 0 || n > maxPayload || at+headSize+n > seg.size {
				s.log.Warnf("spill segment %s ends within a record, at byte %d of %d", name, at, seg.size)
				break
			}
			r := &stored{seg: seg, at: at, size: int(n)}
			if head[8] == 0 {
				if _, err := s.payload(r); err != nil {
					s.log.Errorf("a batch is lost: %v", err)
				} else {
					recs = append(recs, r)
				}
			}
			at += headSize + n
		}
	}
	seg.left = len(recs)
	s.size += seg.size
	s.all[seg] = true
	if seg.left == 0 {
		s.remove(seg)
	}
	return recs, nil
}

// append writes and syncs as many of the batches as there is room for, in order, and returns a record for each. The error is
// errFull where one did not fit, or why nothing was written.
func (s *spill) append(batches [][]publisher.Event) (out []*stored, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("cannot write to spill %q: %w", s.dir, os.ErrClosed)
	}
	if s.active != nil && s.active.size >= min(segmentMax, max(s.max/8, 1)) {
		s.active = nil
	}
	if s.active == nil {
		if err := s.begin(); err != nil {
			return nil, err
		}
	}
	seg := s.active
	s.buf = s.buf[:0]
	for _, events := range batches {
		start := len(s.buf)
		s.buf = append(s.buf, make([]byte, headSize)...)
		s.buf = appendBatch(s.buf, s.json, events)
		rec := s.buf[start:]
		// One batch always fits into an empty spill: else a small max_size would stop everything.
		fits := s.size+int64(len(s.buf)) <= s.max || s.size <= int64(len(magic)) && len(out) == 0
		if n := len(rec) - headSize; !fits || n > maxPayload {
			s.buf, err = s.buf[:start], errFull
			break
		}
		binary.LittleEndian.PutUint32(rec, uint32(len(rec)-headSize))
		binary.LittleEndian.PutUint32(rec[4:], checksum(rec))
		out = append(out, &stored{seg: seg, at: seg.size + int64(start), size: len(rec) - headSize})
	}
	if len(out) == 0 {
		if seg.left == 0 {
			s.remove(seg)
		}
		return nil, err
	}
	_, werr := seg.f.WriteAt(s.buf, seg.size)
	if werr == nil {
		werr = seg.f.Sync()
	}
	if werr != nil {
		// What was written must not be found later; the next try takes a new file.
		_ = seg.f.Truncate(seg.size)
		s.active = nil
		if seg.left == 0 {
			s.remove(seg)
		}
		return nil, fmt.Errorf("cannot write spill segment %q: %w", seg.name, werr)
	}
	seg.size += int64(len(s.buf))
	s.size += int64(len(s.buf))
	seg.left += len(out)
	if cap(s.buf) > segmentMax {
		s.buf = nil
	}
	return out, err
}

// checksum of a record with its head.
func checksum(rec []byte) uint32 {
	return crc32.Update(crc32.Checksum(rec[:4], castagnoli), castagnoli, rec[headSize:])
}

// begin makes a new segment. s.mu is held.
func (s *spill) begin() error {
	s.last++
	name := filepath.Join(s.dir, fmt.Sprintf("%016x%s", s.last, extension))
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("cannot make spill segment %q: %w", name, err)
	}
	_, err = f.WriteString(magic)
	if err == nil {
		err = durable.SyncDir(s.dir)
	}
	if err != nil {
		f.Close()
		_ = os.Remove(name)
		return fmt.Errorf("cannot make spill segment %q: %w", name, err)
	}
	s.active = &segment{name: name, f: f, size: int64(len(magic))}
	s.size += s.active.size
	s.all[s.active] = true
	return nil
}

// payload reads and checks a record.
func (s *spill) payload(r *stored) ([]byte, error) {
	rec := make([]byte, headSize+r.size)
	if _, err := r.seg.f.ReadAt(rec, r.at); err != nil {
		return nil, fmt.Errorf("cannot read spill segment %q at %d: %w", r.seg.name, r.at, err)
	}
	if binary.LittleEndian.Uint32(rec[4:]) != checksum(rec) {
		return nil, fmt.Errorf("spill segment %q is corrupt: the record at %d has a wrong checksum", r.seg.name, r.at)
	}
	return rec[headSize:], nil
}

// read returns a batch.
func (s *spill) read(r *stored) ([]publisher.Event, error) {
	b, err := s.payload(r)
	if err != nil {
		return nil, err
	}
	events, err := parseBatch(b)
	if err != nil {
		return nil, fmt.Errorf("cannot read spill segment %q at %d: %w", r.seg.name, r.at, err)
	}
	return events, nil
}

// done notes that a record is delivered.
func (s *spill) done(r *stored) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return // what it holds is another's now
	}
	seg := r.seg
	if seg.left--; seg.left == 0 {
		s.remove(seg)
	} else if _, err := seg.f.WriteAt([]byte{1}, r.at+8); err != nil {
		s.log.Warnf("cannot note in spill segment %s what was delivered, it will be again after a restart: %v", seg.name, err)
	}
}

// remove gives the room of a segment back. s.mu is held, or nobody else knows s yet.
func (s *spill) remove(seg *segment) {
	if seg == s.active {
		s.active = nil
	}
	s.size -= seg.size
	delete(s.all, seg)
	_ = seg.f.Close()
	if err := os.Remove(seg.name); err != nil {
		s.log.Warnf("cannot remove spill segment %s: %v", seg.name, err)
	}
}

// close closes the files.
func (s *spill) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for seg := range s.all {
		_ = seg.f.Close()
	}
	s.closed = true
}
