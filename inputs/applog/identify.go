package applog

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/tallylog/tally/inputs/fileid"
)

// identify decides what an open file is: a source known from the registry, a copy of one, or a new one. Where its first line is
// not complete yet, that waits.
func (d *discoverer) identify(h *handle) {
	delete(d.pending, h)
	for _, s := range slices.Clone(d.byIno[h.id.ino]) {
		if s.handle != nil || !s.orphan.IsZero() || s.rec.Done || s.rec.Lost != "" {
			continue
		}
		if (s.rec.Born == 0 || h.born == 0 || s.rec.Born == h.born) && s.rec.continues(h.file, h.size) {
			d.attach(h, s)
			return
		}
		// The inode holds something else now: the file was truncated, or removed and the inode used again.
		d.lose(s, "truncated")
	}
	head, whole, err := fileid.Head(h.file)
	if err != nil {
		d.sayOnce(h.path, "cannot read %q, will try again: %v", h.path, err)
	}
	if err != nil || len(head) == 0 || !whole && !d.idle(h) || d.scanning {
		// During the first scan only what the registry knows is taken up: a file may be a copy of one that comes later.
		d.pending[h] = struct{}{}
		return
	}
	if h.copied = d.copies(h, head); h.copied {
		return
	}
	h.compared = 0
	d.add(h, head, whole)
}

// idle says whether no more of the first line is to be expected.
func (d *discoverer) idle(h *handle) bool {
	return time.Since(h.active) >= d.patience(h)
}

// patience is how long half a line waits for its end.
func (d *discoverer) patience(h *handle) time.Duration {
	if h.listed {
		return d.in.cfg.PartialTimeout
	}
	return min(goneTime, d.in.cfg.PartialTimeout)
}

// add makes a new source of a file, and freezes what identifies it.
func (d *discoverer) add(h *handle, head []byte, whole bool) {
	inc := 0
	name := fileid.Source(d.in.host, h.id.ino, h.born, head, inc)
	for d.sources[name] != nil {
		inc++
		name = fileid.Source(d.in.host, h.id.ino, h.born, head, inc)
	}
	r := record{
		Source: name, Path: h.path, Inode: h.id.ino, Born: h.born, Head: xxhash.Sum64(head), HeadLen: len(head), Inc: inc,
	}
	if d.initial && d.in.cfg.Start == "tail" {
		r.Offset = lastLine(h.file, h.size)
		r.Anchor = r.Offset
		r.Sum, _ = window(h.file, r.Anchor)
	}
	if !d.in.claims.take(name, d.in) {
		d.sayOnce(h.path, "%q is read by another applog input already", h.path)
		h.copied = true
		return
	}
	// Another input may have read it before, and stopped.
	var kept record
	if ok, err := d.in.store.Get(keyPrefix+name, &kept); ok && err == nil && kept.continues(h.file, h.size) {
		r = kept
	}
	s := d.know(r)
	// What does not follow from the file alone must survive a crash.
	d.needSync = d.needSync || inc > 0 || !whole || r.Offset > 0
	d.attach(h, s)
}

// lastLine returns the end of the last complete line before size: where reading begins for a file that is taken over at its
// tail.
func lastLine(f io.ReaderAt, size int64) int64 {
	buf := make([]byte, 64<<10)
	for end := size; end > 0; {
		from := max(0, end-int64(len(buf)))
		n, err := f.ReadAt(buf[:end-from], from)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return from + int64(i) + 1
		}
		end = from
	}
	return 0
}

// attach lets s be read from h.
func (d *discoverer) attach(h *handle, s *source) {
	if !d.in.claims.take(s.rec.Source, d.in) {
		d.sayOnce(h.path, "%q is read by another applog input already", h.path)
		h.copied, s.foreign = true, true
		return
	}
	if s.foreign { // that input has stopped; it may have read on since the record was loaded
		s.foreign = false
		if ok, err := d.in.store.Get(keyPrefix+s.rec.Source, &s.rec); ok && err == nil {
			s.read, s.shipped, s.reached = s.rec.Offset, s.rec.Shipped, s.rec.Shipped
		}
	}
	delete(d.orphans, s)
	s.orphan = time.Time{}
	h.src, h.since, s.handle = s, time.Now(), h
	d.begin(s, h.file)
	d.in.mu.Lock()
	s.file, s.rest = h.file, false
	d.in.save(s)
	d.in.mu.Unlock()
	d.toWake = append(d.toWake, s)
}

