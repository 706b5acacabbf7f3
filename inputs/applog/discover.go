package applog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// Events of so long are taken together: of calmTime while nothing but writing goes on, so that many files with a line now and then
	// do not cost a turn for each line; of settleTime once names have changed, for movedTime, as what a rotation does next comes soon.
	settleTime = 5 * time.Millisecond
	calmTime   = 100 * time.Millisecond
	movedTime  = 2 * time.Second
	tickTime   = time.Second
	// rescanShare is which part of the time is spent on rescans at most: those of many files are made less often, though every minute.
	rescanShare = 400
	maxRescan   = time.Minute
)

// dir is a directory that patterns lead through or list files in.
type dir struct {
	path   string
	at     []place
	wd     int32 // -1 where it cannot be watched; the rescan sees it all the same
	files  bool
	seen   int // the last scan that found it
	parent *dir
}

// discoverer finds files and decides what they are. All of it runs in one goroutine.
type discoverer struct {
	in     *Input
	notify *notifier

	dirs map[string]*dir
	byWd map[int32]*dir
	scan int // counts full scans

	files                      // the open files and the sources
	said     map[string]string // what has been said about a path, so that it is said once
	started  time.Time
	anything bool          // a file was found
	observed time.Time     // when the status was made
	told     time.Time     // when resting sources were last looked for
	moving   uint32        // the cookie of the last rename of a name that a pattern lists
	stirred  time.Time     // when names changed last
	rested   time.Time     // when the last rescan ended
	took     time.Duration // the last rescan
}

func newDiscoverer(in *Input) (*discoverer, error) {
	n, err := newNotifier()
	if err != nil {
		return nil, err
	}
	d := &discoverer{in: in, notify: n, dirs: map[string]*dir{}, byWd: map[int32]*dir{}, said: map[string]string{}, started: time.Now()}
	d.files = newFiles()
	err = d.load()
	if err == nil {
		err = d.takeOver()
	}
	if err != nil {
		n.close()
		return nil, err
	}
	return d, nil
}

func (d *discoverer) run(stop <-chan struct{}) {
	d.rescan()
	d.resumeMissing()
	d.identifyPending()
	d.initial = false
	d.stirred = time.Now()
	if !d.anything {
		d.in.log.Infof("no file matches %s yet", strings.Join(d.in.cfg.Paths, ", "))
	}
	tick := time.NewTicker(tickTime)
	defer tick.Stop()
	rescan := time.NewTicker(d.in.cfg.RescanInterval)
	defer rescan.Stop()
	d.release()
	var settled <-chan time.Time
	for {
		select {
		case <-stop:
			return
		case batch := <-d.notify.events:
			d.handle(batch)
			settled = time.After(d.settle(len(batch), time.Now())) // what is written meanwhile comes as one event
		case <-settled:
			d.notify.resume()
		case <-d.in.inbox:
			d.review()
		case <-tick.C:
			d.tick(time.Now())
		case now := <-rescan.C:
			if now.Sub(d.rested) >= min(rescanShare*d.took, maxRescan) {
				d.rescan()
			}
		}
		d.release()
	}
}

// settle is how long events are left to come in after so many. The kernel's queue is bounded: when they come fast they are not left.
func (d *discoverer) settle(events int, now time.Time) time.Duration {
	if events > 500 || now.Sub(d.stirred) < movedTime {
		return settleTime
	}
	return calmTime
}

func (d *discoverer) close() {
	d.notify.close()
	d.closeAll()
}

// rescan walks all that the patterns lead to: the net under inotify. What it does not find any more is unlisted.
func (d *discoverer) rescan() {
	began := time.Now()
	defer func() {
		d.rested = time.Now()
		d.took = d.rested.Sub(began)
	}()
	d.scan++
	d.enter(nil, "/", roots(d.in.cfg.patterns))
	for _, n := range d.dirs {
		if n.seen != d.scan {
			d.leave(n)
		}
	}
	d.unlistMissing()
}

// enter watches a directory and then looks into it: in this order, so that nothing appears in between unseen.
func (d *discoverer) enter(parent *dir, path string, at []place) {
	n := d.dirs[path]
	if n == nil {
		n = &dir{path: path, at: at, wd: -1, files: hasFiles(d.in.cfg.patterns, at), parent: parent}
		d.dirs[path] = n
	}
	first := n.seen != d.scan
	n.seen = d.scan
	if first {
		d.watch(n)
	}
	d.list(n)
}

func (d *discoverer) watch(n *dir) {
	mask := uint32(maskDir)
	if n.files {
		mask = maskFiles
	}
	wd, err := d.notify.watch(n.path, mask)
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			d.sayOnce(n.path, "cannot watch directory %q, it is only looked at every %s: %v", n.path, d.in.cfg.RescanInterval, err)
		}
		return
	}
	if n.wd != wd {
		if old := d.byWd[n.wd]; old == n {
			delete(d.byWd, n.wd)
		}
		n.wd = wd
		d.byWd[wd] = n
	}
}

// list looks at the names in a directory.
func (d *discoverer) list(n *dir) {
	names, ok := literal(d.in.cfg.patterns, n.at)
	if ok {
		for _, name := range names {
			d.name(n, name)
		}
		return
	}
	f, err := os.Open(n.path)
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			d.sayOnce(n.path, "cannot list directory %q, will try again: %v", n.path, err)
		}
		return
	}
	defer f.Close()
	for {
		names, err := f.Readdirnames(1000)
		for _, name := range names {
			d.name(n, name)
		}
		if err != nil {
			return
		}
	}
}

