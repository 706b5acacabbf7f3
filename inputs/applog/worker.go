package applog

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/elastic/beats/v7/libbeat/beat"
	"golang.org/x/sys/unix"

	"github.com/tallylog/tally/inputs/multiline"
)

// sliceLen is how many bytes of one source a worker reads before it turns to the next.
const sliceLen = 128 << 10

// worker reads the sources given to it, a slice of each in turn, and publishes their lines through a client of its own, so
// that the order in each source is kept.
type worker struct {
	in     *Input
	client beat.Client
	ready  *sync.Cond // on Input.mu: the queue has something, or the input stops
	queue  []*source

	// These belong to the worker's goroutine.
	buf     []byte
	parser  *parser // nil where lines are taken as they are
	spans   []span
	events  []span
	now     time.Time
	event   int  // which of the turn's events is being published
	dropped bool // a processor dropped the event just published
}

// run works until the input stops.
func (w *worker) run() {
	in := w.in
	for {
		in.mu.Lock()
		for len(w.queue) == 0 && !in.stopped {
			w.ready.Wait()
		}
		if in.stopped {
			in.mu.Unlock()
			return
		}
		s := w.queue[0]
		w.queue = w.queue[1:]
		file, rest, flush, cuts := s.file, s.rest, s.flush, s.rec.Cuts
		s.again, s.flush, s.atEnd = false, flushNone, false
		in.mu.Unlock()

		if rest {
			flush = flushAll
		}
		more := false
		if file != nil {
			more = w.turn(s, file, cuts, flush)
		}

		in.mu.Lock()
		if (more || s.again) && s.file != nil {
			w.queue = append(w.queue, s)
		} else {
			s.busy = false
			if s.file == nil || s.rest || in.crowded {
				in.signal()
			}
		}
		in.mu.Unlock()
	}
}

// turn reads one slice of s and publishes its lines. It returns false when there is nothing more to read for now.
func (w *worker) turn(s *source, file *os.File, cuts []int64, flush flushing) (more bool) {
	k := min(s.read, windowLen)
	buf := w.buf[:k+sliceLen]
	if s.want > sliceLen {
		buf = make([]byte, k+int64(min(s.want, w.in.cfg.maxParsed())))
	}
	n, err := file.ReadAt(buf, s.read-k)
	if err != nil && !errors.Is(err, io.EOF) {
		w.failed(s, err)
		return false
	}
	s.reported = ""
	if !s.unchanged(buf[:n], k) {
		w.in.detach(s, file)
		return false
	}
	data, eof := buf[k:n], n < len(buf)
	if hole := s.format.nuls(data); hole > 0 && hole == len(data)-len(data)%s.format.width {
		return w.skipHole(s, file, s.read+int64(hole))
	}
	spans, used := s.format.split(data, s.read, cuts, w.spans[:0])
	if w.parser != nil && (used > 0 || eof || len(data) < w.in.cfg.maxParsed()) {
		return w.parsedTurn(s, data, buf[:n], k, spans, used, cuts, flush, eof)
	}
	if used == 0 && !eof {
		if hole := s.format.nuls(data); hole > 0 {
			return w.skipHole(s, file, s.read+int64(hole))
		}
		return w.long(s, file, cuts, flush == flushAll)
	}
	half := int64(0)
	if m := w.in.cfg.Multiline; m != nil {
		spans, used, half = w.joinLines(s, m, data, cuts, spans, used, flush, eof)
	}
	if half == 0 && eof && used < len(data) {
		if end := s.read + int64(len(data)); flush < flushAll || !w.cutAt(s, end) {
			half = end
		} else {
			if sp, ok := s.format.line(data, used, len(data)); ok {
				spans = append(spans, sp)
			}
			used = len(data)
		}
	}
	if w.in.cfg.Multiline == nil {
		w.spans = spans
	}
	spans = w.in.wantedSpans(&s.format, data, spans)
	w.note(s, half)
	if used == 0 {
		s.atEnd = eof && len(data) == 0
		return false
	}
	t := &turn{source: s, from: s.read, fromSum: s.sum, to: s.read + int64(used), toSum: windowSum(buf[:int(k)+used])}
	t.ends = w.in.ends(s, s.read, spans)
	if !w.in.begin(t) {
		return false
	}
	w.publish(t, data[:used], spans)
	s.read, s.sum, s.scanned = t.to, t.toSum, 0
	s.atEnd = eof && used == len(data)
	return !eof
}

// joinLines makes events of lines. Lines of an event that may go on are not used, unless they are to be flushed or fill a slice: then
// their end is a cut. waits is the end of what is not used of data, 0 where nothing but half a line may stand there.
func (w *worker) joinLines(s *source, m *multiline.Config, data []byte, cuts []int64, lines []span, used int, flush flushing, eof bool) (
	events []span, to int, waits int64,
) {
	w.spans = lines
	events, open := joinSpans(m, &s.format, data, s.read, cuts, lines, w.events[:0])
	w.events = events
	if open == len(lines) {
		return events, used, 0
	}
	last := over(lines[open:])
	if flush > flushNone || len(events) == 0 && !eof {
		if w.cutAt(s, s.read+int64(last.to)) {
			w.events = append(events, last)
			return w.events, last.to, 0
		}
	}
	if len(events) > 0 {
		to = events[len(events)-1].to
	}
	if eof {
		waits = s.read + int64(len(data))
	}
	return events, to, waits
}

