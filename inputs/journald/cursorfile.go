package journald

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/elastic/beats/v7/libbeat/logp"

	"github.com/tallylog/tally/internal/durable"
)

// cursorFileConfig is the option cursor_file: the state of Journalbeat 5 (mheese), which is taken over and kept up, so that the
// old program can go on where this one has stopped.
type cursorFileConfig struct {
	// Path is the file, which holds nothing but the cursor of an entry.
	Path string `config:"path" validate:"required"`
	// Write says whether it is kept up, every FlushPeriod.
	Write       bool          `config:"write"`
	FlushPeriod time.Duration `config:"flush_period" validate:"min=0,nonzero"`
	// Pending is the file of entries that Journalbeat had read and for which it had no acknowledgement; they are shipped, and the
	// file is emptied then.
	Pending string `config:"pending"`
}

func defaultCursorFile() cursorFileConfig {
	return cursorFileConfig{Write: true, FlushPeriod: 5 * time.Second}
}

// foreignState is what another program has left.
type foreignState struct {
	cursor  cursor
	has     bool // there is a cursor
	done    bool // it was taken over
	pending map[id128]map[uint64]pendingEntry
}

// pendingEntry is an entry with the event that was made of it.
type pendingEntry struct {
	cursor cursor
	body   json.RawMessage
}

// maxPendingFile bounds what is read into memory of a file of pending entries.
const maxPendingFile = 1 << 30

// read reads both files; those that do not exist hold nothing. What cannot be understood is an error, and is left as it is: to
// begin elsewhere would lose entries, or ship them again. Without seek the cursor is not looked at.
func (c *cursorFileConfig) read(seek bool) (s foreignState, err error) {
	var text []byte
	if seek {
		text, err = os.ReadFile(c.Path)
	}
	switch {
	case !seek, errors.Is(err, os.ErrNotExist):
	case err != nil:
		return s, fmt.Errorf("cannot read the cursor state file %q: %w", c.Path, err)
	default:
		if s.cursor, err = entryCursor(strings.TrimSpace(string(text))); err != nil {
			return s, fmt.Errorf("cannot use the cursor state file %q, and leave it as it is; without it reading begins at cursor_seek_fallback: %w",
				c.Path, err)
		}
		s.has = true
	}
	if c.Pending == "" {
		return s, nil
	}
	f, err := os.Open(c.Pending)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		text, err = io.ReadAll(io.LimitReader(f, maxPendingFile))
		_ = f.Close()
	}
	if err != nil {
		return s, fmt.Errorf("cannot read the file of pending events %q: %w", c.Pending, err)
	}
	if s.pending, err = parsePending(text); err != nil {
		return s, fmt.Errorf("cannot use the file of pending events %q, and leave it as it is; without it these events are not shipped: %w",
			c.Pending, err)
	}
	return s, nil
}

// parsePending reads a JSON object with events by the cursors of their entries.
func parsePending(text []byte) (map[id128]map[uint64]pendingEntry, error) {
	var events map[string]json.RawMessage
	if err := json.Unmarshal(text, &events); err != nil {
		return nil, err
	}
	pending := map[id128]map[uint64]pendingEntry{}
	for text, body := range events {
		at, err := entryCursor(text)
		if err == nil && !bytes.HasPrefix(body, []byte("{")) {
			err = fmt.Errorf("the entry %q has no event", text)
		}
		if err != nil {
			return nil, err
		}
		if pending[at.seqID] == nil {
			pending[at.seqID] = map[uint64]pendingEntry{}
		}
		pending[at.seqID][at.seq] = pendingEntry{at, body}
	}
	return pending, nil
}

// entryCursor is parseCursor for cursors that other programs wrote: the number must be one that a journal can have.
func entryCursor(s string) (cursor, error) {
	c, err := parseCursor(s)
	if err == nil && (c.seq == 0 || c.seq >= 1<<62) {
		return c, fmt.Errorf("cannot use cursor %q: no entry has the number %d", s, c.seq)
	}
	return c, err
}

// cursorFile keeps the files up while an input runs. Its methods may be called from several goroutines.
type cursorFile struct {
	cursorFileConfig
	log *logp.Logger

	mu       sync.Mutex
	accounts []*account
	written  cursor
	emptied  bool           // the file of pending entries holds none
	unread   map[id128]bool // journals with pending entries that nobody has begun to read
	said     string
}

func newCursorFile(c cursorFileConfig, s foreignState, log *logp.Logger) *cursorFile {
	f := &cursorFile{cursorFileConfig: c, log: log, written: s.cursor, emptied: len(s.pending) == 0, unread: map[id128]bool{}}
	for id := range s.pending {
		f.unread[id] = true
	}
	return f
}

func (c *cursorFile) add(id id128, a *account) {
	c.mu.Lock()
	c.accounts = append(c.accounts, a)
	delete(c.unread, id)
	c.mu.Unlock()
}

// run flushes until stop is closed, and then once more.
func (c *cursorFile) run(stop <-chan struct{}) {
	t := time.NewTicker(c.FlushPeriod)
	defer t.Stop()
	for {
		select {
		case <-stop:
			c.flush()
			return
		case <-t.C:
			c.flush()
		}
	}
}

// flush brings the files up to what is acknowledged. That it cannot is said once for each reason, and tried again.
func (c *cursorFile) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.update()
	switch {
	case err == nil:
		c.said = ""
	case c.said != err.Error():
		c.said = err.Error()
		c.log.Errorf("%v", err)
	}
}

func (c *cursorFile) update() error {
	at, waiting := c.acknowledged()
	if c.Write && !at.seqID.isZero() && at != c.written {
		if err := durable.Replace(c.Path, []byte(at.String()), 0o600); err != nil {
			return fmt.Errorf("cannot write the cursor state file %q: %w", c.Path, err)
		}
		c.written = at
	}
	if !waiting && !c.emptied && len(c.unread) == 0 {
		if err := durable.Replace(c.Pending, []byte("{}\n"), 0o600); err != nil {
			return fmt.Errorf("cannot empty the file of pending events %q: %w", c.Pending, err)
		}
		c.emptied = true
	}
	return nil
}

// acknowledged finds the one cursor that stands for all journals, in the order of time in which libsystemd reads several: where all
// are acknowledged to their ends the latest of their cursors, else the earliest of those that are not. It is zero where there is
// none yet. waiting says that entries of the pending file are still to be acknowledged.
func (c *cursorFile) acknowledged() (at cursor, waiting bool) {
	var behind []cursor
	for _, a := range c.accounts {
		last, done, pending := a.reached()
		waiting = waiting || pending
		if !done {
			behind = append(behind, last)
		}
		if last.realtime > at.realtime {
			at = last
		}
	}
	for i, last := range behind {
		if i == 0 || last.realtime < at.realtime {
			at = last
		}
	}
	return at, waiting
}
