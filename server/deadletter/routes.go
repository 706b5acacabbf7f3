package deadletter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/config"
)

// Handler answers under /api/v1/deadletters. Readers see the letters of their tenant and scope; operators and admins change them.
type Handler struct {
	Store *Store
	Auth  *auth.Store
	Way   Way
	Log   *slog.Logger
}

// Bounds of a list.
const (
	defaultLimit = 100
	mostLimit    = 10_000
)

// Routes adds the handlers to mux. The parameters of a filter are reason, stage, by, client, source, namespace, start and end.
//
//	GET    /api/v1/deadletters?limit=&cursor=      {"letters":[…],"cursor":text,"totals":{…}}, newest first
//	GET    /api/v1/deadletters/{id}                the letter with its event
//	POST   /api/v1/deadletters/replay              those of a filter, at least one of its parameters or all=true → Outcome
//	POST   /api/v1/deadletters/{id}/replay         one; with pipelines=false past the pipelines
//	DELETE /api/v1/deadletters                     those of a filter → {"dropped":n}
//	DELETE /api/v1/deadletters/{id}                one
func (h *Handler) Routes(mux *http.ServeMux) {
	for pattern, x := range map[string]struct {
		action auth.Action
		f      func(http.ResponseWriter, *http.Request) (any, error)
	}{
		"GET /api/v1/deadletters":              {auth.Read, h.list},
		"GET /api/v1/deadletters/{id}":         {auth.Read, h.get},
		"POST /api/v1/deadletters/replay":      {auth.Operate, h.replay},
		"POST /api/v1/deadletters/{id}/replay": {auth.Operate, h.replay},
		"DELETE /api/v1/deadletters":           {auth.Operate, h.drop},
		"DELETE /api/v1/deadletters/{id}":      {auth.Operate, h.drop},
	} {
		mux.Handle(pattern, h.Auth.Require(x.action, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			v, err := x.f(w, r)
			if err != nil {
				var e *answer.Error
				if !errors.As(err, &e) && r.Context().Err() == nil {
					h.Log.Error("request failed", "path", r.URL.Path, "error", err)
				}
				answer.Fail(w, err)
				return
			}
			answer.JSON(w, http.StatusOK, v)
		})))
	}
}

func bad(format string, args ...any) error {
	return answer.Errorf(http.StatusBadRequest, "parameter", format, args...)
}

// filterNames are the parameters of a filter.
var filterNames = []string{"reason", "stage", "by", "client", "source", "namespace", "start", "end"}

// filter reads the parameters of a request, narrowed to what its principal may touch.
func filter(r *http.Request, more ...string) (Filter, url.Values, error) {
	q := r.URL.Query()
	known := append(slices.Clone(filterNames), more...)
	for name := range q {
		if !slices.Contains(known, name) {
			return Filter{}, nil, bad("unknown parameter %.60q; known here are %s", name, strings.Join(known, ", "))
		}
	}
	who, _ := auth.FromContext(r.Context())
	f := Filter{
		Tenant: who.TenantID, Namespaces: who.Namespaces, Clusters: who.Clusters, ID: r.PathValue("id"), Stage: q.Get("stage"), By: q.Get("by"),
		Client: q.Get("client"), Source: q.Get("source"), Namespace: q.Get("namespace"), Reason: q.Get("reason"),
	}
	var err error
	if f.Start, err = moment(q, "start"); err != nil {
		return f, nil, err
	}
	f.End, err = moment(q, "end")
	return f, q, err
}

func moment(q url.Values, name string) (int64, error) {
	s := q.Get(name)
	if s == "" {
		return 0, nil
	}
	if ns, ok := event.ParseTime(s); ok {
		return ns, nil
	}
	if d, err := config.ParseDuration(strings.TrimPrefix(s, "-")); err == nil && s[0] == '-' {
		return time.Now().Add(-d).UnixNano(), nil
	}
	return 0, answer.Errorf(http.StatusBadRequest, "time", "%s %.60q is no time: write RFC 3339 (2026-01-02T15:04:05Z), milliseconds since 1970, or -1h", name, s)
}