// unchanged says whether the bytes before the offset are those that were read. b begins k bytes before it. Where nothing has
// been read yet, the bytes that gave the source its name are compared.
func (s *source) unchanged(b []byte, k int64) bool {
	if k > 0 {
		return int64(len(b)) >= k && xxhash.Sum64(b[:k]) == s.sum
	}
	return len(b) >= s.rec.HeadLen && xxhash.Sum64(b[:s.rec.HeadLen]) == s.rec.Head
}

// windowSum hashes the last windowLen bytes of b, which reaches back at least so far or to the beginning of the file.
func windowSum(b []byte) uint64 { return xxhash.Sum64(b[max(0, len(b)-windowLen):]) }

// note keeps since when half a line, up to end, stands at the end of the file; 0 if none does.
func (w *worker) note(s *source, end int64) {
	w.in.mu.Lock()
	defer w.in.mu.Unlock()
	if end == 0 {
		s.partial = time.Time{}
		s.halfEnd = 0
		return
	}
	w.in.waits[s] = struct{}{}
	if s.partial.IsZero() || s.halfEnd != end {
		s.partial = time.Now()
	}
	s.halfEnd = end
}

// cutAt makes it durable that a line ends at end, so that a replay cuts there too. Without that nothing may be shipped.
func (w *worker) cutAt(s *source, end int64) bool {
	w.in.mu.Lock()
	s.rec.Cuts = append(s.rec.Cuts[:len(s.rec.Cuts):len(s.rec.Cuts)], end)
	w.in.save(s)
	w.in.mu.Unlock()
	if err := w.in.store.Sync(); err != nil {
		w.in.log.Errorf("the last line of %s waits: %v", s.rec.Path, err)
		w.in.mu.Lock()
		s.rec.Cuts = s.rec.Cuts[:len(s.rec.Cuts)-1]
		w.in.mu.Unlock()
		return false
	}
	return true
}

// failed says an error of reading once; the discoverer wakes the source again at the next rescan.
func (w *worker) failed(s *source, err error) {
	if errors.Is(err, os.ErrClosed) || s.reported == err.Error() {
		return
	}
	s.reported = err.Error()
	w.in.mu.Lock()
	w.in.waits[s] = struct{}{}
	w.in.mu.Unlock()
	w.in.log.Errorf("cannot read %q at offset %d, will try again: %v", s.rec.Path, s.read, err)
}

// skipHole jumps over bytes that are zero, from the offset on, to the next that is not. Zeros at the very end may still be
// written to (a writer may have reserved the space), so there it waits.
func (w *worker) skipHole(s *source, file *os.File, from int64) (more bool) {
	buf := w.buf[:sliceLen]
	for !w.in.isStopped() {
		// A file system without holes answers with the same offset.
		next, err := unix.Seek(int(file.Fd()), from, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return false
		}
		if err == nil {
			from = next - next%int64(s.format.width)
		}
		n, err := file.ReadAt(buf, from)
		if n < s.format.width || (err != nil && !errors.Is(err, io.EOF)) {
			return false
		}
		z := s.format.nuls(buf[:n])
		from += int64(z)
		if z < n-n%s.format.width {
			sum, ok := window(file, from)
			if !ok {
				return false
			}
			s.read, s.sum = from, sum
			return true
		}
	}
	return false
}

// long reads a line that is longer than a slice: first on to its end, then once more, no more of it than an event may
// hold.
func (w *worker) long(s *source, file *os.File, cuts []int64, flush bool) (more bool) {
	limit := int64(-1)
	for _, c := range cuts {
		if c > s.read {
			limit = c
			break
		}
	}
	buf := w.buf[:sliceLen]
	end, pos := int64(-1), max(s.scanned, s.read)
	for end < 0 && !w.in.isStopped() {
		n, err := file.ReadAt(buf, pos)
		if err != nil && !errors.Is(err, io.EOF) {
			w.failed(s, err)
			return false
		}
		i := s.format.newline(buf[:n], pos)
		switch {
		case limit >= 0 && limit <= pos+int64(n) && (i < 0 || limit < pos+int64(i)):
			end = limit
		case i >= 0:
			end = pos + int64(i)
		case n < len(buf):
			s.scanned = pos // what stands there may be half a code unit
			if !flush || !w.cutAt(s, pos+int64(n)) {
				w.note(s, pos+int64(n))
				return false
			}
			end = pos + int64(n)
		default:
			pos += int64(n)
		}
	}
	if end < 0 {
		return false
	}
	keep := min(end-s.read, int64(w.in.cfg.MaxBytes)+int64(len(s.format.nl)+len(s.format.cr)))
	text := make([]byte, keep)
	if _, err := file.ReadAt(text, s.read); err != nil && !errors.Is(err, io.EOF) {
		w.failed(s, err)
		return false
	}
	toSum, ok := window(file, end)
	if !ok {
		w.in.detach(s, file)
		return false
	}
	w.note(s, 0)
	t := &turn{source: s, from: s.read, fromSum: s.sum, to: end, toSum: toSum}
	sp, ok := s.format.line(text, 0, len(text))
	if ok {
		t.ends = []int64{end}
	}
	if !w.in.begin(t) {
		return false
	}
	if ok {
		w.now, w.event = time.Now(), 0
		w.ship(t, s.read+int64(sp.from), end, text[sp.from:], sp.text-sp.from)
	}
	s.read, s.sum, s.scanned = t.to, t.toSum, 0
	return true
}
