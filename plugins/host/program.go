package host

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxProgram bounds the size of a plugin's file.
const maxProgram = 512 << 20

// load reads the program, refuses it unless only root and this user can change it or what it lies in, and gives a sealed copy that
// nobody can change any more, with its checksum. What runs is the copy, so what was verified is what runs.
func load(path string) (*os.File, checksum, error) {
	var sum checksum
	f, err := openTrusted(path)
	if err != nil {
		return nil, sum, err
	}
	defer f.Close()
	sealed, err := newSealed()
	if err != nil {
		return nil, sum, err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(sealed, h), io.LimitReader(f, maxProgram+1))
	if err == nil && n > maxProgram {
		err = fmt.Errorf("it has more than %d bytes", maxProgram)
	}
	if err == nil {
		sealed, err = seal(sealed)
	}
	if err != nil {
		sealed.Close()
		return nil, sum, fmt.Errorf("cannot copy plugin %q: %w", path, err)
	}
	copy(sum[:], h.Sum(nil))
	return sealed, sum, nil
}

// openTrusted opens the file behind path, symbolic links resolved.
func openTrusted(path string) (*os.File, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("cannot find plugin: %w", err)
	}
	for dir, own := filepath.Dir(real), true; ; dir, own = filepath.Dir(dir), false {
		if err := trusted(dir, own); err != nil {
			return nil, fmt.Errorf("refusing to run plugin %q: %w", path, err)
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	f, err := os.OpenFile(real, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open plugin: %w", err)
	}
	fi, err := f.Stat()
	if err == nil {
		switch st := fi.Sys().(*syscall.Stat_t); {
		case !fi.Mode().IsRegular():
			err = errors.New("it is no regular file")
		case fi.Mode().Perm()&0o111 == 0:
			err = errors.New("it is not executable")
		case fi.Mode().Perm()&0o022 != 0:
			err = fmt.Errorf("others can change it (mode %04o)", fi.Mode().Perm())
		case st.Uid != 0 && int(st.Uid) != os.Geteuid():
			err = fmt.Errorf("it belongs to the user %d", st.Uid)
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("refusing to run plugin %q: %w", path, err)
	}
	return f, nil
}

// trusted refuses a directory in which others could put another file in the place of the plugin. One above may be writable by all when
// it is sticky, as /tmp is.
func trusted(dir string, own bool) error {
	fi, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st := fi.Sys().(*syscall.Stat_t)
	switch {
	case st.Uid != 0 && int(st.Uid) != os.Geteuid():
		return fmt.Errorf("the directory %q belongs to the user %d", dir, st.Uid)
	case fi.Mode().Perm()&0o022 != 0 && (own || fi.Mode()&os.ModeSticky == 0):
		return fmt.Errorf("others can write to the directory %q (mode %04o)", dir, fi.Mode().Perm())
	}
	return nil
}

// newSealed gives a file in memory; on kernels before 3.17 one in a private directory.
func newSealed() (*os.File, error) {
	fd, err := unix.MemfdCreate("plugin", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err == nil {
		return os.NewFile(uintptr(fd), "plugin"), nil
	}
	if !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("cannot make a file in memory: %w", err)
	}
	return newPrivate()
}

// newPrivate gives a file that seal unlinks, in a directory of mode 0700.
func newPrivate() (*os.File, error) {
	dir, err := os.MkdirTemp("", "tally-plugin-")
	if err != nil {
		return nil, fmt.Errorf("cannot make a private directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "plugin"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o500)
	if err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	return f, nil
}

// seal makes the file one that can be run and not be changed. After an error the file is still to be closed.
func seal(f *os.File) (*os.File, error) {
	const all = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if filepath.Dir(f.Name()) == "." {
		if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, all); err != nil {
			return f, fmt.Errorf("cannot seal it: %w", err)
		}
		return f, nil
	}
	// A file that is open for writing cannot be run.
	defer os.RemoveAll(filepath.Dir(f.Name()))
	r, err := os.Open(f.Name())
	if err != nil {
		return f, err
	}
	return r, f.Close()
}