// begin prepares s for being read from f for the first time. The worker does not have it now.
func (d *discoverer) begin(s *source, f io.ReaderAt) {
	s.sum, _ = window(f, s.read) // a source that was just loaded knows the hash at its anchor only
	s.fresh = false
	if s.format.nl != nil {
		return
	}
	format, err := newFormat(d.in.cfg.Encoding, d.in.cfg.codec, f)
	if err != nil {
		d.sayOnce(s.rec.Path, "%q is taken byte by byte, because it is not in the encoding %s: %v", s.rec.Path, d.in.cfg.Encoding, err)
	}
	s.format = format
}

// truncated is told that h does not hold what its source has read: that source goes on in a copy if there is one, and h begins
// anew.
func (d *discoverer) truncated(h *handle) {
	if fa, err := stat(h.file); err == nil {
		h.size, h.mtime = fa.size, fa.mtime // so that it is not seen to have shrunk a second time
	}
	s := h.src
	h.src, s.handle = nil, nil
	d.in.mu.Lock()
	s.file = nil
	d.in.mu.Unlock()
	d.lose(s, "truncated")
	d.identify(h)
}

// lose notes that s has no file of its own any more; its rest is looked for from now on.
func (d *discoverer) lose(s *source, why string) {
	s.orphan, s.searched, s.why = time.Now(), time.Time{}, why
	d.orphans[s] = struct{}{}
	d.in.signal()
}

// copies says whether h holds nothing but what is read elsewhere: a copy of a source that is being read, or of one that was.
func (d *discoverer) copies(h *handle, head []byte) bool {
	for _, s := range slices.Clone(d.byHead[headKey{filepath.Dir(h.path), xxhash.Sum64(head)}]) {
		r := &s.rec
		if s.handle == h || r.Path == h.path || !related(r.Path, h.path) || len(head) != r.HeadLen {
			continue
		}
		if of := s.handle; of != nil && of.file != nil {
			if d.prefix(h, of) {
				return true
			}
			if fa, err := stat(of.file); err != nil || fa.size >= of.size && r.sameHead(of.file) {
				continue
			}
			d.truncated(of) // its event has not come yet
		}
		d.in.mu.Lock()
		offset, same, rest := r.Offset, r.continues(h.file, h.size), s.file
		d.in.mu.Unlock()
		switch {
		case !same:
		case r.Done:
			if h.size == offset && offset >= evidence {
				return true
			}
		case r.Lost != "":
			d.lose(s, "truncated")
			return true
		case !s.orphan.IsZero():
			// It holds the rest, which is being looked for, or is read from it already.
			if rest == nil {
				s.searched = time.Time{}
				d.in.signal()
			}
			return true
		}
	}
	return false
}

// prefix says whether h is, so far, the beginning of a file that is being read: then it is a copy, or becomes one. Too few bytes
// prove nothing.
func (d *discoverer) prefix(h, of *handle) bool {
	if of.born != 0 && h.born != 0 && h.born < of.born {
		return false
	}
	fa, err := stat(of.file)
	if err != nil || fa.size < h.size || h.size < evidence {
		return false
	}
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	for h.compared < h.size {
		n := min(int64(len(a)), h.size-h.compared)
		if _, err := h.file.ReadAt(a[:n], h.compared); err != nil {
			return false
		}
		if _, err := of.file.ReadAt(b[:n], h.compared); err != nil || !bytes.Equal(a[:n], b[:n]) {
			return false
		}
		h.compared += n
	}
	return true
}
