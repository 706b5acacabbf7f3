package applog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/tallylog/tally/inputs/fileid"
)

const (
	goneTime    = 5 * time.Second  // for half a line at the end of a file that was removed or renamed
	removedKeep = 2 * time.Second  // how long a removed file that is read to its end stays open: it holds space
	renamedKeep = 5 * time.Minute  // and a renamed one, which its writer may still have open
	restWait    = 30 * time.Second // how long the copy of a truncated file is waited for: who looks for a line that is missing should soon be told
	searchEvery = time.Second      // without a sign that something has changed
	forgetAfter = 7 * 24 * time.Hour
)

// review looks after the sources that workers have handed back, and after those without a file.
func (d *discoverer) review() {
	d.in.mu.Lock()
	back := d.in.handedBack
	d.in.handedBack = nil
	d.in.mu.Unlock()
	for _, s := range back {
		if h := s.handle; h != nil && h.src == s {
			d.truncated(h)
		} else {
			s.searched = time.Time{} // a copy that was overwritten while it was read: there may be another
		}
	}
	now := time.Now()
	for s := range d.orphans {
		d.pursue(s, now)
	}
	if len(d.waiting) > 0 {
		d.retryWaiting()
	}
	d.unseen(now)
}

// pursue looks for the rest of a source, or ends the source when its rest was read and acknowledged.
func (d *discoverer) pursue(s *source, now time.Time) {
	d.in.mu.Lock()
	busy, file, inFlight, half := s.busy, s.file, len(s.turns) > 0, !s.partial.IsZero()
	d.in.mu.Unlock()
	switch {
	case busy:
	case file != nil && (half || !s.atEnd):
		if now.Sub(s.searched) >= searchEvery { // after an error
			s.searched = now
			d.toWake = append(d.toWake, s)
		}
	case file != nil:
		if !inFlight {
			d.finish(s, "")
		}
	case now.Sub(s.searched) < searchEvery:
	default:
		s.searched = now
		if _, waits := d.waiting[s.rec.Path]; !waits && !d.search(s) && now.Sub(s.orphan) >= restWait && !inFlight {
			d.in.log.Warnf("%q was %s, and no copy of it is found: what may have followed offset %d is lost", s.rec.Path, s.why, s.read)
			d.finish(s, s.why)
		}
	}
}

// finish ends a source: nothing more will come of it.
func (d *discoverer) finish(s *source, lost string) {
	delete(d.orphans, s)
	if lost != "" {
		d.lost++
	}
	d.in.mu.Lock()
	defer d.in.mu.Unlock()
	if s.file != nil && s.handle == nil {
		d.closeFile(s.file)
	}
	s.file = nil
	s.rec.Done, s.rec.Lost = lost == "", lost
	d.in.save(s)
	d.in.ask(s)
}

// search looks beside the path of s for its file under another name, or for a copy that holds what follows the offset. The
// largest is taken: it holds most.
func (d *discoverer) search(s *source) bool {
	dir := filepath.Dir(s.rec.Path)
	list, err := os.Open(dir)
	if err != nil {
		return false
	}
	names, _ := list.Readdirnames(-1) // what could be listed is looked at
	list.Close()
	type candidate struct {
		path string
		size int64
	}
	var plain, packed []candidate
	for _, name := range names {
		path := filepath.Join(dir, name)
		if !related(path, s.rec.Path) {
			continue
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
			continue
		}
		h := d.byInode[inode{uint64(st.Dev), st.Ino}]
		switch {
		case h != nil && h.src != nil:
		case st.Ino == s.rec.Inode:
			if h == nil && s.fresh && d.renamed(s, path) {
				return true
			}
		case compressed(name):
			packed = append(packed, candidate{path, st.Size})
		case st.Size >= s.read:
			plain = append(plain, candidate{path, st.Size})
		}
	}
	bySize := func(a, b candidate) int { return int(b.size>>1 - a.size>>1) }
	slices.SortFunc(plain, bySize)
	slices.SortFunc(packed, bySize)
	for _, c := range append(plain, packed...) {
		if d.takeRest(s, c.path) {
			return true
		}
	}
	return false
}

