package applog

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// resumeMissing is called after the first scan: what the registry knows, and no listed file continues, was renamed, copied or
// removed while the agent was stopped.
func (d *discoverer) resumeMissing() {
	for _, s := range d.sources {
		_, waits := d.waiting[s.rec.Path]
		if s.fresh && !s.foreign && s.orphan.IsZero() && !s.rec.Done && s.rec.Lost == "" && !waits && d.in.cfg.wants(s.rec.Path) {
			d.lose(s, "removed")
		}
	}
}

// identifyPending names the files that the first scan has found and the registry does not know.
func (d *discoverer) identifyPending() {
	d.scanning = false
	pending := slices.SortedFunc(maps.Keys(d.pending), func(a, b *handle) int { return strings.Compare(a.path, b.path) })
	for _, h := range pending {
		d.identify(h)
	}
}

// tick is called every second for what no event tells: time.
func (d *discoverer) tick(now time.Time) {
	for h := range d.detached {
		d.check(h, false)
		if d.over(h, now) {
			d.end(h)
		}
	}
	for h := range d.pending {
		if h.size > 0 && h.file != nil {
			d.check(h, false)
		}
	}
	d.endLines(now)
	d.retryWaiting()
	for s := range d.orphans {
		d.pursue(s, now)
	}
	d.unseen(now)
	if now.Sub(d.told) >= tellAfter/2 { // it goes over all sources
		d.told = now
		d.tellIdle(now)
	}
	d.observe(now)
	if now.Sub(d.upkeep) >= time.Hour {
		d.upkeep = now
		d.forgetOld(now)
	}
}

// retryWaiting opens the files that max_open_files kept closed, as far as there is room now.
func (d *discoverer) retryWaiting() {
	for path := range d.waiting {
		delete(d.waiting, path)
		if n := d.dirs[filepath.Dir(path)]; n != nil {
			d.name(n, filepath.Base(path))
		}
		if _, still := d.waiting[path]; still {
			break
		}
	}
	d.in.mu.Lock()
	d.in.crowded = len(d.waiting) > 0
	d.in.mu.Unlock()
}

// endLines ships what has stood behind the last newline for long, and wakes what could not be read.
func (d *discoverer) endLines(now time.Time) {
	d.in.mu.Lock()
	defer d.in.mu.Unlock()
	for s := range d.in.waits {
		h := s.handle
		if s.busy {
			continue
		}
		if h == nil || s.file == nil || s.partial.IsZero() && s.reported == "" {
			delete(d.in.waits, s) // a worker puts it back
			continue
		}
		m, waited := d.in.cfg.Multiline, now.Sub(s.partial)
		if !s.partial.IsZero() && waited >= d.patience(h) {
			s.flush = flushAll
			d.toWake = append(d.toWake, s)
		} else if !s.partial.IsZero() && m != nil && waited >= m.Timeout {
			s.flush = flushEvent
			d.toWake = append(d.toWake, s)
		} else if s.reported != "" {
			d.toWake = append(d.toWake, s)
		}
	}
}

// done says whether all that a file holds now is read and acknowledged.
func (d *discoverer) done(h *handle) bool {
	if h.src == nil {
		return h.copied
	}
	d.in.mu.Lock()
	defer d.in.mu.Unlock()
	s := h.src
	return !s.busy && s.atEnd && len(s.turns) == 0 && s.partial.IsZero() && s.read >= h.size
}

// over says whether a file that is not listed any more needs not be kept open: all its bytes are acknowledged, and its writer
// seems to have let go of it.
func (d *discoverer) over(h *handle, now time.Time) bool {
	if h.file == nil {
		return true
	}
	if h.src == nil && h.size > 0 && !h.copied {
		return false
	}
	keep := renamedKeep
	if h.gone {
		keep = removedKeep
	}
	return now.Sub(h.active) >= keep && (h.src == nil || d.done(h))
}

// end closes a file that is over. Of a removed one the source has ended.
func (d *discoverer) end(h *handle) {
	s, gone := h.src, h.gone
	d.forget(h)
	if s != nil && gone {
		d.finish(s, "")
	}
}

// closeIdle closes the least recently written of the listed files that are read and acknowledged to their ends, an eighth of
// what may be open at a time. They are opened again when they grow.
func (d *discoverer) closeIdle() bool {
	var idle []*handle
	for _, h := range d.byInode {
		if h.file != nil && h.listed && !h.gone && d.done(h) {
			idle = append(idle, h)
		}
	}
	slices.SortFunc(idle, func(a, b *handle) int { return a.active.Compare(b.active) })
	for _, h := range idle[:min(len(idle), max(1, d.in.cfg.MaxOpenFiles/8))] {
		if h.src != nil {
			d.in.mu.Lock()
			h.src.file = nil
			d.in.mu.Unlock()
		}
		d.closeFile(h.file)
		h.file = nil
	}
	return len(idle) > 0
}

// forgetOld drops the records of files that have not been there for long, and refreshes those of the others.
func (d *discoverer) forgetOld(now time.Time) {
	d.in.mu.Lock()
	defer d.in.mu.Unlock()
	for name, s := range d.sources {
		if _, orphan := d.orphans[s]; s.handle != nil || orphan {
			d.in.save(s)
			continue
		}
		if now.Sub(time.Unix(s.rec.Seen, 0)) < forgetAfter {
			continue
		}
		delete(d.sources, name)
		delete(d.in.waits, s)
		delete(d.in.untold, s)
		same := func(o *source) bool { return o == s }
		d.byIno[s.rec.Inode] = slices.DeleteFunc(d.byIno[s.rec.Inode], same)
		if len(d.byIno[s.rec.Inode]) == 0 {
			delete(d.byIno, s.rec.Inode)
		}
		k := headKey{filepath.Dir(s.rec.Path), s.rec.Head}
		d.byHead[k] = slices.DeleteFunc(d.byHead[k], same)
		if len(d.byHead[k]) == 0 {
			delete(d.byHead, k)
		}
		if err := d.in.store.Delete(keyPrefix + name); err != nil {
			d.in.log.Errorf("cannot delete the position of %q: %v", s.rec.Path, err)
		}
	}
}

// closeAll closes every file. The workers have ended.
func (f *files) closeAll() {
	for _, h := range f.byInode {
		if h.file != nil {
			_ = h.file.Close()
		}
	}
	for s := range f.orphans {
		if s.file != nil {
			_ = s.file.Close()
		}
	}
}
