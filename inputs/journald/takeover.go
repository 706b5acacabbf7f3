package journald

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
)

// checkCursorFile finds out at start what would be found when reading begins.
func (c *config) checkCursorFile() error {
	state, err := c.CursorFile.read(c.Seek == seekCursor)
	if err != nil {
		return err
	}
	if c.Seek == seekCursor && c.CursorSeekFallback == seekNone && !state.has {
		return fmt.Errorf("cannot begin to read: there is no cursor state file %q, and cursor_seek_fallback is none: %w", c.CursorFile.Path, os.ErrNotExist)
	}
	return nil
}

// takeOver sets where reading begins if that is for the files of another program to say: at the first start, and when that program
// has gone further than this one since, because the operator went back to it for a while. p is the stored position, if it is known.
//
// The files are this program's own where they are not ahead of what is stored: only what is stored is written to them.
func (s *source) takeOver(p position, known bool, files []*file) (done bool, err error) {
	if known && s.cfg.Seek == seekTail && p.Read > p.Next {
		return s.unfinished(p, files)
	}
	f := &s.foreign
	var at uint64 // the number that the cursor says is next here, 0 for none
	if f.has && s.cfg.Seek == seekCursor {
		ahead, err := s.foreignAhead()
		if err != nil {
			return false, err
		}
		switch {
		case !ahead:
		case f.cursor.seqID == s.id:
			at = f.cursor.seq + 1
		default:
			s.log.Warnf("The cursor state file %q is of journal %s; this one is read from the same time on", s.cfg.CursorFile.Path, f.cursor.seqID)
			if at, err = s.firstAfter(f.cursor, files); err != nil {
				return false, err
			}
		}
	}
	if known && at <= p.Next && s.cfg.Seek == seekCursor {
		return false, nil
	}
	if s.next = at; f.has && f.cursor.seqID == s.id && at == f.cursor.seq+1 {
		s.last, s.check = f.cursor, true
	}
	if at == 0 {
		mode := s.cfg.Seek
		if mode == seekCursor {
			if mode = s.cfg.CursorSeekFallback; s.begun {
				mode = seekHead
			}
		}
		if err := s.place(mode, files); err != nil {
			return false, err
		}
		if mode == seekTail {
			s.lastBefore(files)
		}
	}
	s.hold(p, known, files)
	return true, s.account.begin(s.state())
}

// firstAfter finds where to go on behind the entry of another journal: libsystemd's order over several journals is that of time. The same
// entry may be here as well, copied from the journal in memory; others of its microsecond are not taken for it.
func (s *source) firstAfter(c cursor, files []*file) (uint64, error) {
	var tail uint64
	for _, file := range files {
		tail = max(tail, file.tail)
	}
	at, err := s.firstSince(c.realtime, files, tail)
	if err != nil || at > tail {
		return at, err
	}
	var paths []string
	for _, file := range files {
		if file.entries > 0 && file.tail >= at {
			paths = append(paths, file.path)
		}
	}
	r, err := s.opener(paths, place{seqID: s.id, seq: at})
	if err != nil {
		return 0, err
	}
	defer r.close()
	b, err := r.read()
	for len(b) > 0 && err == nil {
		var e entry
		if b, err = e.unpack(b); err != nil || e.realtime != c.realtime {
			break
		}
		if e.boot == c.boot && e.monotonic == c.monotonic {
			return e.seq + 1, nil
		}
	}
	return at, err
}

// toAdopt are the journals of the listing, and those of which nothing is left but pending entries of another program.
func (f *follower) toAdopt() map[id128][]*file {
	if len(f.foreign.pending) == 0 || len(f.cfg.Paths) > 1 {
		return f.listing.wanted
	}
	all := maps.Clone(f.listing.wanted)
	for id := range f.foreign.pending {
		if _, ok := all[id]; !ok {
			all[id] = nil
		}
	}
	return all
}

// taken is stored beside the positions: the cursor of the file when reading began last.
type taken struct {
	Cursor string `json:"cursor"`
}

func (f *follower) takenKey() string { return f.key + "::cursor" }

