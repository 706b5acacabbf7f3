package intaketest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/intake"
	"github.com/tallylog/tally/server/record"
)

// Admitter records what it admits, and refuses events by their identity as the real one does.
type Admitter struct {
	mu     sync.Mutex
	events []event.Event
	ids    map[string]bool
	// Room is how many batches there is space for; below 0 it is without end.
	Room int
}

// Admit waits, when there is no room, until ctx is done.
func (a *Admitter) Admit(ctx context.Context, b *record.Batch) (admit.Result, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.Room == 0 {
		<-ctx.Done()
		return admit.Result{}, ctx.Err()
	}
	a.Room--
	if a.ids == nil {
		a.ids = make(map[string]bool)
	}
	var res admit.Result
	keep := b.Events[:0]
	for i := range b.Events {
		e := &b.Events[i]
		e.ID = ledger.ArrivalID(1, uint64(len(a.events)))
		if e.Identity != "" {
			e.ID = ledger.IdentityID(b.Tenant, "", e.Identity)
			if a.ids[e.ID] {
				res.Duplicates++
				res.Known = append(res.Known, i)
				continue
			}
			a.ids[e.ID] = true
		}
		keep = append(keep, *e)
		a.events = append(a.events, *e)
	}
	b.Events = keep
	res.Accepted = len(keep)
	return res, nil
}

// Events are those recorded since the last call.
func (a *Admitter) Events() []event.Event {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := a.events
	a.events = nil
	return out
}

// Count is the number of events recorded since the last call of Events.
func (a *Admitter) Count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.events)
}

// Messages are the messages of Events, in their order.
func (a *Admitter) Messages() string {
	var out []string
	for _, e := range a.Events() {
		m, _ := e.Get(event.Message)
		out = append(out, m)
	}
	return strings.Join(out, " ")
}

// Server is a server of one room.
type Server struct {
	*httptest.Server
	*Admitter
	Gate intake.Gate
	// Who asks; the next request's principal.
	Who auth.Principal
	t   testing.TB
}

// Serve serves what register makes known. The limits are small: 1 MiB of body, 4 MiB inflated, 100,000 bytes of a line, 300 ms
// of waiting.
func Serve(t testing.TB, register func(g *intake.Gate, mux *http.ServeMux, wrap intake.Wrap)) *Server {
	t.Helper()
	s := &Server{Admitter: &Admitter{Room: -1}, Who: auth.Principal{Name: "token:t", Role: auth.RolePush}, t: t}
	s.Gate = intake.Gate{
		Admit: s.Admitter, Budget: intake.NewBudget(64 << 20), Limits: intake.Limits{Body: 1 << 20, Inflated: 4 << 20, Line: 100_000},
		Wait: 300 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	}
	mux := http.NewServeMux()
	register(&s.Gate, mux, func(a auth.Action, h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !s.Who.Allows(a) {
				answer.Fail(w, answer.Errorf(http.StatusForbidden, "forbidden", "the role may not do this"))
				return
			}
			h.ServeHTTP(w, r.WithContext(auth.NewContext(r.Context(), s.Who)))
		})
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// Do sends a request with headers given in pairs, and returns the answer with its body.
func (s *Server) Do(method, path string, body []byte, header ...string) (*http.Response, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp, string(b)
}

// Sample is the fenced block of that language in the README.md of the package under test.
func Sample(t testing.TB, language string) string {
	t.Helper()
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), fmt.Sprintf("```%s\n", language))
	text, _, end := strings.Cut(rest, "```")
	if !ok || !end {
		t.Fatalf("README.md has no block of %s", language)
	}
	return text
}
