package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// How long a measurement of the free space is believed, and how often a full disk is looked at again.
const (
	spaceFresh = time.Second
	spacePoll  = 250 * time.Millisecond
)

// space keeps the reserve of the file system: a write that fails ends the process inside logstorage, where nothing can
// recover it.
type space struct {
	dir      string
	reserve  uint64
	log      *slog.Logger
	unstored func() uint64 // bytes that are in memory and go to the disk as they are

	// The feeder's own.
	at    time.Time
	free  uint64
	spent uint64 // of free, by what was in memory at that time, and by the raw bytes handed over since

	mu  sync.Mutex
	why string // not empty while rows wait
}

// take returns when n raw bytes fit above the reserve, or when ctx is done.
func (w *space) take(ctx context.Context, n uint64) error {
	for {
		if time.Since(w.at) > spaceFresh || !w.fits(n) {
			var st unix.Statfs_t
			if err := unix.Statfs(w.dir, &st); err != nil {
				w.waiting("")
				return fmt.Errorf("cannot measure the free space of %q: %w", w.dir, err)
			}
			w.at, w.free, w.spent = time.Now(), st.Bavail*uint64(st.Bsize), w.unstored()
		}
		if w.fits(n) {
			w.spent += n
			w.waiting("")
			return nil
		}
		w.waiting(fmt.Sprintf("%d bytes are free at %s, and %d must stay free", w.free, w.dir, w.reserve))
		select {
		case <-ctx.Done():
			why := w.reason()
			w.mu.Lock()
			w.why = "" // nobody waits any more, but there is no more space either
			w.mu.Unlock()
			return fmt.Errorf("cannot append: %s: %w", why, ctx.Err())
		case <-time.After(spacePoll):
		}
	}
}

func (w *space) fits(n uint64) bool { return w.free >= w.reserve && w.free-w.reserve >= w.spent+n }

// waiting notes why rows wait, and says so once at the beginning and once at the end.
func (w *space) waiting(why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.why == "" && why != "":
		w.log.Error("the store waits for disk space", "why", why)
	case w.why != "" && why == "":
		w.log.Info("the store no longer waits for disk space")
	}
	w.why = why
}

func (w *space) reason() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.why
}