// foreignAhead tells whether the cursor of the file is behind the stored position in its journal, and is not the same as at the last start.
func (s *source) foreignAhead() (bool, error) {
	file := s.foreign.cursor
	var last taken
	var p position
	same, err := s.store.Get(s.takenKey(), &last)
	if err != nil || same && last.Cursor == file.String() {
		return false, err
	}
	known, err := s.store.Get(s.key+"::"+file.seqID.String(), &p)
	return err == nil && (!known || file.seq+1 > p.Next), err
}

// takenOver is called when the places are stored where reading begins; the second time in a run it does nothing. Journals that
// appear later are none that the other program has read.
func (f *follower) takenOver() {
	if f.foreign.done {
		return
	}
	f.foreign.done = true
	if f.foreign.has {
		f.foreign.has = false
		if err := f.store.Set(f.takenKey(), taken{f.foreign.cursor.String()}); err != nil {
			f.log.Errorf("Cannot store that the cursor state file is taken over: %v", err)
		}
	}
	if !f.begun {
		f.cursors.flush()
	}
}

// passed are numbers, from and up to, not including, to, that a source which begins at its tail passes over.
type passed struct{ from, to uint64 }

// unfinished makes a source that begins at its tail ship first what an earlier run had read and for which it had no acknowledgement; what
// came since is passed over; after a crash in the midst of it that is shipped, too. Journalbeat 5 had its pending queue for that.
func (s *source) unfinished(p position, files []*file) (done bool, err error) {
	s.resumeAt(p)
	s.pass.from = p.Read
	for _, f := range files {
		s.pass.to = max(s.pass.to, f.tail+1)
	}
	return true, nil
}

func (s *source) passOver(seq uint64) bool {
	if seq < s.pass.from || seq >= s.pass.to {
		return false
	}
	_, pending := s.foreign.pending[s.id][seq]
	return !pending
}

// noteRead stores, for unfinished, how far has been read. It is durable soon after.
func (s *source) noteRead() {
	if s.cfg.CursorFile == nil || s.cfg.Seek != seekTail {
		return
	}
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	if s.account.read != s.next {
		s.account.read = s.next
		s.account.try(s.account.stored)
	}
}

// hold notes the pending entries before the place as those still to be shipped, and all others before it as passed over.
func (s *source) hold(p position, known bool, files []*file) {
	var from uint64
	s.held = map[uint64]uint64{}
	was := map[uint64]bool{}
	if known {
		from = p.Next - min(p.Skipped, p.Next)
		for _, h := range p.Held {
			was[h.Seq] = true
			from = min(from, h.Seq-min(h.Skipped, h.Seq))
		}
	}
	pending := slices.Sorted(maps.Keys(s.foreign.pending[s.id]))
	if len(files) == 0 && len(pending) > 0 {
		s.next = max(s.next, pending[len(pending)-1]+1)
	}
	for _, seq := range pending {
		if seq >= s.next || known && seq < p.Next && !was[seq] {
			continue
		}
		s.held[seq] = seq - min(from, seq)
		s.account.hold(piece{Seq: seq, Skipped: s.held[seq]})
		from = seq + 1
	}
	s.skipped = s.next - min(from, s.next)
}

// follow begins to keep what the cursor file needs to know; pending are the entries of the pending file.
func (a *account) follow(pending map[uint64]pendingEntry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.trail.add(a.stored, a.held)
	a.pending = map[uint64]bool{}
	for _, h := range a.held {
		if _, ok := pending[h.Seq]; ok {
			a.pending[h.Seq] = true
		}
	}
}

// lastBefore finds the cursor of the entry before the place, so that it can be written to the file before any other is read.
func (s *source) lastBefore(files []*file) {
	for _, f := range files {
		if f.entries == 0 || f.tail+1 != s.next {
			continue
		}
		r, err := s.opener([]string{f.path}, place{seqID: s.id, seq: f.tail})
		if err != nil {
			continue
		}
		var e entry
		if b, err := r.read(); err == nil && len(b) > 0 {
			if _, err = e.unpack(b); err == nil && e.seq == f.tail {
				s.last, s.check = e.cursor, true
			}
		}
		r.close()
	}
}

