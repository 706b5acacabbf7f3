package applog

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"

	"github.com/tallylog/tally/inputs/fileid"
)

// newCopy is a file that has appeared beside a listed one, with a name that rotations give to copies, and that no pattern lists. Where the
// listed file was written, copied and truncated between two looks of ours, the copy alone has that incarnation.
type newCopy struct {
	of     string // the listed path
	born   time.Time
	closed bool // its writer has let go of it
}

// fileTick is how far the kernel's time for files may be behind the clock.
const fileTick = 20 * time.Millisecond

// noteCopy remembers a name that has appeared, or was closed by its writer, and that no pattern lists.
func (d *discoverer) noteCopy(path string, mask uint32) {
	switch c := d.copied[path]; {
	case c == nil && mask&unix.IN_CREATE != 0:
		if of := d.copyOf(path); of != "" {
			d.copied[path] = &newCopy{of: of, born: time.Now()}
		}
	case c != nil && mask&unix.IN_CLOSE_WRITE != 0:
		c.closed = true
	}
}

// copyOf returns the listed path that a copy of this name would be of: app.log for app.log.1, app.log-20260102.gz, app-20260102.log. Only
// numbers and dates count.
func (d *discoverer) copyOf(path string) string {
	dir, name := filepath.Split(path)
	if compressed(name) {
		name = strings.TrimSuffix(name, filepath.Ext(name))
	}
	ext := filepath.Ext(name)
	for _, stem := range []string{trimNumber(name), trimNumber(strings.TrimSuffix(name, ext)) + ext} {
		if h := d.paths[dir+stem]; stem != name && h != nil && h.listed {
			return dir + stem
		}
	}
	return ""
}

// trimNumber cuts a number or a date off the end of a name, with what parts it from the name.
func trimNumber(name string) string {
	short := strings.TrimRight(name, "0123456789-._:T")
	rest := name[len(short):]
	if rest == "" || !strings.ContainsRune("-._", rune(rest[0])) || !strings.ContainsAny(rest, "0123456789") {
		return name
	}
	return short
}

// unseen reads the copies of incarnations that nobody saw. It is called when something has happened, and every second.
func (d *discoverer) unseen(now time.Time) {
	for path, c := range d.copied {
		if now.Sub(c.born) >= restWait || c.closed && d.judge(path, c) {
			delete(d.copied, path)
		}
	}
}

// judge decides what a new copy is; it returns false while that cannot be told.
func (d *discoverer) judge(path string, c *newCopy) (done bool) {
	of := d.paths[c.of]
	if of == nil {
		return false
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return true // it has gone again, or became a compressed one, which has a name of its own
	}
	// The time of the last write tells when the copy was made, or that of what was compressed.
	written := time.Unix(st.Mtim.Unix())
	if written.Before(d.started.Add(-fileTick)) {
		return true // an archive that was unpacked
	}
	if of.src != nil && of.since.Before(written) {
		return false // the incarnation that is read was there before the copy, and is so still
	}
	f, size := d.openCopy(path, 0)
	if f == nil {
		_, waits := d.waiting[path]
		return !waits
	}
	defer func() {
		if f != nil {
			d.closeFile(f)
		}
	}()
	head, whole, err := fileid.Head(f)
	if err != nil || !whole || len(head) == 0 {
		return false
	}
	if of.file != nil && begins(of.file, f, size) {
		return false // nothing of it is gone yet
	}
	sum := xxhash.Sum64(head)
	for _, s := range d.byHead[headKey{filepath.Dir(c.of), sum}] {
		if s.rec.HeadLen != len(head) {
			continue
		}
		d.in.mu.Lock()
		known := s.rec.continues(f, size)
		d.in.mu.Unlock()
		if known || s.handle != nil && s.handle.file != nil && begins(s.handle.file, f, size) {
			return true // if it has a rest of that source, that is looked for already
		}
	}
	d.closeFile(f)
	f = nil
	inc := 0
	name := fileid.Source(d.in.host, of.id.ino, of.born, head, inc)
	for d.sources[name] != nil {
		inc++
		name = fileid.Source(d.in.host, of.id.ino, of.born, head, inc)
	}
	s := d.know(record{Source: name, Path: c.of, Inode: of.id.ino, Born: of.born, Head: sum, HeadLen: len(head), Inc: inc})
	s.fresh = true
	d.in.mu.Lock()
	d.in.save(s)
	d.in.mu.Unlock()
	d.needSync = true
	d.lose(s, "truncated before it was seen")
	if d.takeRest(s, path) {
		s.searched = time.Now()
	}
	return true
}

// begins says whether a file begins with all of another, which has size bytes.
func begins(file, with *os.File, size int64) bool {
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	for at := int64(0); at < size; {
		n, err := with.ReadAt(a[:min(int64(len(a)), size-at)], at)
		if n == 0 || err != nil && !errors.Is(err, io.EOF) {
			return false
		}
		if k, _ := file.ReadAt(b[:n], at); k < n || string(a[:n]) != string(b[:n]) {
			return false
		}
		at += int64(n)
	}
	return true
}
