package storageapi

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/config"
	"github.com/tallylog/tally/server/retention"
	"github.com/tallylog/tally/server/storage"
)

// Handler answers under /api/v1/storage.
type Handler struct {
	Type       string // of the store
	Store      storage.Store
	Keeper     *retention.Keeper // nil where the store removes by itself
	Auth       *auth.Store
	TenantName func(uint32) string
	Timeout    time.Duration
	Wait       time.Duration // for a count of all rows, before an answer goes without it; 0 means 5 s
	Log        *slog.Logger

	mu       sync.Mutex
	parts    []storage.Partition // as counted last
	at       time.Time
	counting chan struct{} // closed when the count under way ends; nil without one
}

// Class is a class of retention and what lies there.
type Class struct {
	Name    string  `json:"name"`
	Age     float64 `json:"age_days"` // 0: no bound
	Size    int64   `json:"max_bytes"`
	Rows    int64   `json:"rows"`
	Bytes   int64   `json:"bytes"`
	Oldest  string  `json:"oldest_day,omitempty"`
	Newest  string  `json:"newest_day,omitempty"`
	Removed int64   `json:"removed_rows"` // in the history of removals
}

// Use is what a namespace of a tenant has; bytes are estimated from the rows.
type Use struct {
	Tenant    string `json:"tenant"`
	Namespace string `json:"namespace"`
	Rows      int64  `json:"rows"`
	Bytes     int64  `json:"bytes"`
}

// Part is a partition in a list.
type Part struct {
	Name   string     `json:"name"`
	Class  string     `json:"class"`
	Day    string     `json:"day"`
	Rows   int64      `json:"rows"`
	Bytes  int64      `json:"bytes"`
	Reason string     `json:"reason,omitempty"` // of a plan: age or size
	At     *time.Time `json:"at,omitempty"`     // of a plan: when it is removed
	Shares []Use      `json:"shares,omitempty"` // of a plan
}

