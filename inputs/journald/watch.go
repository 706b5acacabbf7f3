package journald

import (
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// recheck is how often the files in use are looked at without having been told of a change: journald itself tells of
	// an entry up to 250 ms late.
	recheck = 50 * time.Millisecond
	// rescan is how often the directories are listed without having been told of a change.
	rescan = time.Second
)

const watched = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE | unix.IN_MODIFY | unix.IN_ATTRIB | unix.IN_ONLYDIR

// watcher tells of changes in directories by inotify(7). Where that is not to be had (its limits are reached), changed
// always says yes and the rescan is what finds new files.
type watcher struct {
	wake chan struct{} // receives when something has changed

	mu    sync.Mutex
	file  *os.File // nil without inotify
	dirs  map[string]int
	dirty bool // a file appeared, went, or was renamed since changed was asked last
	done  chan struct{}
}

func newWatcher() *watcher {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return blindWatcher()
	}
	w := &watcher{wake: make(chan struct{}, 1), dirs: map[string]int{}, done: make(chan struct{})}
	w.file = os.NewFile(uintptr(fd), "inotify")
	go w.run(w.file)
	return w
}

// blindWatcher is one without inotify.
func blindWatcher() *watcher {
	w := &watcher{wake: make(chan struct{}), done: make(chan struct{})}
	close(w.done)
	return w
}

func (w *watcher) run(f *os.File) {
	defer close(w.done)
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	for {
		err := raw.Read(func(fd uintptr) bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.drain(int(fd))
		})
		if err != nil {
			return
		}
	}
}

// drain takes what the kernel has queued; false when that was nothing. The caller holds mu.
func (w *watcher) drain(fd int) (some bool) {
	var buf [16 << 10]byte
	for {
		n, err := unix.Read(fd, buf[:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n <= 0 {
			break
		}
		some = true
		for b := buf[:n]; len(b) >= unix.SizeofInotifyEvent; {
			mask := binary.NativeEndian.Uint32(b[4:])
			name := int(binary.NativeEndian.Uint32(b[12:]))
			if mask&unix.IN_IGNORED != 0 {
				w.forget(int(int32(binary.NativeEndian.Uint32(b))))
			}
			if mask&^(unix.IN_MODIFY|unix.IN_ISDIR) != 0 {
				w.dirty = true
			}
			b = b[min(len(b), unix.SizeofInotifyEvent+name):]
		}
	}
	if some {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
	return some
}

func (w *watcher) forget(wd int) {
	for dir, d := range w.dirs {
		if d == wd {
			delete(w.dirs, dir)
		}
	}
}

// watch adds the directories that exist. What changes in them after it has returned is told; the caller lists them then.
func (w *watcher) watch(dirs []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil {
		return
	}
	for _, dir := range dirs {
		if _, ok := w.dirs[dir]; ok {
			continue
		}
		raw, err := w.file.SyscallConn()
		if err != nil {
			return
		}
		_ = raw.Control(func(fd uintptr) {
			if wd, err := unix.InotifyAddWatch(int(fd), dir, watched); err == nil {
				w.dirs[dir] = wd
				w.dirty = true
			}
		})
	}
}

// changed tells whether files of dirs appeared, went, or were renamed since it was asked last. It misses nothing that
// happened before the call.
func (w *watcher) changed(dirs []string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil {
		return true
	}
	if raw, err := w.file.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { w.drain(int(fd)) })
	}
	dirty := w.dirty
	w.dirty = false
	for _, dir := range dirs {
		if _, ok := w.dirs[dir]; !ok {
			return true
		}
	}
	return dirty
}

func (w *watcher) close() {
	if w.file != nil {
		_ = w.file.Close()
	}
	<-w.done
}
