package applog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tallylog/tally/inputs/fileid"
)

// handle is a file of a directory, by its inode; its path may change. A file that nobody reads as a source of its own, because
// it copies one, has copied set.
type handle struct {
	id     inode
	born   int64
	file   *os.File // nil while closed for max_open_files
	path   string
	listed bool // a pattern lists path
	seen   int  // the last scan that found it
	size   int64
	mtime  int64
	gone   bool // no name is left
	active time.Time
	linked bool   // path is a symbolic link
	target target // what it leads to, while that is watched

	src      *source
	since    time.Time // when src was attached
	copied   bool
	compared int64 // how far it is known to equal the file it may be a copy of
}

// headKey finds the sources that a file may be a copy of: those of its directory that begin as it does.
type headKey struct {
	dir  string
	head uint64
}

// files is what the discoverer knows of files and sources.
type files struct {
	paths    map[string]*handle
	byInode  map[inode]*handle
	detached map[*handle]struct{} // open, but no pattern lists them any more
	pending  map[*handle]struct{} // not yet known what they are
	waiting  map[string]struct{}  // paths that max_open_files keeps closed
	open     int
	lost     int64 // sources that ended with a loss
	scanning bool  // the first scan is under way
	initial  bool  // what is found was there at the start

	sources map[string]*source
	byIno   map[uint64][]*source
	byHead  map[headKey][]*source
	orphans map[*source]struct{} // their rest is looked for, or read from a copy
	links   links
	copied  map[string]*newCopy // by their paths

	toWake   []*source
	needSync bool // before anything of toWake is shipped
	next     int  // the worker that gets the next source
	upkeep   time.Time
}

func newFiles() files {
	return files{
		paths: map[string]*handle{}, byInode: map[inode]*handle{}, detached: map[*handle]struct{}{},
		pending: map[*handle]struct{}{}, waiting: map[string]struct{}{}, initial: true, scanning: true,
		sources: map[string]*source{}, byIno: map[uint64][]*source{}, byHead: map[headKey][]*source{},
		orphans: map[*source]struct{}{}, links: newLinks(), copied: map[string]*newCopy{}, upkeep: time.Now(),
	}
}

// listed is told of each regular file that a pattern lists, at every look at its name.
func (d *discoverer) listed(path string, st *unix.Stat_t) {
	id := inode{uint64(st.Dev), st.Ino}
	h := d.paths[path]
	if h != nil && h.id == id {
		h.seen = d.scan
		h.listed = true
		delete(d.detached, h)
		if h.linked && h.target.name == "" {
			d.follow(h)
		}
		if st.Size != h.size || st.Mtim.Nano() != h.mtime {
			d.check(h, true)
		}
		return
	}
	if h != nil {
		d.unlist(path) // another file has taken its name
	}
	if h = d.byInode[id]; h != nil {
		if h.listed && d.paths[h.path] == h {
			return // a second name: a link
		}
		delete(d.paths, h.path)
		delete(d.detached, h)
		d.unfollow(h)
		h.path, h.listed, h.seen = path, true, d.scan
		d.paths[path] = h
		d.follow(h)
		d.check(h, true)
		return
	}
	if o := d.in.cfg.IgnoreOlder; o > 0 && len(d.byIno[st.Ino]) == 0 && time.Since(time.Unix(st.Mtim.Unix())) > o {
		return
	}
	d.openNew(path, true)
}

// openNew opens a file that is not open yet and finds out what it is. It returns nil where that cannot be done now.
func (d *discoverer) openNew(path string, listed bool) *handle {
	f := d.openFile(path)
	if f == nil {
		return nil
	}
	fa, err := stat(f)
	if err != nil || d.byInode[fa.inode] != nil {
		d.closeFile(f)
		return nil
	}
	h := &handle{
		id: fa.inode, born: fileid.Birth(f), file: f, path: path, listed: listed, seen: d.scan, size: fa.size, mtime: fa.mtime,
		gone: fa.links == 0, active: time.Now(),
	}
	d.paths[path], d.byInode[h.id] = h, h
	if !listed || h.gone {
		d.detached[h] = struct{}{}
	}
	d.identify(h)
	if listed {
		d.follow(h)
	}
	return h
}

// openFile opens a regular file within max_open_files.
func (d *discoverer) openFile(path string) *os.File {
	if d.open >= d.in.cfg.MaxOpenFiles && !d.closeIdle() {
		d.waiting[path] = struct{}{}
		d.in.mu.Lock()
		d.in.crowded = true
		d.in.mu.Unlock()
		d.sayOnce("", "max_open_files (%d) is reached and no open file is read to its end: others wait", d.in.cfg.MaxOpenFiles)
		return nil
	}
	delete(d.waiting, path)
	// Without O_NONBLOCK, a named pipe that has just taken the file's name would stop us here.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			d.sayOnce(path, "cannot open %q, will try again: %v", path, err)
		}
		return nil
	}
	d.open++
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		d.closeFile(f)
		return nil
	}
	delete(d.said, path)
	return f
}

func (d *discoverer) closeFile(f *os.File) {
	_ = f.Close() // it was only read
	d.open--
}