// renamed takes a file up again that got another name while the agent was stopped.
func (d *discoverer) renamed(s *source, path string) bool {
	s.orphan = time.Time{} // so that identify may take it
	if h := d.openNew(path, false); h != nil && h.src == s {
		return true
	}
	if s.orphan.IsZero() {
		s.orphan = time.Now()
	}
	return s.handle != nil
}

// takeRest reads s on from the file at path, if that holds the same bytes before the offset.
func (d *discoverer) takeRest(s *source, path string) bool {
	f, size := d.openCopy(path, s.read)
	if f == nil {
		return false
	}
	fa, err := stat(f)
	if err != nil || !s.goesOnIn(f, size) {
		d.closeFile(f)
		return false
	}
	if h := d.byInode[fa.inode]; h != nil {
		h.copied = true
		delete(d.pending, h)
	}
	if !d.in.claims.take(s.rec.Source, d.in) {
		d.closeFile(f)
		return false
	}
	d.begin(s, f)
	d.in.log.Infof("%q was %s: reading on from offset %d in %q", s.rec.Path, s.why, s.read, path)
	d.in.mu.Lock()
	s.file, s.rest = f, true
	d.in.mu.Unlock()
	s.atEnd = false
	d.toWake = append(d.toWake, s)
	return true
}

// openCopy opens a copy, unpacked if it is a compressed one: with every byte from the offset on at its place. It returns nil where that cannot be done
// now: a compressed one may be cut short, or still being written.
func (d *discoverer) openCopy(path string, offset int64) (f *os.File, size int64) {
	if f = d.openFile(path); f == nil {
		return nil, 0
	}
	if compressed(path) {
		plain, err := unpack(f, offset)
		d.closeFile(f)
		if err != nil {
			return nil, 0
		}
		d.open++
		f = plain
	}
	fa, err := stat(f)
	if err != nil {
		d.closeFile(f)
		return nil, 0
	}
	return f, fa.size
}

// goesOnIn says whether f holds what s has read, and maybe more.
func (s *source) goesOnIn(f io.ReaderAt, size int64) bool {
	if s.fresh {
		return s.rec.continues(f, size)
	}
	if size < s.read || !s.rec.sameHead(f) {
		return false
	}
	sum, ok := window(f, s.read)
	return ok && (s.read == 0 || sum == s.sum)
}

func compressed(name string) bool {
	return strings.HasSuffix(name, ".gz") || strings.HasSuffix(name, ".zst")
}

// maxUnpacked bounds what is written of a compressed copy.
const maxUnpacked = 16 << 30

// unpack writes a compressed file into a temporary one that has no name, with every byte at its own offset. Of what lies before
// the offset it writes only what is compared; the rest is a hole.
func unpack(f *os.File, offset int64) (*os.File, error) {
	var r io.Reader
	if strings.HasSuffix(f.Name(), ".gz") {
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, err
		}
		r = z
	} else {
		z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(128<<20))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	}
	out, err := os.CreateTemp("", "applog-rest-*")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(out.Name()) // it lives as long as it is open
	if err := unpackTo(out, r, offset); err != nil {
		out.Close()
		return nil, err
	}
	return out, nil
}

func unpackTo(out *os.File, r io.Reader, offset int64) error {
	buf := make([]byte, 256<<10)
	keep := offset - 2*sliceLen - windowLen // the anchor lies at most a slice before the offset
	for at := int64(0); at < maxUnpacked; {
		n, err := r.Read(buf)
		if at < fileid.HeadLen || at+int64(n) > keep {
			if _, werr := out.WriteAt(buf[:n], at); werr != nil {
				return werr
			}
		}
		at += int64(n)
		if errors.Is(err, io.EOF) {
			return out.Truncate(at)
		}
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("it unpacks to more than %d bytes", int64(maxUnpacked))
}
