package journald

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/logp"
)

// follower reads one path of an input: it lists the files, keeps a source for each journal among them, and lets them read in
// turn. It is used by one goroutine.
type follower struct {
	ctx      context.Context
	cfg      *config
	log      *logp.Logger
	client   beat.Client
	store    Positions
	metrics  *metrics
	report   func(Range)
	controls bool
	hostID   string
	opener   opener
	watch    func() *watcher
	path     string
	key      string // of the path in the store; those of its sources begin with it
	where    location
	takeover string // see Options.Cursor
	foreign  foreignState
	cursors  *cursorFile // nil without the option cursor_file

	watcher *watcher
	dirs    []string
	listing listing
	listed  time.Time
	sources map[id128]*source
	order   []*source
	flushes flushes
	begun   bool // the path was read before: journals that are new in it are read from their head
	said    map[string]string
	stuck   map[string]string // what keeps reading from going on at present
	seen    seen
}

// begun is stored under the key of the path once the places are stored where reading of its journals began.
type begun struct {
	At time.Time `json:"at"`
}

// run reads until ctx ends. An error means that the path cannot be read at all.
func (f *follower) run() error {
	f.watcher = f.watch()
	defer f.watcher.close()
	f.sources, f.said, f.stuck = map[id128]*source{}, map[string]string{}, map[string]string{}
	defer func() {
		for _, s := range f.order {
			s.files.close()
		}
	}()
	var b begun
	known, err := f.store.Get(f.key, &b)
	if err != nil {
		f.log.Warnf("Positions of %q cannot be read, reading begins anew: %v", f.key, err)
	}
	f.begun = known && f.cfg.Seek == seekCursor
	f.flushes.restore(f)
	f.relist()
	if len(f.listing.wanted) == 0 {
		f.log.Warnf("There is no journal in %v yet; it is read when one appears", f.dirs)
	}
	for f.ctx.Err() == nil {
		err := f.adopt()
		if err == nil && !known {
			if err = errors.Join(f.store.Set(f.key, begun{time.Now()}), f.store.Sync()); err == nil {
				known = true
			}
		}
		if errors.Is(err, errLibrary) {
			return err
		}
		if err != nil {
			// Nothing is shipped of a journal before it is known where its reading began.
			f.trouble(f.key, fmt.Errorf("cannot begin to read: %w", err))
			f.observe(time.Now())
			f.pause(f.cfg.Backoff)
			f.relist()
			continue
		}
		f.well(f.key)
		if f.cursors != nil {
			f.takenOver()
		}
		f.begun = true
		more := false
		for _, s := range f.order {
			m, err := s.step()
			if err != nil {
				return err
			}
			more = more || m
		}
		f.observe(time.Now())
		if !more {
			f.pause(recheck)
		}
		if time.Since(f.listed) > rescan {
			f.relist()
		}
	}
	return nil
}

// pause returns when something has changed in the directories, or d has passed.
func (f *follower) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-f.ctx.Done():
	case <-f.watcher.wake:
	case <-t.C:
	}
}

// relist looks at the directories again.
func (f *follower) relist() {
	f.dirs = f.where.dirs()
	f.watcher.watch(f.dirs)
	f.watcher.changed(f.dirs) // what changed before the listing is in the listing
	f.listing, f.listed = f.where.list(), time.Now()
	for path, err := range f.listing.bad {
		// A file that was created this moment has no header yet; it has one when it is listed again.
		if was, ok := f.said[path]; ok && was == "" {
			f.complain(path, err)
		} else if !ok {
			f.said[path] = ""
		}
	}
}

// complain says what is wrong with a file, once for each reason.
func (f *follower) complain(path string, err error) {
	if f.said[path] != err.Error() {
		f.said[path] = err.Error()
		f.log.Errorf("%v", err)
	}
}

// trouble notes what keeps reading from going on, until it is well.
func (f *follower) trouble(key string, err error) {
	f.complain(key, err)
	f.stuck[key] = err.Error()
}

func (f *follower) well(key string) {
	if _, ok := f.stuck[key]; ok {
		delete(f.stuck, key)
		delete(f.said, key)
	}
}

// refresh reads the headers again of a journal's files that may have grown.
func (f *follower) refresh(id id128) {
	for _, file := range f.listing.wanted[id] {
		if !file.archived {
			_ = file.refresh() // a file that has gone or was renamed is what the watcher tells of
		}
	}
}

func (f *follower) exists(o *file) bool {
	for _, file := range f.listing.wanted[o.seqID] {
		if file.inode == o.inode {
			return true
		}
	}
	return false
}