// check looks whether a file has grown, shrunk, or lost its last name. written: it is known to have been written to.
func (d *discoverer) check(h *handle, written bool) {
	if h.file == nil && !d.reopen(h) {
		return
	}
	fa, err := stat(h.file)
	if err != nil {
		d.sayOnce(h.path, "cannot look at %q: %v", h.path, err)
		return
	}
	shrunk, changed := fa.size < h.size, fa.size != h.size || fa.mtime != h.mtime
	h.gone = fa.links == 0
	h.size, h.mtime = fa.size, fa.mtime
	if changed {
		h.active = time.Now()
	}
	switch {
	case h.src != nil && shrunk:
		d.truncated(h)
	case h.src != nil && (changed || written):
		d.toWake = append(d.toWake, h.src)
	case h.src == nil && shrunk:
		h.copied, h.compared = false, 0
		d.identify(h)
	case h.src == nil && (changed || !h.copied):
		d.identify(h)
	}
}

func (d *discoverer) reopen(h *handle) bool {
	f := d.openFile(h.path)
	if f == nil {
		return false
	}
	if fa, err := stat(f); err != nil || fa.inode != h.id {
		d.closeFile(f)
		d.unlist(h.path)
		return false // the next look at the name finds the other file
	}
	h.file = f
	if h.src != nil {
		d.in.mu.Lock()
		h.src.file = f
		d.in.mu.Unlock()
	}
	return true
}

// unlist is told that a path does not lead to its file any more. The file stays open until its end is acknowledged.
func (d *discoverer) unlist(path string) {
	h := d.paths[path]
	if h == nil {
		return
	}
	delete(d.paths, path)
	delete(d.waiting, path)
	delete(d.said, path)
	d.unfollow(h)
	h.listed = false
	if h.file == nil {
		d.forget(h)
		return
	}
	d.detached[h] = struct{}{}
	h.active = time.Now()
	d.check(h, true)
}

func (d *discoverer) unlistBelow(dir string) {
	for path := range d.paths {
		if strings.HasPrefix(path, dir+"/") {
			d.unlist(path)
		}
	}
}

func (d *discoverer) unlistMissing() {
	for path, h := range d.paths {
		if h.listed && h.seen != d.scan {
			d.unlist(path)
		}
	}
}

// appeared is told of a new name that no pattern lists: it may be a followed file under its new name, or a copy.
func (d *discoverer) appeared(path string) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return
	}
	if h := d.byInode[inode{uint64(st.Dev), st.Ino}]; h != nil && d.paths[h.path] != h {
		h.path = path
		d.paths[path] = h
		d.check(h, true)
		return
	}
	for s := range d.orphans {
		if filepath.Dir(s.rec.Path) == filepath.Dir(path) {
			s.searched = time.Time{}
			d.in.signal()
		}
	}
}

// movedAway is told of a file that had a listed name and has got another that no pattern lists. It may have been renamed before it was
// seen under its first name: then it is opened now, to be read to its end.
func (d *discoverer) movedAway(path string) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return
	}
	if d.byInode[inode{uint64(st.Dev), st.Ino}] == nil && !d.initial {
		d.openNew(path, false)
		return
	}
	d.appeared(path)
}

// forget drops a handle. Its source stays, without a file.
func (d *discoverer) forget(h *handle) {
	d.unfollow(h)
	if h.src != nil {
		d.in.mu.Lock()
		h.src.file = nil
		d.in.mu.Unlock()
		h.src.handle = nil
		h.src = nil
	}
	if h.file != nil {
		d.closeFile(h.file)
		h.file = nil
	}
	if d.paths[h.path] == h {
		delete(d.paths, h.path)
	}
	delete(d.byInode, h.id)
	delete(d.detached, h)
	delete(d.pending, h)
}

// load reads the records of files that the patterns list.
func (d *discoverer) load() error {
	return d.in.store.Range(keyPrefix, func(key string, _ []byte) error {
		var r record
		if _, err := d.in.store.Get(key, &r); err != nil {
			return err
		}
		if r.Source == "" || r.HeadLen < 0 || r.HeadLen > fileid.HeadLen || r.Offset < 0 || r.Anchor < 0 || r.Anchor > r.Offset ||
			r.Shipped < 0 || r.Shipped > r.Offset {
			return fmt.Errorf("cannot use registry value %q: it is no position of a file", key)
		}
		if matches(d.in.cfg.patterns, r.Path) {
			d.know(r).fresh = true
		}
		return nil
	})
}

// know adds a source.
func (d *discoverer) know(r record) *source {
	w := d.in.workers[d.next%len(d.in.workers)]
	d.next++
	s := newSource(r, w)
	d.sources[r.Source] = s
	d.in.mind(s)
	d.byIno[r.Inode] = append(d.byIno[r.Inode], s)
	k := headKey{filepath.Dir(r.Path), r.Head}
	d.byHead[k] = append(d.byHead[k], s)
	return s
}

// release makes durable what must be before anything is shipped, and wakes the sources that have something to read.
func (d *discoverer) release() {
	if len(d.toWake) == 0 {
		return
	}
	if d.needSync {
		if err := d.in.store.Sync(); err != nil {
			d.in.log.Errorf("reading waits: %v", err)
			return // until the next event or tick
		}
		d.needSync = false
	}
	d.in.mu.Lock()
	for _, s := range d.toWake {
		d.in.wake(s)
	}
	d.in.mu.Unlock()
	d.toWake = d.toWake[:0]
}