func (h *Handler) list(_ http.ResponseWriter, r *http.Request) (any, error) {
	f, q, err := filter(r, "limit", "cursor")
	if err != nil {
		return nil, err
	}
	limit, cursor := defaultLimit, int64(0)
	if s := q.Get("limit"); s != "" {
		if limit, err = strconv.Atoi(s); err != nil || limit < 1 {
			return nil, bad("limit %.60q is no whole number of at least 1", s)
		}
	}
	if s := q.Get("cursor"); s != "" {
		if cursor, err = strconv.ParseInt(s, 10, 64); err != nil || cursor < 1 {
			return nil, bad("cursor %.60q is none that a list gave out", s)
		}
	}
	list, next, err := h.Store.List(r.Context(), f, min(limit, mostLimit), cursor)
	if err != nil {
		return nil, err
	}
	ans := map[string]any{"letters": append([]Entry{}, list...)}
	if next > 0 {
		ans["cursor"] = strconv.FormatInt(next, 10)
	}
	if who, _ := auth.FromContext(r.Context()); !who.Scoped() { // the totals are those of the whole tenant
		all, err := h.Store.Totals(r.Context())
		if err != nil {
			return nil, err
		}
		t := all[f.Tenant]
		t.MaxBytes = h.Store.o.MaxBytes
		ans["totals"] = t
	}
	return ans, nil
}

var errNone = answer.Errorf(http.StatusNotFound, "not_found", "there is no such dead letter; perhaps it was replayed or dropped")

func (h *Handler) get(_ http.ResponseWriter, r *http.Request) (any, error) {
	f, _, err := filter(r)
	if err != nil {
		return nil, err
	}
	list, _, err := h.Store.List(r.Context(), f, 1, 0)
	if err != nil {
		return nil, err
	}
	l, ok, err := h.Store.Get(r.Context(), f)
	if err != nil {
		return nil, err
	}
	if !ok || len(list) == 0 {
		return nil, errNone
	}
	return Shown{list[0], l.Event.AppendJSON(nil, nil)}, nil
}

// chosen refuses a change of everything that was not asked for.
func chosen(f Filter, q url.Values) error {
	if f.ID != "" || q.Get("all") == "true" {
		return nil
	}
	for _, name := range filterNames {
		if q.Get(name) != "" {
			return nil
		}
	}
	return bad("say which letters: one of %s, or all=true", strings.Join(filterNames, ", "))
}

// replayTime bounds a replay, whose caller may call again for the rest.
const replayTime = 5 * time.Minute

func (h *Handler) replay(w http.ResponseWriter, r *http.Request) (any, error) {
	f, q, err := filter(r, "all", "pipelines")
	if err != nil {
		return nil, err
	}
	if err := chosen(f, q); err != nil {
		return nil, err
	}
	way := h.Way
	switch q.Get("pipelines") {
	case "", "true":
	case "false":
		way.Clean = nil
	default:
		return nil, bad("pipelines is true or false")
	}
	if err := h.there(r, f); err != nil {
		return nil, err
	}
	h.audit(r, "deadletters.replay")
	ctx, cancel := context.WithTimeout(r.Context(), replayTime)
	defer cancel()
	o, err := h.Store.Replay(ctx, f, way)
	if err != nil && ctx.Err() != nil {
		h.Log.Warn("a replay of dead letters was cut short", "stored", o.Stored, "error", err)
		return nil, &answer.Error{Status: http.StatusServiceUnavailable, Code: "busy", RetryAfter: 5,
			Message: fmt.Sprintf("the store could not take all letters in time: %d are stored; the others are still here and may be replayed again", o.Stored)}
	}
	return o, err
}

// there answers for a single letter that is not.
func (h *Handler) there(r *http.Request, f Filter) error {
	if f.ID == "" {
		return nil
	}
	list, _, err := h.Store.List(r.Context(), f, 1, 0)
	if err == nil && len(list) == 0 {
		return errNone
	}
	return err
}

func (h *Handler) drop(_ http.ResponseWriter, r *http.Request) (any, error) {
	f, q, err := filter(r, "all")
	if err != nil {
		return nil, err
	}
	if err := chosen(f, q); err != nil {
		return nil, err
	}
	if err := h.there(r, f); err != nil {
		return nil, err
	}
	h.audit(r, "deadletters.drop")
	n, err := h.Store.Drop(r.Context(), f)
	return map[string]int64{"dropped": n}, err
}

func (h *Handler) audit(r *http.Request, action string) {
	who, _ := auth.FromContext(r.Context())
	h.Auth.Audit(who, auth.RemoteIP(r), action, strings.TrimPrefix(r.PathValue("id")+" "+r.URL.RawQuery, " "))
}
