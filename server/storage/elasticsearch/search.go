package elasticsearch

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// plan is a search as it is asked: all that sure finds is selected, and what possible finds besides has to be looked at.
type plan struct {
	base           []object // tenant and time
	sure, possible object
	exact          bool
	match          query.Matcher
	long           map[string]bool // fields that have values too long for a term
}

// with plans a search and calls f, which asks: what was appended before is part of the answer. Where Elasticsearch finds a regular
// expression too complex, f is called again with a plan that does without.
func (s *Store) with(ctx context.Context, q *storage.Search, f func(p *plan) error) error {
	if err := s.settle(ctx); err != nil {
		return err
	}
	for _, simple := range []bool{false, true} {
		p, err := s.plan(ctx, q, simple)
		if err == nil {
			err = f(p)
		}
		if simple || !tooComplex(err) {
			return err
		}
	}
	return nil
}

func tooComplex(err error) bool {
	return status(err) == http.StatusBadRequest && (strings.Contains(err.Error(), "too_complex_to_determinize") || strings.Contains(err.Error(), "etermin"))
}

func (s *Store) plan(ctx context.Context, q *storage.Search, simple bool) (*plan, error) {
	p := &plan{base: []object{{"term": object{docTenant: q.Tenant}}}}
	if first, last := max(q.Start, 0), q.End-1; q.Start > 0 || q.End != 0 {
		if q.End == 0 {
			last = math.MaxInt64
		}
		if first > last {
			p.base = append(p.base, object{"match_none": object{}})
		} else {
			p.base = append(p.base, query.ElasticTimes(first, last))
		}
	}
	e := q.Expr
	if e == nil {
		e = query.All{}
	}
	p.match = query.Compile(e)
	p.sure, p.possible, p.exact = query.Elastic(e, nil, simple)
	doubts, err := s.look(ctx, q.Tenant, p)
	if err != nil {
		return nil, err
	}
	if len(p.long) > 0 {
		p.sure, p.possible, p.exact = query.Elastic(e, p.long, simple)
	} else if doubts == 0 {
		p.possible, p.exact = p.sure, true
	}
	return p, nil
}

func and(base []object, more ...object) object {
	return object{"bool": object{"filter": append(base[:len(base):len(base)], more...)}}
}

func not(q object) object { return object{"bool": object{"must_not": []object{q}}} }

func anyOf(list ...object) object {
	return object{"bool": object{"should": list, "minimum_should_match": 1}}
}

// all selects everything that may be part of the answer.
func (p *plan) all() object { return and(p.base, p.possible) }

// certain selects what is part of the answer for sure.
func (p *plan) certain() object { return and(p.base, p.sure) }

// doubtful selects the rest of all.
func (p *plan) doubtful() object { return and(p.base, p.possible, not(p.sure)) }

// matches tells whether an event that possible found is selected.
func (p *plan) matches(e *event.Event) bool { return p.exact || p.match.Match(e) }

type answer struct {
	Hits struct{ Total struct{ Value int64 } }
	Aggs map[string]json.RawMessage `json:"aggregations"`
}

// value reads an aggregation that is one number.
func (a *answer) value(name string) (float64, error) {
	var v struct{ Value *float64 }
	if raw := a.Aggs[name]; len(raw) > 0 {
		if err := json.Unmarshal(raw, &v); err != nil {
			return 0, fmt.Errorf("cannot understand an aggregation of Elasticsearch: %w", err)
		}
	}
	if v.Value == nil {
		return 0, nil
	}
	return *v.Value, nil
}

// numberBuckets returns the keys of a terms aggregation over numbers.
func numberBuckets(raw json.RawMessage) (keys []int64, err error) {
	var list struct{ Buckets []struct{ Key int64 } }
	if len(raw) > 0 {
		if err = json.Unmarshal(raw, &list); err != nil {
			return nil, fmt.Errorf("cannot understand an aggregation of Elasticsearch: %w", err)
		}
	}
	for _, b := range list.Buckets {
		keys = append(keys, b.Key)
	}
	return keys, nil
}

// ask sends a search without rows.
func (s *Store) ask(ctx context.Context, body object) (*answer, error) {
	body["size"] = 0
	var a answer
	return &a, s.searchFor(ctx, s.path("_search"), body, &a)
}

