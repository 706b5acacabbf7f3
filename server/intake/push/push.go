package push

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/internal/failpoint"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/intake"
	"github.com/tallylog/tally/server/record"
)

// maxRejected bounds the rejected lines named in an answer; all are counted.
const maxRejected = 10_000

// errControl rejects what tells of a source and is no line, where the sources are not the client's own.
var errControl = errors.New("a control record needs Tally-Positions: event")

// Handler takes POST /api/v1/push.
type Handler intake.Gate

// Rejected is a line that is not stored.
type Rejected struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

// Answer is the body of a 200.
type Answer struct {
	Accepted      int        `json:"accepted"`
	Duplicates    int        `json:"duplicates"`
	Rejected      []Rejected `json:"rejected"`
	RejectedCount int        `json:"rejected_count"`
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g := (*intake.Gate)(h)
	ans, err := push(g, w, r)
	if err != nil {
		answer.Fail(w, g.Refusal(r, err))
		return
	}
	failpoint.Here("push.answer.before")
	answer.JSON(w, http.StatusOK, ans)
	failpoint.Here("push.answer.after")
}

func push(g *intake.Gate, w http.ResponseWriter, r *http.Request) (*Answer, error) {
	in, err := g.Begin(w, r)
	if err != nil {
		return nil, err
	}
	defer in.End()
	q := &request{p: in.Principal, max: g.Limits.Line, out: in.Batcher(), ans: &Answer{Rejected: []Rejected{}}}
	if err := q.position(r.Header); err != nil {
		return nil, err
	}
	b, err := in.Body()
	if err != nil {
		return nil, err
	}
	if err := q.run(b); err != nil {
		return nil, err
	}
	q.ans.Accepted, q.ans.Duplicates = q.out.Accepted, q.out.Duplicates
	if q.scoped > 0 && q.ans.Accepted+q.ans.Duplicates == 0 && q.scoped == q.ans.RejectedCount {
		return nil, intake.ErrOutOfScope
	}
	return q.ans, nil
}

// request is one push under way.
type request struct {
	p      auth.Principal
	max    int // bytes of a line
	out    *intake.Batcher
	ans    *Answer
	own    bool // events have positions of their own
	source string
	from   int64
	n      int64 // events seen so far, rejected ones included
	scoped int   // rejected for their namespace
}

func (q *request) position(h http.Header) error {
	q.source = h.Get("Tally-Source")
	from := h.Get("Tally-From")
	bad := func(format string, args ...any) error {
		return answer.Errorf(http.StatusBadRequest, "position", format, args...)
	}
	switch positions := h.Get("Tally-Positions"); {
	case positions == "event" && q.source == "" && from == "":
		q.own = true
		return nil
	case positions != "" && positions != "event":
		return bad("Tally-Positions %.40q is not known; event is", positions)
	case positions != "":
		return bad("Tally-Positions: event and Tally-Source exclude each other")
	case q.source == "" && from == "":
		return nil
	}
	if q.source == "" || from == "" {
		return bad("Tally-Source and Tally-From go together")
	}
	var err error
	if q.from, err = strconv.ParseInt(from, 10, 64); err != nil {
		return bad("Tally-From %.40q is no number", from)
	}
	first := ledger.Position{Source: q.source, From: q.from, To: q.from + 1}
	if err := first.Validate(); err != nil {
		return bad("Tally-Source and Tally-From are no position: %v", err)
	}
	return nil
}

func (q *request) run(b *intake.Body) error {
	in, err := b.Reader()
	if err != nil {
		return err
	}
	defer in.Close()
	s := newSplitter(in, q.max)
	var d event.Decoder
	for {
		text, line, err := s.next()
		switch {
		case err == io.EOF:
			return q.out.Flush()
		case errors.Is(err, intake.ErrTooLong):
			q.reject(line, fmt.Sprintf("too_long: more than %d bytes", q.max))
			continue
		case err != nil:
			// The events before it are admitted, as they would be had the client sent them alone.
			if ferr := q.out.Flush(); ferr != nil {
				return ferr
			}
			return answer.Errorf(http.StatusBadRequest, "body", "%v, after %d events, which are stored", err, q.n)
		}
		e, err := d.Decode(text)
		if err == nil && e.Control != nil {
			if q.own {
				for _, n := range intake.ControlNotes(&e) {
					q.out.Note(n)
				}
				q.n++
				continue
			}
			err = errControl
		}
		if err == nil && !intake.InScope(q.p, &e) {
			q.scoped++
			err = errors.New(intake.OutOfScope)
			if q.own && e.HasPosition() {
				e.Position.Pieces(func(r ledger.Range) { q.lost(e.Position.Source, r, intake.OutOfScope) })
			}
		}
		if err != nil {
			q.reject(line, err.Error())
			continue
		}
		if !q.own {
			e.Position = ledger.Position{}
		}
		if q.source != "" {
			at := q.from + q.n
			e.Identity = ""
			e.Position = ledger.Position{Source: q.source, From: at, To: at + 1, Sum: strconv.FormatUint(xxhash.Sum64(text), 16)}
			if err := e.Position.Validate(); err != nil {
				return answer.Errorf(http.StatusBadRequest, "position", "event %d has no possible position: %v", q.n, err)
			}
		}
		q.n++
		if err := q.out.Add(e, len(text), 0); err != nil {
			return err
		}
	}
}

func (q *request) reject(line int, reason string) {
	q.ans.RejectedCount++
	if len(q.ans.Rejected) < maxRejected {
		q.ans.Rejected = append(q.ans.Rejected, Rejected{line, reason})
	}
	if q.source != "" {
		at := q.from + q.n
		q.lost(q.source, ledger.Range{From: at, To: at + 1}, reason)
	}
	q.n++
}

// lost tells the account that a range was rejected, and why.
func (q *request) lost(source string, r ledger.Range, why string) {
	if !strings.HasPrefix(why, intake.ErrTooLong.Error()) {
		why = "rejected: " + why
	}
	q.out.Note(record.Note{Kind: record.Lost, Source: source, Range: r, Text: why})
}
