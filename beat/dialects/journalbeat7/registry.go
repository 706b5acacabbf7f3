package journalbeat7

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/tallylog/tally/internal/durable"
)

// Registry is Journalbeat's state file (checkpoint.go of its source): YAML with one cursor for each path that an input reads. Its
// cursors are handed to inputs that begin to read, and what they acknowledge then is written back, so that Journalbeat
// could go on as well. It stands between the journald inputs and their store of positions.
//
// What must hold: the file is never ahead of the store, so that a cursor that is comes from Journalbeat itself.
type Registry struct {
	Store
	path string
	warn func(error)

	mu      sync.Mutex
	entries map[string]entry  // by Journalbeat's name of the path
	names   map[string]string // Journalbeat's names by ours
	changed bool
	failed  string // what was warned of last

	stop, stopped chan struct{}
}

// Store is where the inputs keep their positions; *positions.Store is one.
type Store interface {
	Get(key string, v any) (bool, error)
	Set(key string, v any) error
	Delete(key string) error
	Sync() error
	Range(prefix string, f func(key string, raw []byte) error) error
}

type state struct {
	UpdateTime time.Time `yaml:"update_time"`
	Entries    []entry   `yaml:"journal_entries"`
}

type entry struct {
	Path      string `yaml:"path"`
	Cursor    string `yaml:"cursor"`
	Realtime  uint64 `yaml:"realtime_timestamp"`
	Monotonic uint64 `yaml:"monotonic_timestamp"`
}

// flushEvery is how long an acknowledged cursor waits at most for being written: Journalbeat's own period.
const flushEvery = time.Second

// prefix is what the keys of journald inputs in the store begin with; then come the id of the input, where it has one, the path,
// and the journal, with two colons between them.
const prefix = "journald::"

// Open reads the registry at path; one that is not there is empty. A registry that cannot be read is an error, and left as it
// is. Where Journalbeat has moved on since this agent wrote, the store forgets its older positions. warn is told, once for each
// reason, that the file could not be written.
func Open(path string, store Store, warn func(error)) (*Registry, error) {
	r := &Registry{
		Store: store, path: path, warn: warn, entries: map[string]entry{}, names: map[string]string{},
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read Journalbeat's registry %q: %w", path, err)
	}
	if r.entries, err = parse(text); err != nil {
		return nil, fmt.Errorf("cannot use Journalbeat's registry %q, which stays as it is; without it reading begins at cursor_seek_fallback: %w", path, err)
	}
	for _, e := range r.entries {
		if err := r.catchUp(e); err != nil {
			return nil, err
		}
	}
	go r.run()
	return r, nil
}

// parse reads the text of a registry.
func parse(text []byte) (map[string]entry, error) {
	var s state
	entries := map[string]entry{}
	if len(text) == 0 {
		return entries, nil
	}
	if err := yaml.Unmarshal(text, &s); err != nil {
		return nil, err
	}
	if s.UpdateTime.IsZero() {
		return nil, errors.New("it has no update_time")
	}
	for _, e := range s.Entries {
		if e.Cursor == "" { // the path was opened, and nothing was read
			continue
		}
		if e.Path == "" {
			return nil, errors.New("an entry has no path")
		}
		if _, err := parseCursor(e.Cursor); err != nil {
			return nil, fmt.Errorf("entry %q: %w", e.Path, err)
		}
		entries[e.Path] = e
	}
	return entries, nil
}

// cursor has those parts of a journal's cursor, sd_journal_get_cursor(3), that are needed here.
type cursor struct {
	journal             string
	number              uint64
	realtime, monotonic uint64
}

func parseCursor(text string) (c cursor, err error) {
	for part := range strings.SplitSeq(text, ";") {
		name, value, _ := strings.Cut(part, "=")
		n, bad := strconv.ParseUint(value, 16, 64)
		switch name {
		case "s":
			c.journal = value
			continue
		case "i":
			c.number = n
		case "t":
			c.realtime = n
		case "m":
			c.monotonic = n
		default:
			continue
		}
		if bad != nil {
			return c, fmt.Errorf("cannot parse cursor %q: part %q", text, part)
		}
	}
	if len(c.journal) != 32 || c.number == 0 {
		return c, fmt.Errorf("cannot parse cursor %q: it names no entry of a journal", text)
	}
	return c, nil
}

