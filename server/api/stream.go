package api

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/answer"
)

// The trailers of a streamed answer.
const (
	cursorTrailer = "Tally-Cursor"
	errorTrailer  = "Tally-Error"
)

const (
	flushEvery   = 200 * time.Millisecond // what was found is on its way after so long
	readerPause  = 100 * time.Millisecond // a reader that is slower gives its place among the searches up meanwhile
	readerAtMost = 30 * time.Second       // a reader that takes nothing for so long is gone
	turn         = 5000                   // rows, after which a search lets others go first
)

// stream writes events as they are found. The status goes out with the first of them.
type stream struct {
	w      http.ResponseWriter
	ctx    context.Context
	ticket *ticket
	// header sets the headers of the answer; open writes what stands before the first event.
	header func(http.Header)
	open   func(b []byte) []byte
	encode func(b []byte, e *event.Event) []byte
	gzip   bool
	abort  bool // a failure breaks the connection, for clients that cannot read trailers
	// pause and resume are called around waits that are not the store's; nil where nobody wants to know.
	pause, resume func()

	buf     *bufio.Writer // nil until the status is out
	packed  *gzip.Writer
	line    []byte
	rows    int
	flushed time.Time
}

// newStream makes a stream of NDJSON.
func newStream(w http.ResponseWriter, ctx context.Context, q *request) *stream {
	s := &stream{w: w, ctx: ctx, ticket: q.ticket, encode: ndjson(keep(q.list("fields")))}
	s.header = func(h http.Header) { h.Set("Content-Type", "application/x-ndjson") }
	return s
}

func ndjson(keep func(string) bool) func(b []byte, e *event.Event) []byte {
	return func(b []byte, e *event.Event) []byte { return append(e.AppendJSON(b, keep), '\n') }
}

// keep chooses the fields asked for; nil keeps all.
func keep(fields []string) func(string) bool {
	if len(fields) == 0 {
		return nil
	}
	set := make(map[string]bool, len(fields))
	for _, f := range fields {
		set[f] = true
	}
	return func(name string) bool { return set[name] }
}

// onError reads the parameter on_error; missing is what it means when it is not there.
func (p params) onError(missing string) (abort bool, err error) {
	v := p.Get("on_error")
	if v == "" {
		v = missing
	}
	if v != "trailer" && v != "abort" {
		return false, bad("parameter", "on_error %.60q is neither trailer nor abort", v)
	}
	return v == "abort", nil
}

func (s *stream) begin() {
	h := s.w.Header()
	s.header(h)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Add("Trailer", cursorTrailer)
	h.Add("Trailer", errorTrailer)
	var out io.Writer = slowWriter{s}
	if s.gzip {
		h.Set("Content-Encoding", "gzip")
		s.packed, _ = gzip.NewWriterLevel(out, gzip.BestSpeed) // the level is valid
		out = s.packed
	}
	s.w.WriteHeader(http.StatusOK)
	s.buf = bufio.NewWriterSize(out, 64<<10)
	s.flushed = time.Now()
	if s.open != nil {
		_, _ = s.buf.Write(s.open(nil)) // an error stays in buf
	}
}

// slowWriter writes to the client. The wait for it costs no place among the searches.
type slowWriter struct{ s *stream }

func (w slowWriter) Write(p []byte) (int, error) {
	s := w.s
	defer s.waiting()()
	_ = http.NewResponseController(s.w).SetWriteDeadline(time.Now().Add(readerAtMost)) // what cannot do so is no network
	given := make(chan struct{})
	timer := time.AfterFunc(readerPause, func() { s.ticket.giveUp(); close(given) })
	n, err := s.w.Write(p)
	if !timer.Stop() {
		<-given
		err = errors.Join(err, s.ticket.takeAgain(s.ctx))
	}
	return n, err
}

func (s *stream) write(e *event.Event) error {
	if s.buf == nil {
		s.begin()
	}
	if s.rows++; s.rows%turn == 0 {
		if err := s.letOthers(); err != nil {
			return err
		}
	}
	s.line = s.encode(s.line[:0], e)
	if _, err := s.buf.Write(s.line); err != nil {
		return err
	}
	if time.Since(s.flushed) > flushEvery {
		return s.flush()
	}
	return nil
}

// letOthers goes to the end of the line of those who search.
func (s *stream) letOthers() error {
	defer s.waiting()()
	s.ticket.giveUp()
	return s.ticket.takeAgain(s.ctx)
}

// waiting is called before a wait that is not the store's; what it returns, behind it.
func (s *stream) waiting() func() {
	if s.pause == nil {
		return func() {}
	}
	s.pause()
	return s.resume
}

func (s *stream) flush() error {
	s.flushed = time.Now()
	err := s.buf.Flush()
	if err == nil && s.packed != nil {
		err = s.packed.Flush()
	}
	if err == nil {
		err = http.NewResponseController(s.w).Flush()
	}
	return err
}

// end finishes the answer. Where nothing was written yet, err becomes an ordinary error answer. A cursor goes out with a
// partial answer too: what follows can be asked for from there.
func (s *stream) end(cursor string, err error) error {
	if s.buf == nil {
		if err != nil {
			return err
		}
		s.begin()
	}
	if err == nil {
		err = s.buf.Flush()
	}
	if err != nil {
		_ = s.flush()
		if s.abort {
			panic(http.ErrAbortHandler) // the server breaks the connection off; there is no other way to tell
		}
		msg := "internal error; the server's log has the reason"
		var e *answer.Error
		if errors.As(searchError(err), &e) {
			msg = e.Message
		}
		s.w.Header().Set(errorTrailer, msg)
	}
	if s.packed != nil {
		_ = s.packed.Close() // where it fails, the client is gone
	}
	_ = http.NewResponseController(s.w).SetWriteDeadline(time.Time{}) // the connection goes on to the next request
	if cursor != "" {
		s.w.Header().Set(cursorTrailer, cursor)
	}
	return nil
}