// searchFor sends a search and decodes the answer.
func (s *Store) searchFor(ctx context.Context, path string, body object, to any) error {
	b, err := s.search(ctx, http.MethodPost, path+"&allow_partial_search_results=false", mustJSON(body))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, to); err != nil {
		return fmt.Errorf("cannot understand the answer of Elasticsearch to a search: %w", err)
	}
	return nil
}

// mostLong is the number of names with long values that are told apart.
const mostLong = 10_000

// look finds out, for a plan that takes no value for long, which fields of the tenant have values too long for a term (few or none), and
// how many events are doubtful.
func (s *Store) look(ctx context.Context, tenant uint32, p *plan) (doubts int64, err error) {
	aggs := object{"long": object{"terms": object{"field": query.ElasticLong, "size": mostLong}}}
	asked := []object{{"exists": object{"field": query.ElasticLong}}}
	if !p.exact {
		asked = append(asked, p.doubtful())
		aggs["doubts"] = object{"filter": p.doubtful()}
	}
	a, err := s.ask(ctx, object{"query": and([]object{{"term": object{docTenant: tenant}}}, anyOf(asked...)), "aggs": aggs})
	if err != nil {
		return 0, err
	}
	list, err := termBuckets(a.Aggs["long"])
	if err != nil {
		return 0, err
	}
	p.long = map[string]bool{}
	for _, b := range list.Buckets {
		p.long[b.Key] = true
	}
	var d bucket
	if raw := a.Aggs["doubts"]; len(raw) > 0 {
		err = json.Unmarshal(raw, &d)
	}
	return d.Count, err
}

func (s *Store) count(ctx context.Context, q object) (int64, error) {
	a, err := s.ask(ctx, object{"query": q, "track_total_hits": true})
	if err != nil {
		return 0, err
	}
	return a.Hits.Total.Value, nil
}

// Count is storage.Store's.
func (s *Store) Count(ctx context.Context, q storage.Search) (n int64, err error) {
	err = s.with(ctx, &q, func(p *plan) error {
		if n, err = s.count(ctx, p.certain()); err != nil || p.exact {
			return err
		}
		return s.scan(ctx, p, p.doubtful(), func(*event.Event) error { n++; return nil })
	})
	return n, err
}

// scan calls f for each event of a query that is part of the answer, in no order that matters.
func (s *Store) scan(ctx context.Context, p *plan, q object, f func(e *event.Event) error) error {
	w := walk{s: s, plan: p, query: q, asc: true}
	defer w.close()
	return w.run(ctx, f)
}

// Has is storage.Store's.
func (s *Store) Has(ctx context.Context, tenant uint32, ids []string) (map[string]bool, error) {
	found := make(map[string]bool, len(ids))
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	const atOnce = 5000
	for len(ids) > 0 {
		chunk := ids[:min(len(ids), atOnce)]
		ids = ids[len(chunk):]
		body := object{
			"size": len(chunk), "_source": false, "docvalue_fields": []string{query.ElasticID}, "track_total_hits": false,
			"query":    and([]object{{"term": object{docTenant: tenant}}}, object{"terms": object{query.ElasticID: chunk}}),
			"collapse": object{"field": query.ElasticID},
		}
		var a struct {
			Hits struct {
				Hits []struct{ Fields map[string][]string }
			}
		}
		if err := s.searchFor(ctx, s.path("_search"), body, &a); err != nil {
			return nil, err
		}
		for _, h := range a.Hits.Hits {
			for _, id := range h.Fields[query.ElasticID] {
				found[id] = true
			}
		}
	}
	return found, nil
}

// hasDocuments tells which documents, by their ids in Elasticsearch, are in any index of the store.
func (s *Store) hasDocuments(ctx context.Context, ids []string) (map[string]bool, error) {
	found := make(map[string]bool, len(ids))
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	const atOnce = 2000
	for len(ids) > 0 {
		chunk := ids[:min(len(ids), atOnce)]
		ids = ids[len(chunk):]
		var a struct {
			Hits struct {
				Hits []struct {
					ID string `json:"_id"`
				}
			}
		}
		// Twice the number: one that was stored under two configurations is found twice.
		body := object{"size": 2 * len(chunk), "_source": false, "track_total_hits": false, "query": object{"ids": object{"values": chunk}}}
		if err := s.searchFor(ctx, s.path("_search"), body, &a); err != nil {
			return nil, err
		}
		for _, h := range a.Hits.Hits {
			found[h.ID] = true
		}
	}
	return found, nil
}
