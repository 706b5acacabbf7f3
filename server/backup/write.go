package backup

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// manifestName is the last entry of the archive.
const manifestName = "MANIFEST.json"

// Format is the version of the layout.
const format = 1

// Manifest says what a backup holds.
type Manifest struct {
	Format int       `json:"format"`
	Time   time.Time `json:"time"`
	// Seq is the record of the buffer up to which everything is in the backup.
	Seq     uint64 `json:"seq"`
	Version string `json:"version"` // of the program
	// Store is the type of the store, and whether its rows are in the backup.
	Store     string `json:"store"`
	WithStore bool   `json:"with_store"`
	Files     []File `json:"files"`
}

// File is one file of a backup.
type File struct {
	Name   string `json:"name"` // with slashes, below the data directory
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Write writes the files below dir for which keep, given the name with slashes, is true. They must not change meanwhile. It fills in
// Format and Files of m.
func Write(w io.Writer, dir string, keep func(name string) bool, m *Manifest) error {
	t := tar.NewWriter(w)
	m.Format, m.Files = format, []File{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if name = filepath.ToSlash(name); name == "." {
			return nil
		}
		if !keep(name) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		f, err := add(t, path, name)
		m.Files = append(m.Files, f)
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot write the backup: %w", err)
	}
	b, err := json.Marshal(m)
	if err == nil {
		err = t.WriteHeader(&tar.Header{Name: manifestName, Mode: 0o600, Size: int64(len(b)), ModTime: m.Time})
	}
	if err == nil {
		_, err = t.Write(b)
	}
	if err = errors.Join(err, t.Close()); err != nil {
		return fmt.Errorf("cannot write the backup: %w", err)
	}
	return nil
}

func add(t *tar.Writer, path, name string) (File, error) {
	in, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		return File{}, err
	}
	h := &tar.Header{Name: name, Mode: int64(st.Mode().Perm()), Size: st.Size(), ModTime: st.ModTime()}
	if err := t.WriteHeader(h); err != nil {
		return File{}, err
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(t, sum), in); err != nil {
		return File{}, fmt.Errorf("%s: %w", name, err)
	}
	return File{Name: name, Size: st.Size(), SHA256: hex.EncodeToString(sum.Sum(nil))}, nil
}

// Link makes the tree of from again at to, with hard links instead of copies. Files that are replaced, and never changed, in the tree
// stay as they are in the links. skip leaves out what it is true for.
func Link(from, to string, skip func(name string) bool) error {
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case name != "." && skip(filepath.ToSlash(name)):
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		case d.Type().IsRegular():
			return os.Link(path, filepath.Join(to, name))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot link %q to %q: %w", from, to, err)
	}
	return nil
}
