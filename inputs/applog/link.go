package applog

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maskTarget is watched in a directory that files lie in which patterns list by symbolic links only. Where the directory is watched
// already, it adds to that.
const maskTarget = unix.IN_MASK_ADD | unix.IN_MODIFY | unix.IN_CLOSE_WRITE | unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM |
	unix.IN_DELETE | unix.IN_ONLYDIR

// target is a name in a watched directory that a symbolic link leads to.
type target struct {
	wd   int32
	name string
}

// links are the files that are listed by symbolic links, such as /var/log/containers/*.log: what happens to them, inotify tells of the
// directories that they lie in.
type links struct {
	files map[target]*handle
	count map[int32]int // files of a watched directory
}

func newLinks() links { return links{files: map[target]*handle{}, count: map[int32]int{}} }

// follow watches the directory that the file of h lies in, if its path is a symbolic link. It is called for each file that is opened by a
// listed path, and again by rescans where it could not be watched.
func (d *discoverer) follow(h *handle) {
	var st unix.Stat_t
	if err := unix.Lstat(h.path, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFLNK {
		return
	}
	h.linked = true
	real, err := filepath.EvalSymlinks(h.path)
	if err != nil {
		return // it has just gone
	}
	wd, err := d.notify.watch(filepath.Dir(real), maskTarget)
	if err != nil {
		d.sayOnce(real, "cannot watch %q, it is only looked at every %s: %v", filepath.Dir(real), d.in.cfg.RescanInterval, err)
		return
	}
	t := target{wd, filepath.Base(real)}
	if d.links.files[t] != nil { // a second link to it
		return
	}
	h.target = t
	d.links.files[t] = h
	d.links.count[wd]++
	d.check(h, true) // what was written before it was watched
}

// unfollow ends that.
func (d *discoverer) unfollow(h *handle) {
	t := h.target
	if d.links.files[t] != h {
		return
	}
	delete(d.links.files, t)
	h.target = target{}
	if d.links.count[t.wd]--; d.links.count[t.wd] == 0 {
		delete(d.links.count, t.wd)
		if d.byWd[t.wd] == nil {
			d.notify.unwatch(t.wd)
		}
	}
}

// targetChanged goes through an event of a directory that targets lie in.
func (d *discoverer) targetChanged(e notice) {
	if d.links.count[e.wd] == 0 {
		return
	}
	if e.mask&unix.IN_IGNORED != 0 {
		for t, h := range d.links.files {
			if t.wd == e.wd {
				d.unfollow(h)
				d.relist(h)
			}
		}
		return
	}
	h := d.links.files[target{e.wd, e.name}]
	switch {
	case h == nil:
	case e.mask&(unix.IN_MODIFY|unix.IN_CLOSE_WRITE) != 0:
		d.check(h, true)
	default: // the link may lead to another file now, or to none
		d.relist(h)
	}
}

// relist looks again at what a path leads to.
func (d *discoverer) relist(h *handle) {
	path := h.path
	if d.paths[path] != h {
		return
	}
	if _, err := os.Stat(path); err != nil {
		d.unlist(path)
		return
	}
	if n := d.dirs[filepath.Dir(path)]; n != nil {
		d.name(n, filepath.Base(path))
	}
}
