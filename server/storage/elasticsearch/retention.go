package elasticsearch

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/retention"
	"github.com/tallylog/tally/server/storage"
	"github.com/tallylog/tally/server/storage/elasticsearch/indices"
)

var _ storage.Partitioned = (*Store)(nil)

func (o *Options) limits() map[string]retention.Limit {
	all := map[string]retention.Limit{retention.Default: {Age: o.Retention, Size: o.MaxBytes}}
	for _, r := range o.Rules {
		all[r.Name] = r.Limit
	}
	return all
}

// class is the class of retention of an event.
func (s *Store) class(tenant uint32, e *event.Event) string {
	if len(s.o.Rules) == 0 {
		return retention.Default
	}
	return s.o.Rules.Class(s.o.TenantName(tenant), e)
}

// shown is the class as names of indices have it.
func shown(class string) string {
	if class == retention.Default {
		return ""
	}
	return class
}

// Limits are those of all classes that there are rules for.
func (s *Store) Limits() map[string]retention.Limit { return s.limits }

// Partitions is storage.Partitioned's. A partition is an index, and its day that of its newest event.
func (s *Store) Partitions(ctx context.Context, counted bool) ([]storage.Partition, error) {
	list, err := s.Indices(ctx)
	if err != nil {
		return nil, err
	}
	parts := make([]storage.Partition, 0, len(list))
	for _, x := range list {
		p := storage.Partition{Name: x.Name, Class: indices.Class(x.Name), Bytes: x.Bytes, Day: time.Unix(0, x.Newest).UTC().Format(time.DateOnly)}
		if p.Class == "" {
			p.Class = retention.Default
		}
		if x.Rows == 0 { // just made
			p.Day = time.Now().UTC().Format(time.DateOnly)
		}
		if counted {
			p.Rows = x.Rows
			for _, tenant := range x.Tenants {
				shares, err := s.shares(ctx, &x, tenant)
				if err != nil {
					return nil, err
				}
				p.Shares = append(p.Shares, shares...)
			}
		}
		parts = append(parts, p)
	}
	slices.SortStableFunc(parts, func(a, b storage.Partition) int {
		if a.Day < b.Day {
			return -1
		} else if a.Day > b.Day {
			return 1
		}
		return 0
	})
	return parts, nil
}

// shares parts what a tenant has in an index among its namespaces.
func (s *Store) shares(ctx context.Context, x *Index, tenant uint32) (shares []storage.Share, err error) {
	q := and([]object{{"term": object{"_index": x.Name}}, {"term": object{docTenant: tenant}}})
	err = s.terms(ctx, q, []string{query.NamespaceField}, func(values []string, n int64) error {
		shares = append(shares, storage.Share{Tenant: tenant, Namespace: values[0], Rows: n, Bytes: x.Bytes * n / max(x.Rows, 1)})
		return nil
	})
	return shares, err
}

// Remove is storage.Partitioned's.
func (s *Store) Remove(ctx context.Context, name string) error {
	if !slices.ContainsFunc(s.names(ctx), func(n string) bool { return n == name }) {
		return nil // none of ours
	}
	a, err := s.ask(ctx, object{"query": object{"term": object{"_index": name}}, "aggs": object{"newest": object{"max": object{"field": query.ElasticTime}}}})
	if err != nil {
		return err
	}
	newest, err := a.value("newest")
	if err != nil {
		return err
	}
	class := indices.Class(name)
	if class == "" {
		class = retention.Default
	}
	s.forget([]string{name})
	if _, err := s.c.do(ctx, http.MethodDelete, "/"+url.PathEscape(name), nil); err != nil && status(err) != http.StatusNotFound {
		return fmt.Errorf("cannot delete index %q: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if newest > 0 {
		s.removed[class] = max(s.removed[class], time.UnixMilli(int64(newest)).UTC().Truncate(24*time.Hour).Add(24*time.Hour).UnixNano())
	}
	return nil
}

// names are those of all indices of the store; none where they cannot be listed.
func (s *Store) names(ctx context.Context) (names []string) {
	var all map[string]json.RawMessage
	if s.c.get(ctx, http.MethodGet, "/"+url.PathEscape(s.alias)+"/_alias", nil, &all) == nil {
		for name := range all {
			names = append(names, name)
		}
	}
	return names
}

// Horizon is storage.Partitioned's. What was removed by size is known since the store was opened.
func (s *Store) Horizon(tenant uint32, e *event.Event) int64 {
	class, at := s.class(tenant, e), int64(0)
	if age := s.limits[class].Age; age > 0 {
		at = time.Now().Add(-age).UnixNano()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(at, s.removed[class])
}
