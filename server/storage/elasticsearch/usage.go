package elasticsearch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// Usage is storage.Store's. While Elasticsearch cannot be asked it is a *storage.Unavailable.
func (s *Store) Usage(ctx context.Context) (storage.Usage, error) {
	u := storage.Usage{Dropped: map[string]int64{}, ReadOnlyWhy: s.state.reason()}
	if err := s.settle(ctx); err != nil {
		return storage.Usage{}, err
	}
	a, err := s.ask(ctx, object{"track_total_hits": true, "aggs": object{
		"oldest": object{"min": object{"field": query.ElasticTime}}, "raw": object{"sum": object{"field": docSize}},
	}})
	if err != nil {
		return storage.Usage{}, err
	}
	u.Rows = a.Hits.Total.Value
	oldest, err1 := a.value("oldest")
	raw, err2 := a.value("raw")
	if err := errors.Join(err1, err2); err != nil {
		return storage.Usage{}, err
	}
	if u.RawBytes = int64(raw); u.Rows > 0 {
		u.OldestDay = time.UnixMilli(int64(oldest)).UTC().Format(time.DateOnly)
	}
	var stats struct {
		All struct {
			Total struct {
				Store struct {
					Size int64 `json:"size_in_bytes"`
				}
			}
		} `json:"_all"`
	}
	if err := s.c.get(ctx, http.MethodGet, s.path("_stats/store"), nil, &stats); err != nil && status(err) != http.StatusNotFound {
		return storage.Usage{}, searchError(ctx, err)
	}
	u.Bytes = stats.All.Total.Store.Size
	u.ReadOnly = u.ReadOnlyWhy != ""
	s.mu.Lock()
	defer s.mu.Unlock()
	for reason, n := range s.dropped {
		u.Dropped[reason] = n
	}
	return u, nil
}

// Recover is storage.Store's. It waits for a cluster that cannot be asked.
func (s *Store) Recover(ctx context.Context, seq uint64, f func(tenant uint32, e *event.Event) error) error {
	filter := []object{{"term": object{docBatch: seq}}}
	if s.o.Server == "" {
		filter = append(filter, not(object{"exists": object{"field": docServer}}))
	} else {
		filter = append(filter, object{"term": object{docServer: s.o.Server}})
	}
	var tenants map[uint32]bool
	err := s.retry(ctx, func() (err error) {
		if err = s.settle(ctx); err == nil {
			tenants, err = s.tenants(ctx, and(filter))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot recover batch %d: %w", seq, err)
	}
	for tenant := range tenants {
		p := &plan{exact: true}
		err := s.scan(ctx, p, and(filter, object{"term": object{docTenant: tenant}}), func(e *event.Event) error {
			r, err := recovered(e)
			if err != nil {
				return err
			}
			return f(tenant, r)
		})
		if err != nil {
			return fmt.Errorf("cannot recover batch %d: %w", seq, err)
		}
	}
	return nil
}

func (s *Store) tenants(ctx context.Context, q object) (map[uint32]bool, error) {
	a, err := s.ask(ctx, object{"query": q, "aggs": object{"tenants": object{"terms": object{"field": docTenant, "size": 10_000}}}})
	if err != nil {
		return nil, err
	}
	list, err := numberBuckets(a.Aggs["tenants"])
	tenants := map[uint32]bool{}
	for _, n := range list {
		tenants[uint32(n)] = true
	}
	return tenants, err
}

func recovered(e *event.Event) (*event.Event, error) {
	get := func(name string) string { v, _ := e.Get(name); return v }
	r := &event.Event{ID: e.ID, Time: e.Time}
	if client := get(storage.ClientField); client != "" {
		r.Put(storage.ClientField, client)
	}
	p := &r.Position
	if p.Source = get(fieldSource); p.Source == "" {
		return r, nil
	}
	var err1, err2, err3 error
	p.From, err1 = strconv.ParseInt(get(fieldFrom), 10, 64)
	p.To, err2 = strconv.ParseInt(get(fieldTo), 10, 64)
	p.Ranges, err3 = parseRanges(get(fieldRanges))
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fmt.Errorf("position of event %s: %w", e.ID, err)
	}
	return r, nil
}

// Index is one index and what it holds.
type Index struct {
	Name           string
	Tenants        []uint32 // mostly one
	Rows, Bytes    int64
	Oldest, Newest int64 // times of events, nanoseconds since 1970, to the millisecond; 0 where there are none
}

// Indices lists the indices of the store, the oldest first.
func (s *Store) Indices(ctx context.Context) ([]Index, error) {
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	var stats struct {
		Indices map[string]struct {
			Total struct {
				Store struct {
					Size int64 `json:"size_in_bytes"`
				}
			}
		}
	}
	if err := s.c.get(ctx, http.MethodGet, s.path("_stats/store"), nil, &stats); err != nil {
		if status(err) == http.StatusNotFound {
			return nil, nil
		}
		return nil, searchError(ctx, err)
	}
	var list []Index
	for name, st := range stats.Indices {
		x := Index{Name: name, Bytes: st.Total.Store.Size}
		a, err := s.ask(ctx, object{
			"query": object{"bool": object{"filter": []object{{"term": object{"_index": name}}}}}, "track_total_hits": true,
			"aggs": object{
				"oldest": object{"min": object{"field": query.ElasticTime}}, "newest": object{"max": object{"field": query.ElasticTime}},
				"tenants": object{"terms": object{"field": docTenant, "size": 10_000}},
			},
		})
		if err != nil {
			return nil, err
		}
		oldest, err1 := a.value("oldest")
		newest, err2 := a.value("newest")
		tenants, err3 := numberBuckets(a.Aggs["tenants"])
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, err
		}
		for _, t := range tenants {
			x.Tenants = append(x.Tenants, uint32(t))
		}
		if x.Rows = a.Hits.Total.Value; x.Rows > 0 {
			x.Oldest, x.Newest = int64(oldest)*int64(time.Millisecond), int64(newest)*int64(time.Millisecond)
		}
		list = append(list, x)
	}
	slices.SortFunc(list, func(a, b Index) int { return cmp.Or(cmp.Compare(a.Newest, b.Newest), cmp.Compare(a.Name, b.Name)) })
	return list, nil
}
