package elasticsearch

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/retention"
	"github.com/tallylog/tally/server/storage"
	"github.com/tallylog/tally/server/storage/elasticsearch/indices"
)

var _ storage.Partitioned = (*Store)(nil)

// class is a class of retention as the _meta of the index template keeps it: it outlives its rule, and this process.
type class struct {
	retention.Limit
	Removed string `json:"removed,omitempty"` // the newest day that was removed
}

// limits are the rules in force, and the limit of what none of them chooses. They are never changed, but replaced.
type limits struct {
	rules retention.Rules
	rest  retention.Limit
}

func (l *limits) classes() map[string]*class {
	all := map[string]*class{retention.Default: {Limit: l.rest}}
	for _, r := range l.rules {
		all[r.Name] = &class{Limit: r.Limit}
	}
	return all
}

// SetRetention puts other rules, and another limit for all that none of them chooses, in force for what comes from now on, and for removals.
// Classes without a rule keep the limits that they had.
func (s *Store) SetRetention(rest retention.Limit, rules retention.Rules) {
	s.templateMu.Lock() // a template that is being written has the old ones
	defer s.templateMu.Unlock()
	l := &limits{rules, rest}
	s.limits.Store(l)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := l.classes()
	for name, c := range s.classes {
		if now[name] == nil {
			now[name] = c
		} else {
			now[name].Removed = c.Removed
		}
	}
	s.classes, s.prepared = now, false
}

// class is the class of retention of an event.
func (s *Store) class(tenant uint32, e *event.Event) string {
	l := s.limits.Load()
	if len(l.rules) == 0 {
		return retention.Default
	}
	return l.rules.Class(s.o.TenantName(tenant), e)
}

// shown is the class as names of indices have it.
func shown(class string) string {
	if class == retention.Default {
		return ""
	}
	return class
}

// Limits are those of all classes, also of those that have indices but no rule any more, once Elasticsearch has answered.
func (s *Store) Limits() map[string]retention.Limit {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]retention.Limit{}
	for name, c := range s.classes {
		all[name] = c.Limit
	}
	return all
}

// prepare makes sure that the index template is there, and that the classes in it are known.
func (s *Store) prepare(ctx context.Context) error {
	s.mu.Lock()
	done := s.prepared
	s.mu.Unlock()
	if done {
		return nil
	}
	return s.putTemplate(ctx, retention.Default, "")
}

// putTemplate writes the index template, with what it says of classes that are not ours, and of days that were removed before; gone is
// the newest of class name, if it is newer.
func (s *Store) putTemplate(ctx context.Context, name, gone string) error {
	s.templateMu.Lock()
	defer s.templateMu.Unlock()
	path := "/_index_template/" + url.PathEscape(s.alias)
	var was struct {
		List []struct {
			Template struct {
				Meta struct {
					Classes map[string]*class `json:"tally_classes"`
				} `json:"_meta"`
			} `json:"index_template"`
		} `json:"index_templates"`
	}
	if err := s.c.get(ctx, http.MethodGet, path, nil, &was); err != nil && status(err) != http.StatusNotFound {
		return fmt.Errorf("cannot look at the index template: %w", err)
	}
	all := s.limits.Load().classes()
	for _, x := range was.List {
		for name, c := range x.Template.Meta.Classes {
			if all[name] == nil {
				all[name] = c
			}
			all[name].Removed = c.Removed
		}
	}
	if all[name] == nil {
		all[name] = &class{}
	}
	all[name].Removed = max(all[name].Removed, gone)
	body := s.template()
	body["_meta"] = object{"tally_layout": layoutVersion, "tally_classes": all}
	if _, err := s.c.do(ctx, http.MethodPut, path, mustJSON(body)); err != nil {
		return fmt.Errorf("cannot put the index template: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.classes, s.prepared = all, true
	return nil
}

// Partitions is storage.Partitioned's. A partition is an index, and its day the last one that its name stands for. Only where there are new
// events of an index are its namespaces counted again.
func (s *Store) Partitions(ctx context.Context, counted bool) ([]storage.Partition, error) {
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	var stats struct {
		Indices map[string]struct {
			Primaries struct{ Docs struct{ Count int64 } }
			Total     struct {
				Store struct {
					Size int64 `json:"size_in_bytes"`
				}
			}
		}
	}
	if err := s.c.get(ctx, http.MethodGet, s.path("_stats/docs,store"), nil, &stats); err != nil {
		if status(err) == http.StatusNotFound {
			return nil, nil
		}
		return nil, searchError(ctx, err)
	}
	var meta map[string]struct {
		Mappings struct {
			Meta struct {
				Until string `json:"tally_until"`
			} `json:"_meta"`
		}
	}
	if err := s.c.get(ctx, http.MethodGet, s.path("_mapping")+"&filter_path=*.mappings._meta", nil, &meta); err != nil {
		return nil, searchError(ctx, err)
	}
	parts := make([]storage.Partition, 0, len(stats.Indices))
	for _, name := range slices.Sorted(maps.Keys(stats.Indices)) {
		x := stats.Indices[name]
		p := storage.Partition{Name: name, Class: indices.Class(name), Day: meta[name].Mappings.Meta.Until, Bytes: x.Total.Store.Size, Rows: x.Primaries.Docs.Count}
		if p.Class == "" {
			p.Class = retention.Default
		}
		if counted {
			var err error
			if p.Shares, err = s.shares(ctx, &p); err != nil {
				return nil, err
			}
		}
		parts = append(parts, p)
	}
	slices.SortStableFunc(parts, func(a, b storage.Partition) int { return strings.Compare(a.Day, b.Day) })
	return parts, nil
}

// Remove is storage.Partitioned's.
func (s *Store) Remove(ctx context.Context, name string) error {
	var index map[string]struct {
		Aliases  map[string]json.RawMessage
		Mappings struct {
			Meta struct {
				Until string `json:"tally_until"`
			} `json:"_meta"`
		}
	}
	err := s.c.get(ctx, http.MethodGet, "/"+url.PathEscape(name), nil, &index)
	if _, ours := index[name].Aliases[s.alias]; status(err) == http.StatusNotFound || err == nil && !ours {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot look at index %q: %w", name, err)
	}
	c := indices.Class(name)
	if c == "" {
		c = retention.Default
	}
	if err := s.putTemplate(ctx, c, index[name].Mappings.Meta.Until); err != nil {
		return err
	}
	s.forget([]string{name})
	if _, err := s.c.do(ctx, http.MethodDelete, "/"+url.PathEscape(name), nil); err != nil && status(err) != http.StatusNotFound {
		return fmt.Errorf("cannot delete index %q: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.counted, name)
	return nil
}

// Horizon is storage.Partitioned's. The days that were removed are known once Elasticsearch has answered; before, an event that is not found
// is stored rather than refused.
func (s *Store) Horizon(tenant uint32, e *event.Event) int64 {
	name, at := s.class(tenant, e), int64(0)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.classes[name]
	if c == nil { // the rules have changed since
		return 0
	}
	if c.Age > 0 {
		at = time.Now().Add(-c.Age).UnixNano()
	}
	if end, ok := storage.DayEnd(c.Removed); ok {
		at = max(at, end.UnixNano())
	}
	return at
}