// position is what is needed of what an input stores.
type position struct {
	Next   uint64 `json:"next"`
	Cursor string `json:"cursor"`
}

// catchUp makes the store forget what it has of a path where Journalbeat has read on: reading then begins behind its cursor.
func (r *Registry) catchUp(e entry) error {
	theirs, err := parseCursor(e.Cursor)
	if err != nil {
		return err
	}
	path, id, _ := strings.Cut(strings.TrimPrefix(e.Path, prefix), "::")
	key := prefix + path + "::"
	if id != "" {
		key = prefix + id + "::" + path + "::"
	}
	var keys []string
	newest := uint64(0)
	err = r.Range(key, func(key string, raw []byte) error {
		var p position
		if err := json.Unmarshal(raw, &p); err != nil {
			return fmt.Errorf("cannot decode position %q: %w", key, err)
		}
		keys = append(keys, key)
		if ours, err := parseCursor(p.Cursor); err == nil {
			newest = max(newest, ours.realtime)
		}
		if strings.HasSuffix(key, "::"+theirs.journal) && theirs.number < p.Next {
			newest = max(newest, theirs.realtime) // nothing new in the journal that they were at
		}
		return nil
	})
	if err != nil || len(keys) == 0 || theirs.realtime <= newest {
		return err
	}
	for _, k := range keys {
		if err := r.Delete(k); err != nil {
			return fmt.Errorf("cannot forget position %q: %w", k, err)
		}
	}
	return nil
}

// Cursor returns where Journalbeat had got to with a path of an input; "" where it has not read it. It is an option of the
// journald inputs, and tells by which name the path goes in the registry.
func (r *Registry) Cursor(id, path string) string {
	name, key := path, prefix+path
	if id != "" {
		name, key = prefix+path+"::"+id, prefix+id+"::"+path
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names[key] = name
	if e, ok := r.entries[name]; ok {
		return e.Cursor
	}
	return r.entries[path].Cursor // the input had no id yet
}

// Set stores a position, and notes its cursor for the registry.
func (r *Registry) Set(key string, v any) error {
	if err := r.Store.Set(key, v); err != nil {
		return err
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot encode position %q: %w", key, err)
	}
	var p position
	if err := json.Unmarshal(raw, &p); err != nil || p.Cursor == "" {
		return nil // no position, or none of an entry yet
	}
	c, err := parseCursor(p.Cursor)
	if err != nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	name, ok := r.names[strings.TrimSuffix(key, "::"+c.journal)]
	if !ok || c.realtime < r.entries[name].Realtime {
		return nil // of several journals of a path, the newest entry counts
	}
	r.entries[name] = entry{name, p.Cursor, c.realtime, c.monotonic}
	r.changed = true
	return nil
}

func (r *Registry) run() {
	defer close(r.stopped)
	t := time.NewTicker(flushEvery)
	defer t.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-t.C:
			r.flush()
		}
	}
}

// Close writes what is left. The store stays open.
func (r *Registry) Close() error {
	close(r.stop)
	<-r.stopped
	return r.write()
}

func (r *Registry) flush() {
	err := r.write()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.failed = ""
	} else if r.failed != err.Error() {
		r.failed = err.Error()
		r.warn(err)
	}
}

// write brings the file up to what is acknowledged, after the store.
func (r *Registry) write() error {
	r.mu.Lock()
	if !r.changed {
		r.mu.Unlock()
		return nil
	}
	s := state{UpdateTime: time.Now().UTC()}
	for _, e := range r.entries {
		s.Entries = append(s.Entries, e)
	}
	r.changed = false
	r.mu.Unlock()
	slices.SortFunc(s.Entries, func(a, b entry) int { return strings.Compare(a.Path, b.Path) })
	text, err := yaml.Marshal(s)
	if err == nil {
		err = r.Sync()
	}
	if err == nil {
		err = durable.Replace(r.path, text, 0o600)
	}
	if err != nil {
		r.mu.Lock()
		r.changed = true
		r.mu.Unlock()
		return fmt.Errorf("cannot write Journalbeat's registry %q: %w", r.path, err)
	}
	return nil
}