// Routes adds the handlers to mux.
//
//	GET /api/v1/storage         {"type","rows","bytes",…,"classes":[…],"usage":[…],"partitions":[…],"removed":[…]}
//	GET /api/v1/storage/plan    ?until=7d {"until","rows","bytes","removals":[…]}, soonest first
func (h *Handler) Routes(mux *http.ServeMux) {
	for pattern, f := range map[string]func(context.Context, *http.Request) (any, error){
		"GET /api/v1/storage":      h.storage,
		"GET /api/v1/storage/plan": h.plan,
	} {
		mux.Handle(pattern, h.Auth.Require(auth.Operate, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), h.Timeout)
			defer cancel()
			v, err := f(ctx, r)
			if err != nil {
				if ctx.Err() == context.DeadlineExceeded {
					err = answer.Errorf(http.StatusGatewayTimeout, "timeout", "the store did not answer within %v", h.Timeout)
				}
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

// How long a count of all rows serves the next request, and may take.
const (
	fresh   = 15 * time.Second
	longest = 10 * time.Minute
)

// partitions lists all partitions; nil where the store has none. Shares are counted beside the request, and only days that are new or not
// over have to be: where that takes longer than a request should, those of the last count are given, or none, and counting is true.
func (h *Handler) partitions(ctx context.Context) (parts []storage.Partition, counting bool, err error) {
	p, ok := h.Store.(storage.Partitioned)
	if !ok {
		return nil, false, nil
	}
	h.mu.Lock()
	if !h.at.IsZero() && time.Since(h.at) < fresh {
		defer h.mu.Unlock()
		return h.parts, false, nil
	}
	done := h.counting
	if done == nil {
		done = make(chan struct{})
		h.counting = done
		go h.count(p, done)
	}
	h.mu.Unlock()
	wait := h.Wait
	if wait == 0 {
		wait = 5 * time.Second
	}
	begun := time.Now()
	select {
	case <-done:
	case <-time.After(wait):
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	h.mu.Lock()
	parts, at := h.parts, h.at
	h.mu.Unlock()
	if at.After(begun) {
		return parts, false, nil
	}
	if at.IsZero() {
		if parts, err = p.Partitions(ctx, false); err != nil {
			return nil, false, err
		}
	}
	return parts, true, nil
}

// count counts the shares. The store is closed after the last request has gone, which ends it.
func (h *Handler) count(p storage.Partitioned, done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	parts, err := p.Partitions(ctx, true)
	if err != nil {
		h.Log.Warn("cannot count the rows of tenants and namespaces", "error", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		h.parts, h.at = parts, time.Now()
	}
	h.counting = nil
	close(done)
}

// visible narrows partitions to what the principal may see; their rows and bytes are then those of its shares.
func (h *Handler) visible(who auth.Principal, parts []storage.Partition) []storage.Partition {
	if who.AllTenants() {
		return parts
	}
	var out []storage.Partition
	for _, p := range parts {
		var own []storage.Share
		rows, bytes := int64(0), int64(0)
		for _, s := range p.Shares {
			if s.Tenant == who.TenantID && auth.Within(who.Namespaces, s.Namespace) {
				own = append(own, s)
				rows, bytes = rows+s.Rows, bytes+s.Bytes
			}
		}
		if p.Rows, p.Bytes, p.Shares = rows, bytes, own; len(own) > 0 {
			out = append(out, p)
		}
	}
	return out
}

// unclustered refuses credentials that are narrowed to clusters: nothing here is counted by cluster.
func unclustered(r *http.Request) (auth.Principal, error) {
	who, _ := auth.FromContext(r.Context())
	if len(who.Clusters) > 0 {
		return who, answer.Errorf(http.StatusForbidden, "scope", "storage is not divided by cluster; credentials without such a scope are needed")
	}
	return who, nil
}

func (h *Handler) storage(ctx context.Context, r *http.Request) (any, error) {
	if len(r.URL.Query()) > 0 {
		return nil, answer.Errorf(http.StatusBadRequest, "parameter", "there are no parameters here")
	}
	who, err := unclustered(r)
	if err != nil {
		return nil, err
	}
	parts, counting, err := h.partitions(ctx)
	if err != nil {
		return nil, err
	}
	parts = h.visible(who, parts)
	list := make([]Part, len(parts))
	for i, p := range parts {
		list[i] = Part{Name: p.Name, Class: p.Class, Day: p.Day, Rows: p.Rows, Bytes: p.Bytes}
	}
	ans := map[string]any{"type": h.Type, "partitions": list, "usage": h.usage(parts), "counting": counting}
	rows, bytes := int64(0), int64(0)
	for _, p := range parts {
		rows, bytes = rows+p.Rows, bytes+p.Bytes
	}
	ans["rows"], ans["bytes"] = rows, bytes
	removed := []retention.Removed{}
	if who.AllTenants() {
		u, err := h.Store.Usage(ctx)
		if err != nil {
			return nil, err
		}
		ans["raw_bytes"], ans["read_only"], ans["read_only_why"], ans["dropped"] = u.RawBytes, u.ReadOnly, u.ReadOnlyWhy, u.Dropped
		if h.Keeper == nil {
			ans["rows"], ans["bytes"] = u.Rows, u.Bytes
		} else {
			removed = h.Keeper.History()
		}
		ans["removed"] = removed
	}
	ans["classes"] = h.classes(parts, removed)
	return ans, nil
}

func (h *Handler) classes(parts []storage.Partition, removed []retention.Removed) []Class {
	byName := map[string]*Class{}
	if h.Keeper != nil {
		for name, l := range h.Keeper.Limits() {
			byName[name] = &Class{Name: name, Age: l.Age.Hours() / 24, Size: l.Size}
		}
	}
	for _, p := range parts {
		c := byName[p.Class]
		if c == nil {
			c = &Class{Name: p.Class}
			byName[p.Class] = c
		}
		c.Rows, c.Bytes = c.Rows+p.Rows, c.Bytes+p.Bytes
		if c.Oldest == "" || p.Day < c.Oldest {
			c.Oldest = p.Day
		}
		c.Newest = max(c.Newest, p.Day)
	}
	for _, r := range removed {
		if c := byName[r.Class]; c != nil {
			c.Removed += r.Rows
		}
	}
	out := []Class{}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, *byName[name])
	}
	return out
}

// usage adds up what each namespace of each tenant has, largest first.
func (h *Handler) usage(parts []storage.Partition) []Use {
	type key struct {
		tenant    uint32
		namespace string
	}
	sums := map[key]*Use{}
	for _, p := range parts {
		for _, s := range p.Shares {
			k := key{s.Tenant, s.Namespace}
			if sums[k] == nil {
				sums[k] = &Use{Tenant: h.TenantName(s.Tenant), Namespace: s.Namespace}
			}
			sums[k].Rows += s.Rows
			sums[k].Bytes += s.Bytes
		}
	}
	out := []Use{}
	for _, u := range sums {
		out = append(out, *u)
	}
	slices.SortFunc(out, func(a, b Use) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(b.Rows, a.Rows), strings.Compare(a.Tenant+"\x00"+a.Namespace, b.Tenant+"\x00"+b.Namespace))
	})
	return out
}

// horizon is how far a plan looks ahead where nothing else is said.
const horizon = 7 * 24 * time.Hour

func (h *Handler) plan(ctx context.Context, r *http.Request) (any, error) {
	until := horizon
	for name, v := range r.URL.Query() {
		var err error
		if name != "until" {
			return nil, answer.Errorf(http.StatusBadRequest, "parameter", "unknown parameter %.60q; known here is until", name)
		}
		if until, err = config.ParseDuration(v[0]); err != nil {
			return nil, answer.Errorf(http.StatusBadRequest, "parameter", "until: %v", err)
		}
	}
	who, err := unclustered(r)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	removals, counting := []Part{}, false
	rows, bytes := int64(0), int64(0)
	if h.Keeper != nil {
		parts, c, err := h.partitions(ctx)
		if err != nil {
			return nil, err
		}
		counting = c
		for _, x := range retention.Plan(parts, h.Keeper.Limits(), now, now.Add(until)) {
			for _, p := range h.visible(who, []storage.Partition{x.Partition}) {
				at := x.At.UTC()
				part := Part{Name: p.Name, Class: p.Class, Day: p.Day, Rows: p.Rows, Bytes: p.Bytes, Reason: x.Reason, At: &at}
				for _, s := range p.Shares {
					part.Shares = append(part.Shares, Use{Tenant: h.TenantName(s.Tenant), Namespace: s.Namespace, Rows: s.Rows, Bytes: s.Bytes})
				}
				removals = append(removals, part)
				rows, bytes = rows+p.Rows, bytes+p.Bytes
			}
		}
	}
	return map[string]any{"until": event.FormatTime(now.Add(until).UnixNano()), "rows": rows, "bytes": bytes, "removals": removals, "counting": counting}, nil
}
