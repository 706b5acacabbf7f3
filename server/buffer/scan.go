package buffer

import (
	"bytes"
	"fmt"
	"os"
	"slices"
)

// What a finding asks of mend.
type kind int

const (
	cutTail     kind = iota // cut the bytes behind Offset: they are no whole record
	dropSegment             // remove the file: it never held a whole record
	writeHeader             // write the header of the segment again
	writeHead               // write the frame before the payload again
	writeTail               // write the frame behind the payload again
	markRegion              // quarantine the bytes and put a lost record of the same extent in their place
	markEnd                 // the same, for all bytes to the end of the file, which may be none
	replaceFile             // quarantine the whole file and put one with a lost record in its place
)

// finding is a place where a segment is not as it was written.
type finding struct {
	Damage
	kind  kind
	seg   *segment
	frame frame // for writeHead and writeTail
	// harmless: a crash does this, or it was never acknowledged. Everything else is damage.
	harmless bool
}

// segment is one file as a scan finds it.
type segment struct {
	header
	size int64
	end  int64  // where the records end; 0 if the file is to be dropped
	next uint64 // the sequence number behind the last record
}

func (s *segment) name() string { return segmentName(s.first) }

// scan is all that a reading of the directory tells. It changes nothing.
type scan struct {
	dir      string
	segs     []*segment // ascending
	findings []finding
	lost     []SeqRange
	records  int64
	next     uint64 // no sequence number from here on was ever used

	win *window
}

// scanDir reads all segments in dir.
func scanDir(dir string) (*scan, error) {
	firsts, err := list(dir)
	if err != nil {
		return nil, err
	}
	s := &scan{dir: dir, next: 1, win: newWindow()}
	whole := make([]bool, len(firsts)) // whether a header was found
	for i, first := range firsts {
		seg, ok, err := s.readHeader(first, i == len(firsts)-1)
		if err != nil {
			return nil, err
		}
		if seg == nil { // a last segment that the crash left before its first record
			s.next = max(s.next, first)
			break
		}
		whole[i] = ok
		s.segs = append(s.segs, seg)
	}
	for i := len(s.segs) - 2; i >= 0; i-- {
		if !whole[i] { // a file that could not be begun nor removed holds nothing that the next one knows of
			s.segs[i].prev = min(s.segs[i].prev, s.segs[i+1].prev)
		}
	}
	for i, seg := range s.segs {
		limit, last := maxSeq, i == len(s.segs)-1
		if !last {
			limit = s.segs[i+1].prev
		}
		if whole[i] {
			err = s.readSegment(seg, limit, last)
		} else {
			s.giveUp(seg, limit, last)
		}
		if err != nil {
			return nil, err
		}
		s.next = max(s.next, seg.next)
	}
	return s, nil
}

// list returns the first sequence numbers of the segments in dir, ascending.
func list(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot read buffer directory %q: %w", dir, err)
	}
	var firsts []uint64
	for _, e := range entries {
		if first, ok := parseName(e.Name()); ok && e.Type().IsRegular() {
			firsts = append(firsts, first)
		}
	}
	slices.Sort(firsts)
	return firsts, nil
}

// open makes the window read a segment, and returns its size.
func (s *scan) open(first uint64) (*os.File, int64, error) {
	f, err := os.Open(segmentPath(s.dir, first))
	if err != nil {
		return nil, 0, fmt.Errorf("cannot open segment %q: %w", segmentName(first), err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("cannot open segment %q: %w", segmentName(first), err)
	}
	s.win.reset(f, st.Size())
	return f, st.Size(), nil
}

// readHeader reads the header of a segment. The segment is nil if the file is one that a crash left before it was used;
// ok is false if no copy of the header can be read.
func (s *scan) readHeader(first uint64, last bool) (seg *segment, ok bool, err error) {
	f, size, err := s.open(first)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	seg = &segment{header: header{first: first, prev: first - 1}, size: size, end: size, next: first}
	// The header is one write, and durable before the first record is acknowledged.
	unused, err := s.win.zero(min(size, copyAt))
	if err != nil {
		return nil, false, fmt.Errorf("cannot read segment %q: %w", seg.name(), err)
	}
	if last && (size < dataStart || unused) {
		s.note(finding{kind: dropSegment, seg: seg, harmless: true,
			Damage: Damage{Length: size, Reason: "the crash left it before its first record"}})
		return nil, false, nil
	}
	if size < dataStart {
		return seg, false, nil
	}
	b, err := s.win.at(0, dataStart)
	if err != nil {
		return nil, false, fmt.Errorf("cannot read segment %q: %w", seg.name(), err)
	}
	for _, at := range []int{0, copyAt} {
		h, ok, err := parseHeader(b[at:at+headerSize], first)
		if err != nil {
			return nil, false, fmt.Errorf("cannot read segment %q: %w", seg.name(), err)
		}
		if !ok {
			continue
		}
		seg.header = h
		if !bytes.Equal(b, h.block()) {
			s.note(finding{kind: writeHeader, seg: seg, Damage: Damage{Length: dataStart, Reason: "header damaged"}})
		}
		return seg, true, nil
	}
	return seg, false, nil
}

// giveUp accounts for a segment whose header is gone in both copies: without the salt no record can be told from chance.
func (s *scan) giveUp(seg *segment, limit uint64, last bool) {
	if last {
		limit = seg.first + mostRecords(seg.size-dataStart) - 1
	}
	if limit < seg.first {
		s.note(finding{kind: dropSegment, seg: seg, harmless: true,
			Damage: Damage{Length: seg.size, Reason: "it holds nothing that was acknowledged"}})
		seg.end = 0
		return
	}
	seg.next = limit + 1
	s.note(finding{kind: replaceFile, seg: seg,
		Damage: Damage{Length: seg.size, First: seg.first, Last: limit, Reason: "both copies of the header damaged"}})
}

// mostRecords is the largest number of records that n bytes can hold, and at least 1.
func mostRecords(n int64) uint64 { return uint64(max(n/overhead, 1)) }

// note adds a finding, and what it loses.
func (s *scan) note(f finding) {
	if f.Segment == "" {
		f.Segment = f.seg.name()
	}
	s.findings = append(s.findings, f)
	if f.Last >= f.First && f.First > 0 {
		s.lost = append(s.lost, SeqRange{First: f.First, Last: f.Last, Segment: f.Segment, Reason: f.Reason})
	}
}

// readSegment reads the records of a segment. limit is the last sequence number that was acknowledged when the segment
// behind it was begun; what is beyond was never acknowledged.
func (s *scan) readSegment(seg *segment, limit uint64, last bool) error {
	f, size, err := s.open(seg.first)
	if err != nil {
		return err
	}
	defer f.Close()
	r := reader{scan: s, seg: seg, limit: limit, last: last, p: dataStart, next: seg.first}
	seg.size = size
	if err := r.run(); err != nil {
		return fmt.Errorf("cannot read segment %q: %w", seg.name(), err)
	}
	seg.end, seg.next = r.p, r.next
	return nil
}
