package intake

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/record"
)

// Limits of a request.
type Limits struct {
	Body     int64 // bytes as sent
	Inflated int64 // bytes after decompression
	Line     int   // bytes of one event; a longer one is rejected
}

// DefaultLimits let a client send some hundred thousand lines at once.
var DefaultLimits = Limits{Body: 64 << 20, Inflated: 512 << 20, Line: 8 << 20}

// MaxWhole bounds, in bytes after decompression, a body that can only be read when all of it is in memory (protobuf, and JSON
// whose parts may come in any order).
const MaxWhole = 64 << 20

// Gate is what every HTTP room needs; the Handler of each room has these fields.
type Gate struct {
	Admit  Admitter
	Budget *Budget
	Limits Limits
	// Clean may change and drop events, but leaves their ID alone; nil for none.
	Clean func(*record.Batch)
	// Ready refuses the requests of a tenant that has sent too much; nil for none. limit.Limiter.Ready is one.
	Ready func(tenant uint32) error
	Wait  time.Duration // how long a request waits for space before it is told to come again
	Log   *slog.Logger
}

// Wrap lets only those requests through to a handler whose principal may do what is named; auth.Store.Require is one.
type Wrap func(auth.Action, http.Handler) http.Handler

// Request is one request under way: who sent it, until when it may wait, and what it holds of the budget.
type Request struct {
	Principal auth.Principal
	gate      *Gate
	ctx       context.Context
	cancel    context.CancelFunc
	share     *Share
	w         http.ResponseWriter
	r         *http.Request
}

// Begin begins a request of the principal in its context; End must follow. Without a principal the error is a 401, for a tenant
// that has sent too much what Ready says.
func (g *Gate) Begin(w http.ResponseWriter, r *http.Request) (*Request, error) {
	p, ok := auth.FromContext(r.Context())
	if !ok {
		return nil, answer.Errorf(http.StatusUnauthorized, "unauthorized", "credentials are missing")
	}
	if g.Ready != nil {
		if err := g.Ready(p.TenantID); err != nil {
			if r.Header.Get("Expect") == "" {
				// A client that is cut off while it sends would not see the answer. Reading on costs no memory.
				_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, g.Limits.Body))
			}
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), g.Wait)
	return &Request{Principal: p, gate: g, ctx: ctx, cancel: cancel, share: g.Budget.Share(), w: w, r: r}, nil
}

// End gives back what the request holds.
func (q *Request) End() {
	q.cancel()
	q.share.Release()
}

// Grow takes n more bytes of the budget until End, waiting for them.
func (q *Request) Grow(n int64) error { return q.share.Grow(q.ctx, n) }

// Refusal turns the error of a Request or a Batcher into what the client is told: an *answer.Error as it is; 503 with
// Retry-After where time ran out for want of space. Any other error is logged and stays what it is, which answer.Fail takes
// for a 500.
func (g *Gate) Refusal(r *http.Request, err error) error {
	var e *answer.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &answer.Error{Status: http.StatusServiceUnavailable, Code: "busy", RetryAfter: 5,
			Message: "the server could not store the events in time; send the same request again"}
	}
	if r.Context().Err() == nil {
		g.Log.Error("intake failed", "path", r.URL.Path, "error", err)
	}
	return err
}

// Busy tells whether a refusal is for now only, for want of space or over a limit, and in how many seconds to come again.
func Busy(err error) (retryAfter int, busy bool) {
	var e *answer.Error
	if !errors.As(err, &e) || e.Status != http.StatusServiceUnavailable && e.Status != http.StatusTooManyRequests {
		return 0, false
	}
	return e.RetryAfter, true
}
