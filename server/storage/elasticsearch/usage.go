package elasticsearch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
	"github.com/tallylog/tally/server/storage/elasticsearch/indices"
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

// shares parts what is in an index among the namespaces. It looks at the list of terms, and at how many documents each has, not at the
// documents, so it takes milliseconds however large the index is.
func (s *Store) shares(ctx context.Context, p *storage.Partition) (shares []storage.Share, err error) {
	s.mu.Lock()
	was, ok := s.counted[p.Name]
	s.mu.Unlock()
	if ok && was.Rows == p.Rows {
		return slices.Clone(was.Shares), nil
	}
	tenant, rest := indices.Tenant(p.Name), p.Rows
	path := "/" + url.PathEscape(p.Name)
	const most = 1000
	key, _ := query.ElasticTerms(query.NamespaceField)
	for after := ""; ; {
		var list struct{ Terms []string }
		body := object{"field": query.ElasticFields, "string": key, "size": most, "timeout": "30s"}
		if after != "" {
			body["search_after"] = after
		}
		if err := s.c.get(ctx, http.MethodPost, path+"/_terms_enum", mustJSON(body), &list); err != nil {
			return nil, searchError(ctx, err)
		}
		if len(list.Terms) == 0 {
			break
		}
		filters := object{}
		for _, term := range list.Terms {
			filters[term] = object{"term": object{query.ElasticFields: term}}
		}
		var a answer
		if err := s.searchFor(ctx, path+"/_search?ignore_unavailable=true", object{"size": 0, "aggs": object{"n": object{"filters": object{"filters": filters}}}}, &a); err != nil {
			return nil, err
		}
		var n struct{ Buckets map[string]bucket }
		if err := json.Unmarshal(a.Aggs["n"], &n); err != nil {
			return nil, fmt.Errorf("cannot understand an aggregation of Elasticsearch: %w", err)
		}
		for _, term := range list.Terms {
			_, v, _ := query.ElasticFieldOf(term)
			if c := n.Buckets[term].Count; c > 0 {
				shares, rest = append(shares, storage.Share{Tenant: tenant, Namespace: v, Rows: c}), rest-c
			}
		}
		if after = list.Terms[len(list.Terms)-1]; len(list.Terms) < most {
			break
		}
	}
	if rest > 0 {
		shares = append(shares, storage.Share{Tenant: tenant, Rows: rest})
	}
	for i := range shares {
		shares[i].Bytes = int64(float64(p.Bytes) * float64(shares[i].Rows) / float64(p.Rows))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counted[p.Name] = storage.Partition{Rows: p.Rows, Shares: slices.Clone(shares)}
	return shares, nil
}
