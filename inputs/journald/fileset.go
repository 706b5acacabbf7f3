package journald

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"
)

// stuckAfter is how long entries that a file's header promises may fail to come before they count as lost.
const stuckAfter = time.Second

// renewAfter is how many bytes of entries a reader gives before another takes its place. libsystemd keeps up to 64 windows of 8 MiB of
// the files mapped, and all that was read in them counts as the agent's memory.
const renewAfter = 32 << 20

// fileSet keeps a reader on the files of one source that are needed: those with entries that were not read yet, and those
// that grow.
type fileSet struct {
	open   opener
	r      reader
	opened []*file
	at     place // where r began, or is to begin
	given  int   // bytes that r gave
	bad    map[inode]unreadable

	retry    time.Time // not to try to open before
	failures int       // in a row, at the same number:
	failedAt uint64    // next, then
	stuck    struct {
		next, tail uint64
		since      time.Time
		reopened   bool
	}
}

// unreadable is a file that could not be read, as it was then.
type unreadable struct {
	header
	since time.Time
	why   string
}

func (fs *fileSet) close() {
	if fs.r != nil {
		fs.r.close()
		fs.r = nil
	}
}

// reopen makes the next read begin at the place, with the files that are needed then.
func (fs *fileSet) reopen(at place) {
	fs.close()
	fs.at = at
}

// renew makes the next read begin with another reader, where this one has given much.
func (fs *fileSet) renew(s *source) {
	if fs.given > renewAfter && s.next != 0 && !s.check {
		fs.reopen(s.resume())
	}
}

// read returns the next packed batch, empty at the end for now. errReopen: call again.
func (fs *fileSet) read(s *source) ([]byte, error) {
	if fs.r == nil {
		if len(fs.needed(s)) == 0 || time.Now().Before(fs.retry) {
			return nil, nil
		}
		ok, err := fs.openNeeded(s)
		if !ok || err != nil {
			fs.retry = time.Now().Add(s.cfg.Backoff)
			return nil, err
		}
	}
	b, err := fs.r.read()
	if err == nil {
		fs.given += len(b)
		return b, nil
	}
	s.metrics.failures.Inc()
	s.log.Warnf("Reading of journal %s failed at entry %d: %v", s.id, s.next, err)
	if fs.failedAt != s.next || fs.failures == 0 {
		fs.failedAt, fs.failures = s.next, 0
	}
	fs.failures++
	fs.reopen(s.resume())
	if fs.failures > 1 {
		fs.failures = 0
		if need := fs.needed(s); !fs.findCulprit(s) && len(need) > 0 {
			fs.setAside(s, need[0], err)
		}
	}
	return nil, errReopen
}

// needed lists the files to read now: those with entries at or after the place.
func (fs *fileSet) needed(s *source) (need []*file) {
	at := s.resume()
	for _, f := range s.listing.wanted[s.id] {
		if b, ok := fs.bad[f.inode]; ok {
			if b.tail == f.tail && b.entries == f.entries || time.Since(b.since) < stuckAfter {
				continue
			}
			delete(fs.bad, f.inode) // it grew: what is behind the damage may be readable
		}
		if f.entries > 0 && f.tail >= at.seq && f.tailTime >= at.realtime {
			need = append(need, f)
		}
	}
	return need
}

func (fs *fileSet) openAt(s *source, at place) (reader, error) {
	var paths []string
	for _, f := range fs.needed(s) {
		paths = append(paths, f.path)
	}
	if len(paths) == 0 {
		return nil, syscall.ENOENT
	}
	return fs.open(paths, at)
}

// openNeeded opens the needed files; false when there is none. Files are opened by name, and journald renames them, so the
// names are compared with what they stood for before and after.
func (fs *fileSet) openNeeded(s *source) (bool, error) {
	for range 10 {
		s.relist()
		need := fs.needed(s)
		if len(need) == 0 {
			return false, nil
		}
		paths := make([]string, len(need))
		for i, f := range need {
			paths[i] = f.path
		}
		r, err := fs.open(paths, fs.at)
		if err != nil {
			if errors.Is(err, errLibrary) {
				return false, err
			}
			if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM) {
				s.trouble(s.id.String(), fmt.Errorf("cannot open journal %s: %w", s.id, err))
				return false, nil
			}
			fs.findCulprit(s)
			continue
		}
		if slices.ContainsFunc(need, func(f *file) bool { return f.refresh() != nil }) {
			r.close()
			continue
		}
		s.well(s.id.String())
		fs.r, fs.opened, fs.given = r, need, 0
		s.metrics.opened.Inc()
		return true, nil
	}
	return false, nil
}

// findCulprit opens each needed file by itself and sets those aside that cannot be read at the place; true when one was
// found.
func (fs *fileSet) findCulprit(s *source) (found bool) {
	for _, f := range fs.needed(s) {
		r, err := fs.open([]string{f.path}, fs.at)
		if err == nil {
			_, err = r.read()
			r.close()
		}
		if err == nil || errors.Is(err, syscall.ENOENT) {
			continue
		}
		found = true
		if errors.Is(err, syscall.EPROTONOSUPPORT) {
			err = missingFeatures(fs.open, f)
		}
		fs.setAside(s, f, err)
	}
	return found
}

func (fs *fileSet) setAside(s *source, f *file, err error) {
	if fs.bad == nil {
		fs.bad = map[inode]unreadable{}
	}
	fs.bad[f.inode] = unreadable{f.header, time.Now(), err.Error()}
	s.complain(f.path, fmt.Errorf("cannot read journal %q any further: %w", f.path, err))
}

