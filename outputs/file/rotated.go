package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// handle is what is needed of an *os.File.
type handle interface {
	io.ReaderAt
	io.WriteCloser
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
}

func openFile(name string, flag int, perm fs.FileMode) (handle, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// dateFormat follows the name and a dash with suffix: date.
const dateFormat = "20060102150405"

// rotated is a file, and older ones beside it: path.1, path.2 and so on, the newest first, or with dated all of them, the one
// that is written included, are path-<date>.
type rotated struct {
	path  string
	dated bool
	keep  int   // older files
	max   int64 // bytes of a file; a longer line has a file of its own
	perm  fs.FileMode
	fresh bool // begin with a new file
	open  func(name string, flag int, perm fs.FileMode) (handle, error)
	now   func() time.Time

	f    handle // nil where none is open
	name string // of f
	size int64  // of f
	torn bool   // f could not be cut back to size

	// A batch, which is written as a whole or not at all:
	start   int64    // where it begins in the file that it begins in
	turned  []string // the names of the files that it has filled, the first one first
	undoing bool     // turned is to be taken back before anything is written
}

// ready opens the file where that is needed: at first, and when what stands under its name is another one.
func (r *rotated) ready() error {
	if r.undoing {
		if err := r.undo(); err != nil {
			return err
		}
	}
	if r.f != nil {
		ours, err := r.f.Stat()
		if err != nil {
			return fmt.Errorf("cannot look at file %q: %w", r.name, err)
		}
		if there, err := os.Stat(r.name); err == nil && os.SameFile(ours, there) {
			// Somebody may have truncated it.
			if !r.torn {
				r.size = ours.Size()
				return nil
			}
			return r.cut()
		}
		if err := r.close(); err != nil {
			return err
		}
		r.torn = false // what stands there now is another file
	}
	if err := r.makeDirectory(); err != nil {
		return err
	}
	if r.name == "" {
		r.name = r.newest()
	}
	if err := r.openAt(); err != nil {
		return err
	}
	if r.fresh && r.size > 0 {
		return r.rotate()
	}
	r.fresh = false
	return nil
}

// openAt opens the file under r.name and cuts off what a crash left of a line.
func (r *rotated) openAt() error {
	f, err := r.open(r.name, os.O_CREATE|os.O_RDWR|os.O_APPEND, r.perm)
	if err != nil {
		return fmt.Errorf("cannot open file %q: %w", r.name, err)
	}
	r.f = f
	info, err := f.Stat()
	if err == nil && !(r.torn && r.size <= info.Size()) {
		r.size, err = lastLine(f, info.Size())
	}
	if err == nil && r.size < info.Size() {
		err = f.Truncate(r.size)
	}
	r.torn = r.torn && err != nil
	if err != nil {
		_ = f.Close()
		r.f = nil
		return fmt.Errorf("cannot find the end of file %q: %w", r.name, err)
	}
	return nil
}

// lastLine returns where the last newline within size bytes ends.
func lastLine(f io.ReaderAt, size int64) (int64, error) {
	buf := make([]byte, 64<<10)
	for size > 0 {
		part := buf[:min(size, int64(len(buf)))]
		if _, err := f.ReadAt(part, size-int64(len(part))); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			return size - int64(len(part)) + int64(i) + 1, nil
		}
		size -= int64(len(part))
	}
	return 0, nil
}

// full reports whether a line must go to the next file when pending bytes go to this one before it.
func (r *rotated) full(pending, line int64) bool {
	return r.size+pending > 0 && r.size+pending+line > r.max
}

// begin notes that a batch begins here.
func (r *rotated) begin() { r.start, r.turned = r.size, r.turned[:0] }

// undo takes away what there is of a batch. Where it began in an older file, that one becomes the file again. What fails is tried again by ready.
func (r *rotated) undo() error {
	r.undoing = true
	for n := len(r.turned); n > 0; n = len(r.turned) {
		if r.f != nil {
			_ = r.f.Close() // nothing of it is kept
			r.f = nil
		}
		var err error
		if r.dated {
			if err = os.Remove(r.name); errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		} else if err = r.unshift(); errors.Is(err, fs.ErrNotExist) {
			// Somebody has taken the older file, with what it has of the batch.
			r.start, r.turned = 0, r.turned[:0]
			break
		}
		if err != nil {
			return fmt.Errorf("cannot take back the rotation of file %q: %w", r.name, err)
		}
		r.name, r.turned = r.turned[n-1], r.turned[:n-1]
	}
	r.size, r.torn, r.undoing = r.start, true, false
	if r.f == nil {
		return r.openAt() // cuts it
	}
	return r.cut()
}

