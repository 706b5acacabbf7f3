package backup

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tallylog/tally/internal/durable"
)

// ErrDamaged is returned, wrapped, for a file that is no whole backup.
var ErrDamaged = errors.New("the backup is damaged")

// RestoringDir is in a data directory whose restore did not finish.
const RestoringDir = ".restoring"

// maxManifest bounds what is read as the manifest.
const maxManifest = 1 << 30

// Verify reads a whole backup and holds every file against the manifest.
func Verify(r io.Reader) (Manifest, error) {
	return read(r, func(string, int64, os.FileMode) (io.WriteCloser, error) { return nopCloser{io.Discard}, nil })
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// read gives each file to the writer that make returns for it.
func read(r io.Reader, make func(name string, size int64, mode os.FileMode) (io.WriteCloser, error)) (m Manifest, err error) {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
	}
	in := bufio.NewReaderSize(r, 1<<20)
	t := tar.NewReader(in)
	var files []File
	for {
		h, err := t.Next()
		if err == io.EOF {
			return m, bad("it ends without a manifest")
		}
		if err != nil {
			return m, bad("after %d files: %v", len(files), err)
		}
		if h.Name == manifestName {
			if h.Size > maxManifest {
				return m, bad("the manifest has %d bytes", h.Size)
			}
			b, err := io.ReadAll(t)
			if err == nil {
				err = json.Unmarshal(b, &m)
			}
			if err != nil {
				return m, bad("the manifest cannot be read: %v", err)
			}
			break
		}
		if !filepath.IsLocal(h.Name) || h.Typeflag != tar.TypeReg {
			return m, bad("%q is no file of a backup", h.Name)
		}
		w, err := make(h.Name, h.Size, h.FileInfo().Mode().Perm())
		if err != nil {
			return m, err
		}
		sum := sha256.New()
		to := &remembering{w: w}
		n, err := io.Copy(io.MultiWriter(to, sum), t)
		if err = errors.Join(err, w.Close()); err != nil {
			if to.err != nil || n == h.Size {
				return m, fmt.Errorf("cannot write %q: %w", h.Name, err)
			}
			return m, bad("%q ends after %d of %d bytes: %v", h.Name, n, h.Size, err)
		}
		files = append(files, File{h.Name, n, hex.EncodeToString(sum.Sum(nil))})
	}
	if m.Format != format {
		return m, fmt.Errorf("the backup has format %d, this program knows %d: it was written by another version", m.Format, format)
	}
	if len(files) != len(m.Files) {
		return m, bad("it has %d files, and its manifest %d", len(files), len(m.Files))
	}
	for i, f := range files {
		if f != m.Files[i] {
			return m, bad("%q is not what was backed up", f.Name)
		}
	}
	if _, err := t.Next(); err != io.EOF {
		return m, bad("something follows the manifest")
	}
	return m, nil
}

// remembering tells an error of writing from one of reading.
type remembering struct {
	w   io.Writer
	err error
}

func (r *remembering) Write(p []byte) (n int, err error) {
	n, err = r.w.Write(p)
	r.err = err
	return n, err
}

// Restore makes a data directory of a backup. The directory must not be there, be empty, or be one whose restore did not finish. The
// backup is read twice: nothing is written before it is known to be whole.
func Restore(in io.ReadSeeker, dir string) (m Manifest, err error) {
	if err := free(dir); err != nil {
		return m, err
	}
	if m, err = Verify(in); err != nil {
		return m, err
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return m, fmt.Errorf("cannot read the backup again: %w", err)
	}
	tmp := filepath.Join(dir, RestoringDir)
	if err := errors.Join(os.RemoveAll(tmp), os.MkdirAll(tmp, 0o700)); err != nil {
		return m, fmt.Errorf("cannot make %q: %w", tmp, err)
	}
	dirs := map[string]bool{tmp: true}
	_, err = read(in, func(name string, _ int64, mode os.FileMode) (io.WriteCloser, error) {
		path := filepath.Join(tmp, filepath.FromSlash(name))
		for d := filepath.Dir(path); !dirs[d]; d = filepath.Dir(d) {
			dirs[d] = true
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
		return syncing{f}, err
	})
	if err != nil {
		return m, fmt.Errorf("cannot restore: %w", err)
	}
	for d := range dirs {
		if err := durable.SyncDir(d); err != nil {
			return m, err
		}
	}
	list, err := os.ReadDir(tmp)
	if err != nil {
		return m, err
	}
	for _, e := range list {
		if err := os.Rename(filepath.Join(tmp, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			return m, fmt.Errorf("cannot put %q in place: %w", e.Name(), err)
		}
	}
	if err := durable.SyncDir(dir); err != nil {
		return m, err
	}
	if err := os.Remove(tmp); err != nil {
		return m, err
	}
	return m, durable.SyncDir(dir)
}

// free refuses a directory that holds anything but an unfinished restore, of which it clears what is there.
func free(dir string) error {
	list, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot look into %q: %w", dir, err)
	}
	if len(list) == 0 || len(list) == 1 && list[0].Name() == RestoringDir {
		return nil
	}
	if Unfinished(dir) {
		return fmt.Errorf("%q holds a restore that did not finish; remove the directory, or name another", dir)
	}
	return fmt.Errorf("%q is not empty; a backup is restored into an empty directory only", dir)
}

// Unfinished tells whether a restore into dir did not finish.
func Unfinished(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, RestoringDir))
	return err == nil
}

// syncing is a file that is durable when it is closed.
type syncing struct{ *os.File }

func (s syncing) Close() error { return errors.Join(s.Sync(), s.File.Close()) }
