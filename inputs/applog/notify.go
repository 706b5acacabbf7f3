package applog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// maskDir is watched in a directory that can only lead to others, maskFiles in one that may hold log files (inotify(7)). They add
// to what is watched in it already, as targets of links are.
const (
	maskDir = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE | unix.IN_DELETE_SELF |
		unix.IN_MOVE_SELF | unix.IN_ONLYDIR | unix.IN_MASK_ADD
	maskFiles = maskDir | unix.IN_MODIFY | unix.IN_CLOSE_WRITE | unix.IN_ATTRIB
)

// notice is one inotify event. name is empty for the directory itself.
type notice struct {
	wd     int32
	mask   uint32
	cookie uint32 // the same in the two events of a rename
	name   string
}

// notifier is an inotify instance. Its events arrive in batches on events, which is closed when the instance is; after each batch it
// waits for resume.
//
// The descriptor is kept from Go's poller, which every event wakes, even while nobody reads it: a thread waits for it in poll(2).
type notifier struct {
	fd     int
	wake   [2]int // a pipe, whose end is closed with the instance; libbeat's filter of system calls forbids an eventfd
	events chan []notice
	more   chan struct{}
	done   chan struct{}
}

func newNotifier() (*notifier, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("cannot start inotify: %w", err)
	}
	var wake [2]int
	if err := unix.Pipe2(wake[:], unix.O_CLOEXEC); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("cannot start inotify: %w", err)
	}
	n := &notifier{fd: fd, wake: wake, events: make(chan []notice), more: make(chan struct{}, 1), done: make(chan struct{})}
	go n.run()
	return n, nil
}

func (n *notifier) run() {
	defer close(n.events)
	buf := make([]byte, 64<<10)
	for {
		fds := []unix.PollFd{{Fd: int32(n.fd), Events: unix.POLLIN}, {Fd: int32(n.wake[0]), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		k, err := unix.Read(n.fd, buf)
		if k <= 0 || err != nil {
			select {
			case <-n.done:
				return
			default:
				continue
			}
		}
		select {
		case n.events <- notices(buf[:k]):
		case <-n.done:
			return
		}
		select {
		case <-n.more:
		case <-n.done:
			return
		}
	}
}

// resume lets the next batch come.
func (n *notifier) resume() { n.more <- struct{}{} }

// notices decodes what a read of an inotify descriptor gave.
func notices(b []byte) []notice {
	var out []notice
	for len(b) >= unix.SizeofInotifyEvent {
		e := notice{wd: int32(binary.NativeEndian.Uint32(b)), mask: binary.NativeEndian.Uint32(b[4:]), cookie: binary.NativeEndian.Uint32(b[8:])}
		n := int(binary.NativeEndian.Uint32(b[12:]))
		b = b[unix.SizeofInotifyEvent:]
		if n > len(b) {
			break
		}
		name, _, _ := bytes.Cut(b[:n], []byte{0})
		e.name = string(name)
		b = b[n:]
		out = append(out, e)
	}
	return out
}

// watch adds a directory, or changes its mask, and returns its descriptor.
func (n *notifier) watch(dir string, mask uint32) (int32, error) {
	wd, err := unix.InotifyAddWatch(n.fd, dir, mask)
	return int32(wd), err
}

func (n *notifier) unwatch(wd int32) { _, _ = unix.InotifyRmWatch(n.fd, uint32(wd)) }

func (n *notifier) close() {
	close(n.done)
	_ = unix.Close(n.wake[1])
	for range n.events { // until the reader has ended
	}
	_ = unix.Close(n.fd)
	_ = unix.Close(n.wake[0])
}
