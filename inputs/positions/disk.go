package positions

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/cespare/xxhash/v2"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"github.com/tallylog/tally/internal/durable"
	"github.com/tallylog/tally/internal/failpoint"
)

const maxKey = bbolt.MaxKeySize

var (
	bucketValues = []byte("values")
	bucketCheck  = []byte("check")
	keyAccount   = []byte("account")
)

var errDamaged = errors.New("the file is damaged")

// change is a new value for a key; a nil value removes it.
type change struct{ key, value []byte }

// account is the number of values and the exclusive-or of their hashes. It does not depend on order, so that a write needs to
// look at the changed values only.
type account struct{ count, sum uint64 }

func (a *account) toggle(key, value []byte, by uint64) {
	var d xxhash.Digest
	d.Reset()
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(key)))
	_, _ = d.Write(n[:]) // a Digest cannot fail
	_, _ = d.Write(key)
	_, _ = d.Write(value)
	a.sum ^= d.Sum64()
	a.count += by
}

func (a account) bytes() []byte {
	b := binary.LittleEndian.AppendUint64(nil, a.count)
	return binary.LittleEndian.AppendUint64(b, a.sum)
}

func readAccount(b *bbolt.Bucket) (account, error) {
	if b == nil {
		return account{}, errDamaged
	}
	v := b.Get(keyAccount)
	if len(v) != 16 {
		return account{}, errDamaged
	}
	return account{binary.LittleEndian.Uint64(v), binary.LittleEndian.Uint64(v[8:])}, nil
}

// disk is the bbolt file. It is used by one goroutine at a time.
type disk struct {
	path string
	db   *bbolt.DB // nil after a fault, until the next write opens it again
	file *os.File
}

// openDisk opens the file and reads all of it. Where there is none it makes one under another name and renames it, so that
// an empty file is always damage and never the trace of a start that was interrupted.
func openDisk(path string) (*disk, map[string][]byte, error) {
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, nil, fmt.Errorf("cannot create registry %q: %w", path, err)
		}
	}
	d := &disk{path: path}
	values, err := d.open()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot open registry %q: %w", path, err)
	}
	return d, values, nil
}

func create(path string) error {
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	err := guard(func() error {
		db, err := bbolt.Open(tmp, 0o600, options(nil))
		if err != nil {
			return err
		}
		err = db.Update(func(tx *bbolt.Tx) error {
			if _, err := tx.CreateBucket(bucketValues); err != nil {
				return err
			}
			b, err := tx.CreateBucket(bucketCheck)
			if err != nil {
				return err
			}
			return b.Put(keyAccount, account{}.bytes())
		})
		return errors.Join(err, db.Close())
	})
	if err != nil {
		return err
	}
	failpoint.Here("agent.positions.created")
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	failpoint.Here("agent.positions.renamed")
	return durable.SyncDir(filepath.Dir(path))
}

// options tells bbolt to hand over its file, which an abandoned database has to be unlocked by.
func options(file **os.File) *bbolt.Options {
	o := *bbolt.DefaultOptions
	o.Timeout = 200 * time.Millisecond
	o.NoStatistics = true
	if file != nil {
		o.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag&^os.O_CREATE, mode)
			*file = f
			return f, err
		}
	}
	return &o
}

func (d *disk) open() (values map[string][]byte, err error) {
	info, err := os.Stat(d.path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if info.Size() == 0 {
		return nil, fmt.Errorf("%w: it is empty", errDamaged)
	}
	var db *bbolt.DB
	err = guard(func() error {
		var err error
		if db, err = bbolt.Open(d.path, 0o600, options(&d.file)); err != nil {
			return explain(err)
		}
		return db.View(func(tx *bbolt.Tx) error {
			if size := tx.Size(); size > info.Size() {
				return fmt.Errorf("%w: it has %d bytes of %d", errDamaged, info.Size(), size)
			}
			values, err = load(tx)
			return err
		})
	})
	if err != nil {
		d.db = db
		d.abandon()
		return nil, err
	}
	d.db = db
	return values, nil
}

func explain(err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return ErrInUse
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return fmt.Errorf("%w, or no registry: %w", errDamaged, err)
	}
	return err
}

func load(tx *bbolt.Tx) (map[string][]byte, error) {
	want, err := readAccount(tx.Bucket(bucketCheck))
	if err != nil {
		return nil, err
	}
	b := tx.Bucket(bucketValues)
	if b == nil {
		return nil, errDamaged
	}
	values, got := map[string][]byte{}, account{}
	err = b.ForEach(func(k, v []byte) error {
		if !json.Valid(v) {
			return fmt.Errorf("%w: value %q is no JSON", errDamaged, k)
		}
		got.toggle(k, v, 1)
		values[string(k)] = append([]byte(nil), v...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if got != want {
		return nil, fmt.Errorf("%w: it holds %d values, and should hold %d, or they have changed", errDamaged, got.count, want.count)
	}
	return values, nil
}

// write makes a batch durable, all of it or nothing.
func (d *disk) write(batch []change) error {
	if d.db == nil {
		if _, err := d.open(); err != nil {
			return err
		}
	}
	faulted := true
	err := guard(func() error {
		err := d.db.Update(func(tx *bbolt.Tx) error { return apply(tx, batch) })
		faulted = false
		return err
	})
	if faulted {
		d.abandon()
	}
	return err
}

func apply(tx *bbolt.Tx, batch []change) error {
	check := tx.Bucket(bucketCheck)
	a, err := readAccount(check)
	if err != nil {
		return err
	}
	b := tx.Bucket(bucketValues)
	if b == nil {
		return errDamaged
	}
	for _, c := range batch {
		if old := b.Get(c.key); old != nil {
			a.toggle(c.key, old, ^uint64(0))
		}
		if c.value == nil {
			err = b.Delete(c.key)
		} else {
			a.toggle(c.key, c.value, 1)
			err = b.Put(c.key, c.value)
		}
		if err != nil {
			return err
		}
	}
	return check.Put(keyAccount, a.bytes())
}

// guard runs f and turns a panic into an error. bbolt reads its file through a memory map: a block that cannot be read, or
// that a full tmpfs cannot give, arrives as a fault, which by default ends the process; and it panics on pages that make no sense.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w, or cannot be read: %v", errDamaged, r)
		}
	}()
	return f()
}

// abandon gives up a database whose locks a fault may have left held. Closing it may wait for them for ever, so that happens
// aside; the file lock is given back at once, for the next attempt. To close the file would not do that: the memory map
// keeps the lock alive.
func (d *disk) abandon() {
	db, file := d.db, d.file
	d.db, d.file = nil, nil
	if file != nil {
		_ = unix.Flock(int(file.Fd()), unix.LOCK_UN)
	}
	switch {
	case db != nil:
		go func() { _ = guard(db.Close) }()
	case file != nil:
		_ = file.Close() // where bbolt's Open failed without a panic, it is closed already
	}
}

func (d *disk) close() error {
	if d.db == nil {
		return nil
	}
	return guard(d.db.Close)
}