// write writes whole lines. After a failure undo is to follow.
func (r *rotated) write(lines []byte) error {
	if len(lines) == 0 {
		return nil
	}
	if r.f == nil {
		return fmt.Errorf("cannot write to file %q: %w", r.name, fs.ErrClosed)
	}
	n, err := r.f.Write(lines)
	if err != nil {
		return fmt.Errorf("cannot write to file %q: %w", r.name, err)
	}
	r.size += int64(n)
	return nil
}

// cut removes what is behind size.
func (r *rotated) cut() error {
	info, err := r.f.Stat()
	if err == nil && info.Size() > r.size {
		err = r.f.Truncate(r.size)
	}
	if err != nil {
		return fmt.Errorf("cannot cut file %q back to its last whole batch: %w", r.name, err)
	}
	r.size, r.torn = min(r.size, info.Size()), false
	return nil
}

// close closes the file. What a failed write left is cut off first; where that fails, openAt does it, as size stays.
func (r *rotated) close() error {
	if r.f == nil {
		return nil
	}
	if r.torn {
		_ = r.cut()
	}
	err := r.f.Close()
	r.f = nil
	if err != nil {
		return fmt.Errorf("cannot close file %q: %w", r.name, err)
	}
	return nil
}

// rotate goes on with a new file and removes those that are too many.
func (r *rotated) rotate() error {
	if err := r.close(); err != nil {
		return err
	}
	was := r.name
	if r.dated {
		if err := r.nextDate(); err != nil {
			return err
		}
	} else if err := r.shift(); err != nil {
		return err
	}
	r.turned = append(r.turned, was)
	if err := r.openAt(); err != nil {
		return err
	}
	r.fresh = false
	return r.purge()
}

// nextDate gives the file a name behind all others: where several begin in one second, that of a later one.
func (r *rotated) nextDate() error {
	names, err := r.datedFiles()
	if err != nil {
		return err
	}
	at := r.now()
	if len(names) > 0 {
		newest := names[len(names)-1]
		last, err := time.ParseInLocation(dateFormat, newest[len(newest)-len(dateFormat):], at.Location())
		if err == nil && r.dateName(at) <= newest {
			at = last.Add(time.Second)
		}
	}
	r.name = r.dateName(at)
	return nil
}

// shift renames path to path.1, path.1 to path.2 and so on.
func (r *rotated) shift() error {
	for i := r.keep; i > 0; i-- {
		older := r.path + "." + strconv.Itoa(i)
		name := r.path + "." + strconv.Itoa(i-1)
		if i == 1 {
			name = r.path
		}
		if err := os.Rename(name, older); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot rotate file %q: %w", name, err)
		}
	}
	return nil
}

// unshift makes path.1 the file again, path.2 path.1 and so on.
func (r *rotated) unshift() error {
	if err := os.Rename(r.path+".1", r.path); err != nil {
		return err
	}
	for i := 2; i <= r.keep; i++ {
		// A gap in the numbers does no harm.
		if os.Rename(r.path+"."+strconv.Itoa(i), r.path+"."+strconv.Itoa(i-1)) != nil {
			break
		}
	}
	return nil
}

// purge removes what is older than keep files. Numbered ones are overwritten by shift.
func (r *rotated) purge() error {
	if !r.dated {
		return nil
	}
	names, err := r.datedFiles()
	if err != nil {
		return err
	}
	for _, name := range names[:max(0, len(names)-1-r.keep)] {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot remove old file %q: %w", name, err)
		}
	}
	return nil
}

// newest is the name to begin with.
func (r *rotated) newest() string {
	if !r.dated {
		return r.path
	}
	if names, err := r.datedFiles(); err == nil && len(names) > 0 {
		return names[len(names)-1]
	}
	return r.dateName(r.now())
}

func (r *rotated) dateName(t time.Time) string { return r.path + "-" + t.Format(dateFormat) }

// datedFiles are the files of suffix: date, the oldest first.
func (r *rotated) datedFiles() ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(r.path))
	if err != nil {
		return nil, fmt.Errorf("cannot list the files of %q: %w", r.path, err)
	}
	prefix := filepath.Base(r.path) + "-"
	var names []string
	for _, e := range entries {
		if len(e.Name()) == len(prefix)+len(dateFormat) && e.Name()[:len(prefix)] == prefix {
			if _, err := time.Parse(dateFormat, e.Name()[len(prefix):]); err == nil {
				names = append(names, filepath.Join(filepath.Dir(r.path), e.Name()))
			}
		}
	}
	slices.Sort(names)
	return names, nil
}

// makeDirectory gives the group and others access where the files' permissions do.
func (r *rotated) makeDirectory() error {
	mode := fs.FileMode(0o700)
	if r.perm&0o070 > 0 {
		mode |= 0o050
	}
	if r.perm&0o007 > 0 {
		mode |= 0o005
	}
	if err := os.MkdirAll(filepath.Dir(r.path), mode); err != nil {
		return fmt.Errorf("cannot make directory %q: %w", filepath.Dir(r.path), err)
	}
	return nil
}