// adopt begins to read journals that are new. Where that is, is stored durably before anything of them is shipped.
func (f *follower) adopt() error {
	for id, files := range f.toAdopt() {
		if _, ok := f.sources[id]; ok {
			continue
		}
		s := &source{follower: f, id: id, convert: newConverter(f.cfg), log: f.log.With("journal", id.String())}
		s.files.open = f.opener
		s.account = &account{
			key: f.key + "::" + id.String(), store: f.store, source: sourceName(f.hostID, id),
			fail: func(err error) { s.log.Errorf("Cannot store the position in journal %s: %v", id, err) },
		}
		s.account.volatile = slices.ContainsFunc(files, func(file *file) bool { return f.where.volatile(file.path) })
		if err := s.restore(files); err != nil {
			return fmt.Errorf("cannot find and store a place in journal %s: %w", id, err)
		}
		s.files.at = s.resume()
		f.sources[id] = s
		f.order = append(f.order, s)
		if f.cursors != nil {
			s.account.follow(f.foreign.pending[id])
			f.cursors.add(id, s.account)
		}
		s.shipAbsent(files)
	}
	return nil
}

// sourceName names the journal in the ledger.
func sourceName(hostID string, id id128) string {
	h := sha256.Sum256(bytes.Join([][]byte{[]byte(hostID), id[:]}, []byte{0}))
	return "journal:" + hex.EncodeToString(h[:16])
}

// restore sets where reading begins: at the stored position, else where the configuration says. What lies before the place
// where a source is first read counts as passed over.
func (s *source) restore(files []*file) error {
	var p position
	known, err := s.store.Get(s.account.key, &p)
	if err != nil {
		s.log.Warnf("The position cannot be read, reading begins anew: %v", err)
		known = false
	}
	if known && p.Source != "" {
		s.account.source = p.Source
	}
	if s.cfg.CursorFile != nil {
		if done, err := s.takeOver(p, known, files); done || err != nil {
			return err
		}
	}
	if known && s.cfg.Seek == seekCursor {
		s.resumeAt(p)
		return nil
	}
	mode := s.cfg.Seek
	if mode == seekCursor {
		if mode = s.cfg.CursorSeekFallback; s.begun {
			mode = seekHead
		}
	}
	if err := s.place(mode, files); err != nil {
		return err
	}
	s.skipped = s.next
	if known && p.Next <= s.next {
		s.skipped = s.next - p.Next + p.Skipped
	}
	return s.account.begin(s.state())
}

// resumeAt goes on from a stored position.
func (s *source) resumeAt(p position) {
	s.next, s.skipped, s.cut = p.Next, p.Skipped, maps.Clone(p.Cut)
	if c, err := parseCursor(p.Cursor); err == nil && c.seqID == s.id {
		s.last, s.check = c, true
		if p.Volatile {
			s.memory = c
		}
	}
	s.held = map[uint64]uint64{}
	for _, h := range p.Held {
		s.held[h.Seq] = h.Skipped
		s.account.hold(h)
	}
	s.account.cuts = p.Cut
	s.account.stored, s.account.held = s.state(), p.Held
}

// place finds the number that reading begins at.
func (s *source) place(mode string, files []*file) error {
	var head, tail uint64
	for _, f := range files {
		if f.entries > 0 && (head == 0 || f.head < head) {
			head = f.head
		}
		tail = max(tail, f.tail)
	}
	if head == 0 {
		head = tail + 1
	}
	taken, err := parseCursor(s.takeover)
	switch {
	case s.cfg.Seek == seekCursor && !s.begun && err == nil && taken.seqID == s.id:
		s.next, s.last, s.check = taken.seq+1, taken, true
		return nil
	case s.cfg.Seek == seekCursor && !s.begun && err == nil:
		// Another journal of the path: libsystemd's order over journals is that of time.
		s.next, err = s.firstSince(taken.realtime+1, files, tail)
		return err
	case mode == seekSince:
		s.next, err = s.firstSince(uint64(max(1, s.cfg.since.UnixMicro())), files, tail)
		return err
	case mode == seekTail:
		s.next = tail + 1
	default:
		s.next = head
	}
	return nil
}

// firstSince returns the number of the first entry at or after the time, or the one behind the last.
func (s *source) firstSince(realtime uint64, files []*file, tail uint64) (uint64, error) {
	var paths []string
	for _, f := range files {
		if f.entries > 0 && f.tailTime >= realtime {
			paths = append(paths, f.path)
		}
	}
	if len(paths) == 0 {
		return tail + 1, nil
	}
	r, err := s.opener(paths, place{realtime: realtime})
	if err != nil {
		return 0, err
	}
	defer r.close()
	b, err := r.read()
	if err != nil || len(b) == 0 {
		return tail + 1, err
	}
	var e entry
	_, err = e.unpack(b)
	return e.seq, err
}
