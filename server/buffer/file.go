package buffer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/tallylog/tally/internal/durable"
	"github.com/tallylog/tally/internal/failpoint"
)

// file is what the log asks of the segment it writes; *os.File is one. Tests put disks that fail in its place.
type file interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
	Truncate(size int64) error
	Close() error
}

var _ file = (*os.File)(nil)

// sectionWriter writes one part after the other from off on.
type sectionWriter struct {
	f   file
	off int64
}

func (w *sectionWriter) Write(p []byte) (int, error) {
	failpoint.Here("buffer.write.before")
	n, err := w.f.WriteAt(p, w.off)
	failpoint.Here("buffer.write.after")
	w.off += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

// makeDir creates dir (0700) where it is missing, durably.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot create directory %q: %w", dir, err)
	}
	return durable.SyncDir(filepath.Dir(dir))
}

const lockName = "lock"

// lockDir takes the lock of dir with flock(2), which the kernel releases when the process ends however it ends. how is
// syscall.LOCK_EX for a writer. With LOCK_SH nothing is created: a log without a lock file was never opened, and the
// returned file is nil.
func lockDir(dir string, how int) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	flags := os.O_RDWR | os.O_CREATE
	if how == syscall.LOCK_SH {
		flags = os.O_RDONLY
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		if how == syscall.LOCK_SH && errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("cannot open lock %q: %w", path, err)
	}
	if err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("cannot lock buffer %q: %w", dir, ErrLocked)
		}
		return nil, fmt.Errorf("cannot lock buffer %q: %w", dir, err)
	}
	return f, nil
}

// noSpace adds ErrNoSpace to an error that says that the disk or the quota is full.
func noSpace(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}
