package elasticsearch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// Bounds of answers. What goes beyond is an error that wraps storage.ErrPartial.
const (
	mostGroups  = 100_000 // groups or values of a request that names no number
	mostHeld    = 2_000_000
	mostHits    = 1_000_000
	defaultHits = 100    // combinations of values of a HitsRequest that names no number
	hitBuckets  = 40_000 // of one answer
)

// Fields is storage.Store's.
func (s *Store) Fields(ctx context.Context, r storage.Search) (found []storage.NameCount, err error) {
	err = s.with(ctx, &r, func(p *plan) error {
		found, err = s.fields(ctx, p)
		return err
	})
	return found, err
}

func (s *Store) fields(ctx context.Context, p *plan) ([]storage.NameCount, error) {
	a, err := s.ask(ctx, object{"query": p.certain(), "track_total_hits": true, "aggs": object{"names": object{"terms": object{"field": query.ElasticNames, "size": 65_000}}}})
	if err != nil {
		return nil, err
	}
	list, err := termBuckets(a.Aggs["names"])
	if err != nil {
		return nil, err
	}
	if list.Others > 0 {
		return nil, partial("fields")
	}
	total, counts := a.Hits.Total.Value, map[string]int64{}
	for _, b := range list.Buckets {
		counts[b.Key] = b.Count
	}
	if !p.exact {
		err := s.scan(ctx, p, p.doubtful(), func(e *event.Event) error {
			total++
			for _, f := range e.Fields {
				if f.Name != event.Message {
					counts[strings.Clone(f.Name)]++
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if total == 0 {
		return nil, nil
	}
	found := []storage.NameCount{{Name: query.ID, Count: total}, {Name: event.Timestamp, Count: total}, {Name: event.Message, Count: total}}
	for name, n := range counts {
		found = append(found, storage.NameCount{Name: name, Count: n})
	}
	slices.SortFunc(found, compareNames)
	return found, nil
}

func compareNames(a, b storage.NameCount) int {
	return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Name, b.Name))
}

// Values is storage.Store's. limit of 0 or less means all, as far as the store is willing.
func (s *Store) Values(ctx context.Context, r storage.Search, field, prefix string, limit int) ([]storage.NameCount, error) {
	var counts map[string]int64
	err := s.with(ctx, &r, func(p *plan) error {
		counts = map[string]int64{}
		return s.combos(ctx, p, []string{field}, func(values []string, n int64) error {
			if v := values[0]; v != "" && strings.HasPrefix(v, prefix) {
				counts[v] += n
			}
			if len(counts) > mostHeld {
				return partial("values")
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	found := make([]storage.NameCount, 0, len(counts))
	for v, n := range counts {
		found = append(found, storage.NameCount{Name: v, Count: n})
	}
	slices.SortFunc(found, compareNames)
	switch {
	case limit > 0:
		found = found[:min(limit, len(found))]
	case len(found) > mostGroups:
		return found[:mostGroups], partial("values")
	}
	return found, nil
}

// Hits is storage.Store's.
func (s *Store) Hits(ctx context.Context, r storage.HitsRequest) ([]storage.Hit, error) {
	if r.Step <= 0 {
		return nil, fmt.Errorf("cannot count by steps of %v", r.Step)
	}
	groups, err := s.commonest(ctx, &r)
	if err != nil {
		return nil, err
	}
	var t *histogram
	err = s.with(ctx, &r.Search, func(p *plan) error {
		t = &histogram{by: r.By, groups: groups, step: int64(r.Step), counts: map[slot]int64{}}
		t.offset = (int64(r.Offset)%t.step + t.step) % t.step
		rest := p.all()
		if t.step%int64(time.Millisecond) == 0 && t.offset%int64(time.Millisecond) == 0 {
			if err := s.histogram(ctx, p.certain(), p, t); err != nil || p.exact {
				return err
			}
			rest = p.doubtful()
		}
		return s.scan(ctx, p, rest, t.add)
	})
	if err != nil {
		return nil, err
	}
	return t.hits(), nil
}

// commonest returns the groups of a request that are counted on their own.
func (s *Store) commonest(ctx context.Context, r *storage.HitsRequest) ([][]string, error) {
	if len(r.By) == 0 {
		return nil, nil
	}
	top := r.Limit
	if top <= 0 {
		top = defaultHits
	}
	rows, err := s.Stats(ctx, storage.StatsRequest{Search: r.Search, Func: storage.Func{Name: "count"}, By: r.By, Top: top})
	groups := make([][]string, 0, len(rows))
	for _, row := range rows {
		groups = append(groups, row.By)
	}
	return groups, err
}

// histogram counts the events of steps, by groups of values; those of no group stand under empty values.
type histogram struct {
	by           []string
	groups       [][]string
	step, offset int64
	counts       map[slot]int64
	places       map[string]int // of groups
}

type slot struct {
	time  int64
	group int // -1 for all others
}

func (t *histogram) put(time int64, group int, n int64) error {
	if n > 0 {
		t.counts[slot{time, group}] += n
	}
	if len(t.counts) > mostHits {
		return partial("steps with events")
	}
	return nil
}

// add counts one event.
func (t *histogram) add(e *event.Event) error {
	if t.places == nil {
		t.places = map[string]int{}
		for i, values := range t.groups {
			t.places[strings.Join(values, "\x00")] = i
		}
	}
	values := make([]string, len(t.by))
	for i, name := range t.by {
		switch name {
		case event.Timestamp:
			values[i] = event.FormatTime(e.Time)
		case query.ID:
			values[i] = e.ID
		default:
			values[i], _ = e.Get(name)
		}
	}
	group := -1
	if i, ok := t.places[strings.Join(values, "\x00")]; ok {
		group = i
	}
	at := e.Time - t.offset
	at -= (at%t.step + t.step) % t.step
	return t.put(at+t.offset, group, 1)
}

func (t *histogram) hits() []storage.Hit {
	sums := map[slot]int64{}
	for at, n := range t.counts {
		if at.group >= 0 && strings.Join(t.groups[at.group], "") == "" { // empty values are those of the others as well
			at.group = -1
		}
		sums[at] += n
	}
	hits := make([]storage.Hit, 0, len(sums))
	for at, n := range sums {
		h := storage.Hit{Time: at.time, Count: n}
		if len(t.by) > 0 {
			h.By = make(map[string]string, len(t.by))
			for i, name := range t.by {
				h.By[name] = ""
				if at.group >= 0 {
					h.By[name] = t.groups[at.group][i]
				}
			}
		}
		hits = append(hits, h)
	}
	slices.SortFunc(hits, func(a, b storage.Hit) int {
		c := cmp.Compare(a.Time, b.Time)
		for i := 0; c == 0 && i < len(t.by); i++ {
			c = strings.Compare(a.By[t.by[i]], b.By[t.by[i]])
		}
		return c
	})
	return hits
}

// histogram asks Elasticsearch for the steps, page by page.
func (s *Store) histogram(ctx context.Context, q object, p *plan, t *histogram) error {
	filters := object{}
	for i, values := range t.groups {
		var all query.And
		for k, name := range t.by {
			if values[k] == "" {
				all.Terms = append(all.Terms, query.Empty{Field: name})
			} else if at, ok := event.ParseTime(values[k]); ok && name == event.Timestamp {
				text := event.FormatTime(at)
				all.Terms = append(all.Terms, query.Range{Field: name, Low: text, High: text})
			} else {
				all.Terms = append(all.Terms, query.Exact{Field: name, Value: values[k]})
			}
		}
		sure, _, exact := query.Elastic(all, p.long, false)
		if !exact {
			return errors.New("a group of values has no query of its own")
		}
		filters[fmt.Sprint(i)] = sure
	}
	aggs := object{}
	if len(filters) > 0 {
		aggs["groups"] = object{"filters": object{"filters": filters}}
	}
	ms := func(ns int64) string { return fmt.Sprintf("%dms", ns/int64(time.Millisecond)) }
	steps := object{"field": query.ElasticTime, "fixed_interval": ms(t.step), "offset": ms(t.offset)}
	composite := object{"size": hitBuckets / (len(filters) + 1), "sources": []object{{"step": object{"date_histogram": steps}}}}
	for {
		a, err := s.ask(ctx, object{"query": q, "aggs": object{"steps": object{"composite": composite, "aggs": aggs}}})
		if err != nil {
			return err
		}
		var page struct {
			After   json.RawMessage `json:"after_key"`
			Buckets []struct {
				Key    struct{ Step int64 }
				Count  int64 `json:"doc_count"`
				Groups struct {
					Buckets map[string]struct {
						Count int64 `json:"doc_count"`
					}
				}
			}
		}
		if raw := a.Aggs["steps"]; len(raw) > 0 {
			if err := json.Unmarshal(raw, &page); err != nil {
				return fmt.Errorf("cannot understand an aggregation of Elasticsearch: %w", err)
			}
		}
		for _, b := range page.Buckets {
			at, left := b.Key.Step*int64(time.Millisecond), b.Count
			for i := range t.groups {
				n := b.Groups.Buckets[fmt.Sprint(i)].Count
				left -= n
				if err := t.put(at, i, n); err != nil {
					return err
				}
			}
			if err := t.put(at, -1, left); err != nil {
				return err
			}
		}
		if len(page.After) == 0 {
			return nil
		}
		composite["after"] = page.After
	}
}
