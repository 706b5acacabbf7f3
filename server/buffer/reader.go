package buffer

import (
	"bytes"
	"fmt"
)

// reader goes through the records of one segment.
type reader struct {
	*scan
	seg   *segment
	limit uint64
	last  bool   // no segment follows: what a crash leaves is to be expected at the end
	p     int64  // where the next record should begin
	next  uint64 // its sequence number
}

// run reads to the end, noting all that is not as it was written.
func (r *reader) run() error {
	for {
		rest := r.seg.size - r.p
		if !r.last && r.next > r.limit {
			if rest > 0 {
				r.cut("never acknowledged")
			}
			return nil
		}
		if rest == 0 && r.last {
			return nil
		}
		more, err := r.record(rest)
		if err != nil || !more {
			return err
		}
	}
}

// cut ends the segment here, harmlessly.
func (r *reader) cut(reason string) {
	r.note(finding{kind: cutTail, seg: r.seg, harmless: true,
		Damage: Damage{Offset: r.p, Length: r.seg.size - r.p, Reason: reason}})
}

// record reads what begins at p, and says whether anything can follow.
func (r *reader) record(rest int64) (more bool, err error) {
	if rest >= frameSize {
		b, err := r.win.at(r.p, frameSize)
		if err != nil {
			return false, err
		}
		if f, ok := parseFrame(b, r.seg.salt); ok && !f.tail && f.seq == r.next && f.last <= r.limit {
			return r.framed(f)
		}
	}
	if r.last {
		torn := rest < overhead
		if !torn { // zeros that begin before the first frame is complete
			if torn, err = r.win.zero(r.p + frameSize - 1); err != nil {
				return false, err
			}
		}
		if torn {
			r.cut("torn tail")
			return false, nil
		}
	}
	return r.resync()
}

// framed reads a record whose first frame is whole.
func (r *reader) framed(f frame) (more bool, err error) {
	end := r.p + f.extent()
	if end > r.seg.size {
		if r.last {
			r.cut("torn tail")
		} else {
			r.damagedEnd("the segment ends within a record")
		}
		return false, nil
	}
	whole, err := r.body(f, r.p)
	if err != nil {
		return false, err
	}
	b, err := r.win.at(end-frameSize, frameSize)
	if err != nil {
		return false, err
	}
	tail := f
	tail.tail = true
	got, ok := parseFrame(b, r.seg.salt)
	sameTail := ok && got == tail
	// A write that reached the disk ends in a frame, never in zeros.
	zeros := false
	if !sameTail && r.last {
		if zeros, err = r.win.zero(end - frameSize); err != nil {
			return false, err
		}
	}
	switch {
	case !whole && zeros:
		r.cut("torn tail")
		return false, nil
	case !whole:
		r.region(end, f.last, "payload damaged")
		return true, nil
	case !sameTail:
		r.note(finding{kind: writeTail, seg: r.seg, frame: tail, harmless: zeros,
			Damage: Damage{Offset: end - frameSize, Length: frameSize, Reason: "frame behind a payload damaged"}})
	}
	r.take(f, end)
	return true, nil
}

// body tells whether the payload of the record at start is as it was written.
func (r *reader) body(f frame, start int64) (bool, error) {
	if f.lost {
		return true, nil
	}
	sum, err := r.win.sum(start+frameSize, int64(f.size))
	return sum == f.sum, err
}

// take counts the record from p to end.
func (r *reader) take(f frame, end int64) {
	if f.lost {
		if f.last >= f.seq {
			r.lost = append(r.lost, SeqRange{First: f.seq, Last: f.last, Segment: r.seg.name(),
				Reason: "marked as lost when the damage was found", Known: true})
		}
	} else {
		r.records++
	}
	r.p, r.next = end, f.last+1
}

// region notes that the bytes from p to end are damaged, and the records up to last with them.
func (r *reader) region(end int64, last uint64, reason string) {
	r.note(finding{kind: markRegion, seg: r.seg,
		Damage: Damage{Offset: r.p, Length: end - r.p, First: r.next, Last: last, Reason: reason}})
	r.p, r.next = end, last+1
}

// damagedEnd notes that nothing more can be read from p to the end of the segment.
func (r *reader) damagedEnd(reason string) {
	rest := r.seg.size - r.p
	d := Damage{Offset: r.p, Length: rest, First: r.next, Last: r.limit, Reason: reason}
	if r.last {
		d.Last = r.next + mostRecords(rest) - 1
		d.Reason = fmt.Sprintf("%s; at most so many records were there", reason)
	} else if rest == 0 {
		d.Segment, d.Reason = segmentName(r.next), "missing"
	}
	r.note(finding{kind: markEnd, seg: r.seg, Damage: d})
	r.next = d.Last + 1
}

// resync finds the next whole frame behind a damaged one.
func (r *reader) resync() (more bool, err error) {
	for pos := r.p; r.seg.size-pos >= frameSize; {
		b, err := r.win.at(pos, int(min(windowSize, r.seg.size-pos)))
		if err != nil {
			return false, err
		}
		f, i := r.candidate(b)
		if i < 0 {
			pos += int64(len(b) - frameSize + 1) // a frame may begin in the last bytes of the window
			continue
		}
		at := pos + int64(i)
		pos = at + 1
		try := r.tryHead
		if f.tail {
			try = r.tryTail
		}
		if found, err := try(f, at); found || err != nil {
			return found, err
		}
	}
	r.damagedEnd(framesDamaged)
	return false, nil
}

// candidate returns the first frame in b that may follow, and its place; -1 if there is none.
func (r *reader) candidate(b []byte) (frame, int) {
	for i := 0; ; i++ {
		j := bytes.Index(b[i:], markPrefix)
		if j < 0 || i+j+frameSize > len(b) {
			return frame{}, -1
		}
		i += j
		if f, ok := parseFrame(b[i:], r.seg.salt); ok && f.seq >= r.next && f.last <= r.limit {
			return f, i
		}
	}
}

const framesDamaged = "frames damaged"

// tryHead goes on at the record that begins at the frame f, if it is one: whole, or the one that a crash tore.
func (r *reader) tryHead(f frame, at int64) (bool, error) {
	if f.tail || at-r.p < overhead {
		return false, nil
	}
	if end := at + f.extent(); end > r.seg.size {
		if !r.last {
			return false, nil
		}
	} else if whole, err := r.body(f, at); err != nil || !whole {
		return false, err
	}
	r.region(at, f.seq-1, framesDamaged)
	return true, nil
}

// tryTail goes on behind the record that ends with the frame f. If its payload is whole nothing but its first frame was
// damaged, and the record is saved.
func (r *reader) tryTail(f frame, at int64) (bool, error) {
	start, end := at-frameSize-int64(f.size), at+frameSize
	if start != r.p && start-r.p < overhead || start == r.p && f.seq != r.next {
		return false, nil
	}
	whole, err := r.body(f, start)
	if err != nil {
		return false, err
	}
	if !whole {
		r.region(end, f.last, framesDamaged)
		return true, nil
	}
	if start > r.p {
		r.region(start, f.seq-1, framesDamaged)
	}
	head := f
	head.tail = false
	r.note(finding{kind: writeHead, seg: r.seg, frame: head,
		Damage: Damage{Offset: start, Length: frameSize, Reason: "frame before a payload damaged"}})
	r.take(head, end)
	return true, nil
}
