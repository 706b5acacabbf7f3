package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Extension ends the name of the file beside that Replace writes first. After a crash one may stay; the next Replace takes its
// place, and nothing else has a use for it.
const Extension = ".tmp"

// Replace puts text at path, durably. A file that is there keeps its permissions; a new one gets perm less the umask.
// Two calls for one path must not run at the same time.
func Replace(path string, text []byte, perm fs.FileMode) error {
	beside := path + Extension
	err := write(beside, path, text, perm)
	if err == nil {
		err = os.Rename(beside, path)
	}
	if err != nil {
		_ = os.Remove(beside) // it may not be there
		return fmt.Errorf("cannot replace %q: %w", path, err)
	}
	return SyncDir(filepath.Dir(path))
}

// write makes the file beside. It is always a new one: what a crash left may have other permissions or be a link.
func write(beside, path string, text []byte, perm fs.FileMode) error {
	if err := os.Remove(beside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	if old, statErr := os.Stat(path); statErr == nil {
		err = f.Chmod(old.Mode().Perm())
	}
	if err == nil {
		_, err = f.Write(text)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// SyncDir makes the names in dir last: those of files made, renamed or removed there before.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("cannot sync directory %q: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("cannot sync directory %q: %w", dir, err)
	}
	return nil
}
