package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/storage"
	"github.com/tallylog/tally/server/tail"
)

// API answers questions.
type API struct {
	Store    storage.Store
	Hub      *tail.Hub
	Accounts Accounts
	Auth     *auth.Store
	Timeout  time.Duration // of one search
	// Rejected returns the dead letter that has a unit of a source: its id, who rejected it, and why; an empty id where there is
	// none. nil for no dead letters.
	Rejected func(ctx context.Context, src *admit.Source, tenant uint32, unit int64) (id, by, reason string, err error)
	Log      *slog.Logger
	// Elsewhere adds what other servers admit to a live tail until ctx is done; nil where there are none. It tells the names of those that do not
	// answer whenever they change, and closes begun when the others have begun, or have had a while to. missing does not block.
	Elsewhere func(ctx context.Context, w *tail.Watcher, who auth.Principal, query string, missing func([]string)) (begun <-chan struct{})
	// Stopping is closed when the server stops: live tails end then.
	Stopping <-chan struct{}

	searches, tails *gate
}

// Routes adds the handlers to mux; it is called once. Each handler demands that its principal may read.
func (a *API) Routes(mux *http.ServeMux) {
	a.searches, a.tails = searchGate(), tailGate()
	for pattern, h := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /api/v1/query":         a.query,
		"POST /api/v1/query":        a.query,
		"GET /api/v1/query/format":  a.format,
		"GET /api/v1/query/explain": a.explain,
		"GET /api/v1/context":       a.context,
		"GET /api/v1/export":        a.export,
		"GET /api/v1/count":         a.count,
		"GET /api/v1/hits":          a.hits,
		"GET /api/v1/stats":         a.stats,
		"GET /api/v1/fields":        a.fields,
		"GET /api/v1/values":        a.values,
		"GET /api/v1/tail":          a.tail,
		"GET /api/v1/sources":       a.sources,
		"GET /api/v1/sources/{id}":  a.source,
		"GET /api/v1/explain":       a.explainLine,
		"GET /api/v1/agents":        a.agents,
	} {
		mux.Handle(pattern, a.Auth.Require(auth.Read, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			err := h(w, r)
			if err == nil {
				return
			}
			err = searchError(err)
			var e *answer.Error
			if !errors.As(err, &e) && r.Context().Err() == nil {
				a.Log.Error("request failed", "path", r.URL.Path, "error", err)
			}
			answer.Fail(w, err)
		})))
	}
	for _, pattern := range []string{"GET /openapi.json", "GET /api/v1/openapi.json"} {
		mux.Handle(pattern, a.Auth.Require(auth.Enter, http.HandlerFunc(openAPI)))
	}
}

// request is a search that somebody asks for.
type request struct {
	params
	search storage.Search
	who    auth.Principal
	r      *http.Request
	ticket *ticket
}

// read reads the parameters of a search: query, start, end, and those known beside them.
func (a *API) read(w http.ResponseWriter, r *http.Request, known ...string) (*request, error) {
	p, err := readParams(w, r)
	if err != nil {
		return nil, err
	}
	q := &request{params: p, r: r}
	if err := p.known(append([]string{"query", "start", "end"}, known...)...); err != nil {
		return nil, err
	}
	q.who, _ = auth.FromContext(r.Context())
	q.search, err = p.search(r)
	return q, err
}

// begin waits for the search's turn, notes it in the audit log, and bounds its time. end must be called.
func (a *API) begin(q *request, action string) (ctx context.Context, end func(), err error) {
	if q.ticket, err = a.searches.ticket(q.r.Context(), q.search.Tenant); err != nil {
		return nil, nil, err
	}
	a.audit(q, action)
	ctx, cancel := context.WithTimeout(q.r.Context(), a.Timeout)
	return ctx, func() { cancel(); q.ticket.giveUp() }, nil
}

