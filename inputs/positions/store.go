package positions

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/elastic/beats/v7/libbeat/logp"
	"golang.org/x/sys/unix"

	"github.com/tallylog/tally/internal/failpoint"
)

const (
	flushDelay = time.Second      // from the first change to the write
	maxDelay   = 10 * time.Second // between attempts while the disk refuses
)

var (
	// ErrInUse is wrapped by the error of Open when another process, or another Store of this one, has the registry.
	ErrInUse = errors.New("another agent has it open")
	// ErrClosed is returned by every method that changes a Store after Close.
	ErrClosed = errors.New("the registry is closed")
)

// Store is the registry. All methods are safe for concurrent use.
type Store struct {
	path string
	log  *logp.Logger
	lock *os.File

	mu     sync.Mutex
	values map[string][]byte // never changed in place, so that they can be read outside the lock
	dirty  map[string]struct{}
	closed bool

	writing sync.Mutex // held over a write; it orders flushes and guards disk
	disk    *disk

	wake chan struct{} // has room for one: there is something dirty
	stop chan struct{}
	done chan struct{}
}

// Open opens the registry at path, and makes it where there is none. It fails with an error that wraps ErrInUse when
// another agent has it, and with one that names the file when it is damaged, empty, or no registry: such a file is left
// as it is. Beside it lies path+".lock", which says who has it.
func Open(path string) (*Store, error) {
	lock, err := acquire(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("cannot open registry %q: %w", path, err)
	}
	d, values, err := openDisk(path)
	if err != nil {
		lock.Close()
		return nil, err
	}
	s := &Store{
		path: path, log: logp.NewLogger("positions"), lock: lock,
		values: values, dirty: map[string]struct{}{}, disk: d,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go s.run()
	return s, nil
}

// acquire takes the lock file. The lock ends with the process; the file stays, because to remove it would let two
// processes hold locks on two files of one name.
func acquire(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		f.Close()
		return nil, ErrInUse
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot lock %q: %w", path, err)
	}
	return f, nil
}

// Get decodes the value of key into v and reports whether there is one.
func (s *Store) Get(key string, v any) (bool, error) {
	s.mu.Lock()
	raw, ok := s.values[key]
	s.mu.Unlock()
	if !ok {
		return false, nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return false, fmt.Errorf("cannot decode registry value %q: %w", key, err)
	}
	return true, nil
}

// Set gives key the value v, encoded as JSON. It is visible to Get at once and durable within about a second, or when a
// later Sync has returned.
func (s *Store) Set(key string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot encode registry value %q: %w", key, err)
	}
	if key == "" || len(key) > maxKey {
		return fmt.Errorf("cannot set registry value: the key has %d bytes, want 1 to %d", len(key), maxKey)
	}
	return s.change(key, raw)
}

// Delete removes key; a key that is not there is no error. It becomes durable as Set does.
func (s *Store) Delete(key string) error { return s.change(key, nil) }

func (s *Store) change(key string, raw []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if raw != nil {
		s.values[key] = raw
	} else if _, ok := s.values[key]; ok {
		delete(s.values, key)
	} else {
		return nil
	}
	s.dirty[key] = struct{}{}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// Range calls f with each key that begins with prefix and its JSON text, ordered by key, as they were when Range was
// called. raw must not be changed. An error of f ends it and is returned. f may call the other methods.
func (s *Store) Range(prefix string, f func(key string, raw []byte) error) error {
	type pair struct {
		key string
		raw []byte
	}
	var all []pair
	s.mu.Lock()
	for k, v := range s.values {
		if strings.HasPrefix(k, prefix) {
			all = append(all, pair{k, v})
		}
	}
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b pair) int { return strings.Compare(a.key, b.key) })
	for _, p := range all {
		if err := f(p.key, p.raw); err != nil {
			return err
		}
	}
	return nil
}

// Sync returns when everything set or deleted before the call is durable. After an error nothing is lost from memory:
// the write is tried again in the background, and by the next Sync.
func (s *Store) Sync() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.flush()
}

// flush writes what is dirty. The caller holds s.writing, so whoever comes second finds its own changes written.
func (s *Store) flush() error {
	s.mu.Lock()
	keys := s.dirty
	if len(keys) == 0 {
		s.mu.Unlock()
		return nil
	}
	s.dirty = map[string]struct{}{}
	batch := make([]change, 0, len(keys))
	for k := range keys {
		batch = append(batch, change{[]byte(k), s.values[k]})
	}
	s.mu.Unlock()
	failpoint.Sync("agent.positions.before")
	err := s.disk.write(batch)
	if err == nil {
		failpoint.Here("agent.positions.after")
		return nil
	}
	s.mu.Lock()
	for k := range keys {
		s.dirty[k] = struct{}{}
	}
	s.mu.Unlock()
	return fmt.Errorf("cannot write registry %q: %w", s.path, err)
}

// run writes changes in the background, several at a time, and keeps trying while the disk refuses.
func (s *Store) run() {
	defer close(s.done)
	delay, failing := flushDelay, false
	for {
		if !failing {
			select {
			case <-s.wake:
			case <-s.stop:
				return
			}
		}
		select {
		case <-time.After(delay):
		case <-s.stop:
			return
		}
		err := s.Sync()
		switch {
		case err != nil:
			if !failing {
				s.log.Errorf("%v; positions are kept in memory, and the write is tried again", err)
			}
			failing, delay = true, min(2*delay, maxDelay)
		case failing:
			s.log.Infof("registry %q is being written again", s.path)
			failing, delay = false, flushDelay
		}
	}
}

// Close writes what is not yet durable and gives the registry free. It returns the error of that last write; the Store is
// closed all the same. A second Close does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	close(s.stop)
	<-s.done
	s.writing.Lock()
	defer s.writing.Unlock()
	err := s.flush()
	return errors.Join(err, s.disk.close(), s.lock.Close())
}