// shipAbsent ships pending entries that no file has any more, as the other program left them.
func (s *source) shipAbsent(files []*file) {
	for _, seq := range slices.Sorted(maps.Keys(s.held)) {
		if !slices.ContainsFunc(files, func(f *file) bool { return f.covers(seq) }) && s.shipBody(seq, s.held[seq]) {
			delete(s.held, seq)
		}
	}
}

// shipBody publishes what the other program made of an entry; false where it left nothing. What this one makes of entries goes before
// it, as the names of its fields are those of the configuration.
func (s *source) shipBody(seq, skipped uint64) bool {
	p, ok := s.foreign.pending[s.id][seq]
	if !ok {
		return false
	}
	delete(s.held, seq)
	s.account.release(seq)
	fields, err := p.fields()
	if err != nil {
		s.log.Errorf("Cannot read the pending event of entry %d in journal %s: %v", seq, s.id, err)
		return false
	}
	event := beat.Event{Timestamp: time.UnixMicro(int64(p.cursor.realtime)), Fields: fields}
	tally := common.MapStr{
		"source": s.account.source, "from": int64(seq), "to": int64(seq + 1), "skipped": int64(skipped), "sum": strconv.FormatUint(p.cursor.xor, 16),
	}
	m := &mark{account: s.account, at: s.state(), skippedThen: s.skipped}
	s.publish(event, tally, m)
	if m.dropped {
		s.lost(Range{From: int64(seq), To: int64(seq + 1), Reason: Skipped, Skipped: int64(skipped)})
	}
	return true
}

// fields are those of the event, but for its time, which is that of the entry.
func (p *pendingEntry) fields() (common.MapStr, error) {
	fields := common.MapStr{}
	d := json.NewDecoder(bytes.NewReader(p.body))
	d.UseNumber()
	if err := d.Decode(&fields); err != nil {
		return nil, err
	}
	delete(fields, "@timestamp")
	if message, ok := fields["message"]; ok {
		fields["message"] = fmt.Sprint(message)
	}
	plainNumbers(fields)
	return common.NewGenericEventConverter(false).Convert(fields), nil
}

// plainNumbers makes integers and floats of the numbers of a JSON object, as processors expect them.
func plainNumbers(m map[string]any) {
	for k, v := range m {
		m[k] = plainNumber(v)
	}
}

func plainNumber(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if n, err := v.Float64(); err == nil {
			return n
		}
		return v.String()
	case map[string]any:
		plainNumbers(v)
		return common.MapStr(v)
	case []any:
		for i := range v {
			v[i] = plainNumber(v[i])
		}
	}
	return v
}

// trail remembers cursors of acknowledged entries for as long as one before them is held back.
type trail []cursor

func (t *trail) add(s state, held []piece) {
	if !s.last.seqID.isZero() {
		*t = append(*t, s.last)
	}
	first := s.next
	for _, h := range held {
		first = min(first, h.Seq)
	}
	for len(*t) > 1 && (*t)[1].seq < first {
		*t = (*t)[1:]
	}
}

// atEnd notes whether all that the files hold has been read, and up to which number.
func (a *account) atEnd(all bool, next uint64) {
	a.mu.Lock()
	a.readAll, a.readTo = all, next
	a.mu.Unlock()
}

// reached is the cursor of the last entry such that it and all before it are dealt with for good, zero where it is not known. done:
// nothing comes after it at present. pending: entries of the pending file are still held.
func (a *account) reached() (last cursor, done, pending bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	first := a.stored.next
	for _, h := range a.held {
		first = min(first, h.Seq)
		pending = pending || a.pending[h.Seq]
	}
	if len(a.trail) > 0 && a.trail[0].seq < first {
		last = a.trail[0]
	}
	return last, a.readAll && a.stored.next == a.readTo && len(a.held) == 0, pending
}

// readAll tells whether everything that the headers promise has been read.
func (s *source) readAll() bool {
	return s.next != 0 && !slices.ContainsFunc(s.listing.wanted[s.id], func(f *file) bool { return f.entries > 0 && f.tail >= s.next })
}