// audit notes what was asked. The text comes last: the log cuts what is too long.
func (a *API) audit(q *request, action string) {
	var b strings.Builder
	if t := q.search.Start; t != 0 {
		fmt.Fprintf(&b, "start=%s ", event.FormatTime(t))
	}
	if t := q.search.End; t != 0 {
		fmt.Fprintf(&b, "end=%s ", event.FormatTime(t))
	}
	for _, name := range []string{"id", "source", "name", "position", "time", "field", "fn", "by", "format"} {
		if v := q.Get(name); v != "" {
			fmt.Fprintf(&b, "%s=%.100q ", name, v)
		}
	}
	fmt.Fprintf(&b, "query=%q", q.Get("query"))
	a.Auth.Audit(q.who, auth.RemoteIP(q.r), action, b.String())
}

func (a *API) count(w http.ResponseWriter, r *http.Request) error {
	q, err := a.read(w, r)
	if err != nil {
		return err
	}
	ctx, end, err := a.begin(q, "query.count")
	if err != nil {
		return err
	}
	defer end()
	n, err := a.Store.Count(ctx, q.search)
	if err != nil {
		return err
	}
	answer.JSON(w, http.StatusOK, map[string]int64{"count": n})
	return nil
}

func (a *API) stats(w http.ResponseWriter, r *http.Request) error {
	q, err := a.read(w, r, "fn", "by", "top")
	if err != nil {
		return err
	}
	req := storage.StatsRequest{Search: q.search, By: q.list("by")}
	if req.Func, err = q.fn(); err != nil {
		return err
	}
	if req.Top, err = q.int("top", 0, 1); err != nil {
		return err
	}
	ctx, end, err := a.begin(q, "query.stats")
	if err != nil {
		return err
	}
	defer end()
	rows, err := a.Store.Stats(ctx, req)
	if err != nil {
		return err
	}
	name := req.Func.Name
	if req.Func.Field != "" {
		name += "(" + req.Func.Field + ")"
	}
	out := make([]map[string]any, len(rows))
	for i, row := range rows {
		m := map[string]any{}
		for j, f := range req.By {
			m[f] = row.By[j]
		}
		m[name] = number(row.Result)
		out[i] = m
	}
	answer.JSON(w, http.StatusOK, map[string]any{"rows": out})
	return nil
}

// number gives numbers as JSON numbers, other results as text, and none as null.
func number(s string) any {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && f-f == 0 {
		return f
	}
	if s == "" {
		return nil
	}
	return s
}

func (a *API) fields(w http.ResponseWriter, r *http.Request) error {
	q, err := a.read(w, r, "prefix")
	if err != nil {
		return err
	}
	ctx, end, err := a.begin(q, "query.fields")
	if err != nil {
		return err
	}
	defer end()
	list, err := a.Store.Fields(ctx, q.search)
	if err != nil {
		return err
	}
	prefix := q.Get("prefix")
	list = slices.DeleteFunc(list, func(n storage.NameCount) bool { return !strings.HasPrefix(n.Name, prefix) })
	answer.JSON(w, http.StatusOK, map[string]any{"fields": named(list, "name")})
	return nil
}

func (a *API) values(w http.ResponseWriter, r *http.Request) error {
	q, err := a.read(w, r, "field", "prefix", "limit")
	if err != nil {
		return err
	}
	field := q.Get("field")
	if field == "" {
		return bad("parameter", "the parameter field is missing")
	}
	limit, err := q.int("limit", 100, 1)
	if err != nil {
		return err
	}
	ctx, end, err := a.begin(q, "query.values")
	if err != nil {
		return err
	}
	defer end()
	list, err := a.Store.Values(ctx, q.search, field, q.Get("prefix"), min(limit, 10_000))
	if err != nil {
		return err
	}
	answer.JSON(w, http.StatusOK, map[string]any{"values": named(list, "value")})
	return nil
}

func named(list []storage.NameCount, key string) []map[string]any {
	out := make([]map[string]any, len(list))
	for i, n := range list {
		out[i] = map[string]any{key: n.Name, "count": n.Count}
	}
	return out
}