func (fs *fileSet) isBad(f *file) bool { _, ok := fs.bad[f.inode]; return ok }

// missing tells whether a file that is needed is not open. It looks at the directories again only if they have changed.
func (fs *fileSet) missing(s *source) bool {
	if s.watcher.changed(s.dirs) {
		s.relist()
	}
	for _, f := range fs.needed(s) {
		if !slices.ContainsFunc(fs.opened, func(o *file) bool { return o.inode == f.inode }) {
			return true
		}
	}
	return false
}

// explain is explain over the files that exist, or are still open though they were removed.
func (fs *fileSet) explain(s *source, lo, hi uint64) []segment {
	segs := fs.explainOnce(s, lo, hi)
	if slices.ContainsFunc(segs, func(g segment) bool { return g.reason != "" }) {
		s.relist() // the headers may be older than the entry
		segs = fs.explainOnce(s, lo, hi)
	}
	return segs
}

func (fs *fileSet) explainOnce(s *source, lo, hi uint64) []segment {
	wanted := slices.Clone(s.listing.wanted[s.id])
	for _, f := range fs.opened {
		if !slices.ContainsFunc(wanted, func(w *file) bool { return w.inode == f.inode }) {
			wanted = append(wanted, f)
		}
	}
	slices.SortStableFunc(wanted, byHead)
	segs := explain(lo, hi, wanted, s.listing.others[s.id], fs.isBad)
	if len(s.listing.bad) > 0 {
		// A file whose header cannot be read may hold numbers that no other has.
		for i := range segs {
			if segs[i].reason == Vacuumed {
				segs[i].reason = Corrupt
			}
		}
	}
	return segs
}

// salvage looks for an entry that can be read between the numbers lo and hi, after the one at lo could not: at growing
// distances from lo, then back to the first.
func (fs *fileSet) salvage(s *source, lo, hi uint64) (at uint64, ok bool) {
	probe := func(seq uint64) bool {
		r, err := fs.openAt(s, place{seqID: s.id, seq: seq})
		if err != nil {
			return false
		}
		defer r.close()
		var e entry
		b, err := r.read()
		if err != nil || len(b) == 0 {
			return false
		}
		if _, err = e.unpack(b); err != nil || e.seq < seq || e.seq >= hi {
			return false
		}
		at = e.seq
		return true
	}
	missed, step := uint64(0), uint64(1)
	for ; lo+step < hi && !probe(lo+step); step *= 2 {
		missed = step
	}
	if lo+step >= hi {
		return 0, false
	}
	for step-missed > 1 {
		if mid := missed + (step-missed)/2; probe(lo + mid) {
			step = mid
		} else {
			missed = mid
		}
	}
	return at, true
}

// atEnd is called when the reader has nothing for now; true when there may be more at once.
func (fs *fileSet) atEnd(s *source) bool {
	changed := s.watcher.changed(s.dirs)
	if changed {
		s.relist()
	} else {
		s.refresh(s.id)
	}
	if fs.r == nil && len(fs.needed(s)) > 0 {
		return !time.Now().Before(fs.retry)
	}
	if fs.r != nil && fs.missing(s) {
		fs.reopen(s.resume())
		return true
	}
	if changed && fs.r != nil && slices.ContainsFunc(fs.opened, func(o *file) bool { return !s.exists(o) }) {
		// All of it was read; closing gives the space of removed files back.
		fs.reopen(s.resume())
		fs.opened = nil
	}
	var tail, readable uint64
	for _, f := range s.listing.wanted[s.id] {
		if f.entries == 0 {
			continue
		}
		tail = max(tail, f.tail)
		if fs.isBad(f) || fs.r != nil {
			readable = max(readable, f.tail)
		}
	}
	if s.check && tail != 0 && tail < s.last.seq {
		s.check = false
		s.diverged("it ends at entry %d, and was read up to %d", tail, s.last.seq)
		fs.reopen(s.begin)
		return true
	}
	return fs.endStuck(s, readable)
}

// endStuck gives up entries that the headers promise but that do not come, after a second look with a new reader, and goes
// on behind them.
func (fs *fileSet) endStuck(s *source, tail uint64) bool {
	if s.next == 0 || tail < s.next {
		fs.stuck.next = 0
		return false
	}
	now := time.Now()
	if fs.stuck.next != s.next {
		fs.stuck.next, fs.stuck.tail, fs.stuck.since, fs.stuck.reopened = s.next, tail, now, false
		return false
	}
	if now.Sub(fs.stuck.since) < stuckAfter {
		return false
	}
	if !fs.stuck.reopened {
		fs.stuck.reopened, fs.stuck.since = true, now
		fs.reopen(s.resume())
		return true
	}
	end := fs.stuck.tail + 1
	s.damaged = true
	if at, ok := fs.salvage(s, s.next, end); ok {
		fs.reopen(place{seqID: s.id, seq: at})
		fs.stuck.next = 0
		return true
	}
	for _, g := range fs.explain(s, s.next, end) {
		if g.reason == "" {
			g.reason = Corrupt // the header says that the last of them exists
		}
		s.lost(Range{From: int64(g.from), To: int64(g.to), Reason: g.reason, Skipped: int64(s.skipped)})
		s.skipped = 0
	}
	s.loseHeld()
	s.next, s.check, s.damaged = end, false, false
	s.account.passed(s.state())
	fs.reopen(s.resume())
	return true
}
