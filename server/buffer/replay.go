package buffer

import (
	"fmt"
	"hash/crc32"
	"os"
)

// Replay calls f for each record that was there at Open and has a sequence number above after, ascending. The payload is
// f's until it returns. An error of f ends the replay and is returned. Call it before the first Append. Memory is bounded
// by the largest record.
func (w *WAL) Replay(after uint64, f func(l Location, payload []byte) error) error {
	win := newWindow()
	var payload []byte
	for _, seg := range w.found {
		if seg.next <= after+1 {
			continue
		}
		if err := replaySegment(w.dir, seg, win, &payload, after, f); err != nil {
			return fmt.Errorf("cannot replay segment %q: %w", seg.name(), err)
		}
	}
	return nil
}

func replaySegment(dir string, seg *segment, win *window, payload *[]byte, after uint64, f func(Location, []byte) error) error {
	file, err := os.Open(segmentPath(dir, seg.first))
	if err != nil {
		return err
	}
	defer file.Close()
	win.reset(file, seg.end)
	for off := int64(dataStart); off < seg.end; {
		b, err := win.at(off, frameSize)
		if err != nil {
			return err
		}
		fr, ok := parseFrame(b, seg.salt)
		if !ok || fr.tail || off+fr.extent() > seg.end {
			return fmt.Errorf("no frame at offset %d, where there was one at start", off)
		}
		if !fr.lost && fr.seq > after {
			if cap(*payload) < int(fr.size) {
				*payload = make([]byte, fr.size)
			}
			p := (*payload)[:fr.size]
			if err := win.read(p, off+frameSize); err != nil {
				return err
			}
			if crc32.Checksum(p, castagnoli) != fr.sum {
				return fmt.Errorf("payload of record %d does not have the checksum it had at start", fr.seq)
			}
			if err := f(Location{Seq: fr.seq, Segment: seg.first, Offset: off, Len: len(p)}, p); err != nil {
				return err
			}
		}
		off += fr.extent()
	}
	return nil
}

// Read returns the payload of one record, newly allocated. l comes from Append, Write or Replay of this WAL. A segment that
// was truncated gives an error that wraps fs.ErrNotExist.
func (w *WAL) Read(l Location) ([]byte, error) {
	p, err := w.read(l)
	if err != nil {
		return nil, fmt.Errorf("cannot read record %d of segment %q: %w", l.Seq, segmentName(l.Segment), err)
	}
	return p, nil
}

func (w *WAL) read(l Location) ([]byte, error) {
	if l.Len < 0 || l.Len > largest {
		return nil, fmt.Errorf("a payload cannot have %d bytes", l.Len)
	}
	file, err := os.Open(segmentPath(w.dir, l.Segment))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	// The salt is not at hand for every segment, and not needed: the payload's own checksum decides.
	b := make([]byte, frameSize+l.Len)
	if _, err := file.ReadAt(b, l.Offset); err != nil {
		return nil, err
	}
	fr, ok := decodeFrame(b)
	p := b[frameSize:]
	if !ok || fr.lost || fr.tail || fr.seq != l.Seq || int(fr.size) != l.Len || crc32.Checksum(p, castagnoli) != fr.sum {
		return nil, fmt.Errorf("corrupt at offset %d", l.Offset)
	}
	return p, nil
}