// name looks at one name in a directory, whatever it stands for.
func (d *discoverer) name(n *dir, name string) {
	next, file := step(d.in.cfg.patterns, n.at, name)
	if len(next) == 0 && !file {
		return
	}
	path := filepath.Join(n.path, name)
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			d.sayOnce(path, "cannot read %q, will try again: %v", path, err)
		}
		return
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		if len(next) == 0 || d.loops(n, path, next) {
			return
		}
		d.enter(n, path, next)
	case unix.S_IFREG:
		if file && d.in.cfg.wants(path) {
			d.anything = true
			d.listed(path, &st)
		}
	}
}

// loops says whether path is a symbolic link to a directory that ** would follow: it may lead back up.
func (d *discoverer) loops(n *dir, path string, next []place) bool {
	for _, pl := range next {
		if d.in.cfg.patterns[pl.p][pl.seg] == "**" && pl.depth > 0 {
			info, err := os.Lstat(path)
			return err != nil || info.Mode()&os.ModeSymlink != 0
		}
	}
	return false
}

// leave forgets a directory and all below it.
func (d *discoverer) leave(n *dir) {
	for _, c := range d.dirs {
		if c == n || strings.HasPrefix(c.path, n.path+"/") {
			if d.byWd[c.wd] == c {
				delete(d.byWd, c.wd)
				if d.links.count[c.wd] == 0 {
					d.notify.unwatch(c.wd)
				}
			}
			delete(d.dirs, c.path)
			delete(d.said, c.path)
		}
	}
	d.unlistBelow(n.path)
}

// handle goes through inotify events.
func (d *discoverer) handle(batch []notice) {
	var last notice
	for _, e := range batch {
		if e == last && e.mask&unix.IN_MODIFY != 0 {
			continue
		}
		last = e
		if e.mask&unix.IN_Q_OVERFLOW != 0 {
			d.stirred = time.Now()
			d.rescan()
			continue
		}
		d.targetChanged(e)
		n := d.byWd[e.wd]
		if e.mask&(unix.IN_MODIFY|unix.IN_CLOSE_WRITE) == 0 && d.concerns(n, e) {
			d.stirred = time.Now()
		}
		if n == nil {
			continue
		}
		switch {
		case e.mask&(unix.IN_IGNORED|unix.IN_DELETE_SELF|unix.IN_MOVE_SELF|unix.IN_UNMOUNT) != 0:
			d.leave(n)
			if n.parent != nil && d.dirs[n.parent.path] == n.parent {
				d.name(n.parent, filepath.Base(n.path)) // another may have taken its name
			}
		case e.mask&unix.IN_ISDIR != 0:
			path := filepath.Join(n.path, e.name)
			if c := d.dirs[path]; c != nil && e.mask&(unix.IN_MOVED_FROM|unix.IN_DELETE) != 0 {
				d.leave(c)
			} else if e.mask&(unix.IN_CREATE|unix.IN_MOVED_TO) != 0 {
				d.name(n, e.name)
			}
		case e.name != "":
			d.changed(n, e)
		}
	}
	d.unseen(time.Now())
}

// concerns says whether an event of names can be part of a rotation, or of a pod's coming or going. In a directory that only leads to
// others, such as /tmp, names that lead nowhere come and go all the time.
func (d *discoverer) concerns(n *dir, e notice) bool {
	if n == nil || n.files || e.name == "" {
		return true
	}
	next, _ := step(d.in.cfg.patterns, n.at, e.name)
	return len(next) > 0
}

// changed goes through an event of a name that is no directory.
func (d *discoverer) changed(n *dir, e notice) {
	path := filepath.Join(n.path, e.name)
	h := d.paths[path]
	if e.mask&unix.IN_MOVED_FROM != 0 {
		if _, file := step(d.in.cfg.patterns, n.at, e.name); file && d.in.cfg.wants(path) {
			d.moving = e.cookie
		}
	}
	if e.mask&(unix.IN_MOVED_FROM|unix.IN_DELETE) != 0 {
		var st unix.Stat_t // a scan may have found the next file of that name before the event of the last is read
		if h != nil && (unix.Stat(path, &st) != nil || h.id != inode{uint64(st.Dev), st.Ino}) {
			d.unlist(path)
		}
		return
	}
	if h != nil && e.mask&(unix.IN_MODIFY|unix.IN_CLOSE_WRITE) != 0 {
		d.check(h, true)
		return
	}
	if e.mask&unix.IN_CLOSE_WRITE != 0 {
		d.stirred = time.Now() // it may be the copy that comes before a truncation
	}
	d.name(n, e.name)
	if e.mask&unix.IN_MOVED_TO != 0 && e.cookie == d.moving && d.paths[path] == nil {
		d.movedAway(path)
		return
	}
	if e.mask&(unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_CLOSE_WRITE) != 0 && d.paths[path] == nil {
		d.noteCopy(path, e.mask)
		d.appeared(path)
	}
}

// sayOnce logs a message about a path unless it is what was said last.
func (d *discoverer) sayOnce(path, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if d.said[path] == text {
		return
	}
	d.said[path] = text
	d.in.log.Warn(text)
}
