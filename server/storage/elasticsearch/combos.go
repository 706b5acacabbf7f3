package elasticsearch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// bucket is one value of a terms aggregation, with what was asked of its documents.
type bucket struct {
	Key   string `json:"key"`
	Count int64  `json:"doc_count"`
	Value json.RawMessage
	None  json.RawMessage
}

type buckets struct {
	Others  int64 `json:"sum_other_doc_count"`
	Buckets []bucket
}

func termBuckets(raw json.RawMessage) (b buckets, err error) {
	if len(raw) == 0 { // there is no index yet
		return b, nil
	}
	if err = json.Unmarshal(raw, &b); err != nil {
		err = fmt.Errorf("cannot understand an aggregation of Elasticsearch: %w", err)
	}
	return b, err
}

// mostValues bounds the values of one field that one aggregation returns. Elasticsearch bounds all buckets of an answer to 65,536.
const mostValues = 30_000

// errOverflow means that an aggregation would be too large for one answer.
var errOverflow = errors.New("too many values for an aggregation")

// combos calls f for each combination of values of the fields among the events of a search, with the number of events, and
// perhaps several times for one combination. A value is empty where events do not have the field.
func (s *Store) combos(ctx context.Context, p *plan, fields []string, f func(values []string, n int64) error) error {
	doubt := p.exact
	whole, doubtful := p.certain(), p.doubtful()
	if native(fields) {
		var long []object
		for _, name := range fields {
			if p.long[name] {
				long = append(long, object{"term": object{query.ElasticLong: name}})
			}
		}
		if len(long) > 0 { // what their values are stands in the documents alone
			whole, doubtful, doubt = and(p.base, p.sure, not(anyOf(long...))), and(p.base, p.possible, anyOf(append(long, not(p.sure))...)), false
		}
		err := s.terms(ctx, whole, fields, f)
		if errors.Is(err, errOverflow) && len(fields) == 1 {
			err = s.pages(ctx, whole, fields[0], f)
		}
		if err == nil {
			if doubt {
				return nil
			}
			return s.scanCombos(ctx, p, doubtful, fields, f)
		}
		if !errors.Is(err, errOverflow) {
			return err
		}
	}
	return s.scanCombos(ctx, p, p.all(), fields, f)
}

// native tells whether the fields are terms of the index.
func native(fields []string) bool {
	for _, name := range fields {
		if name == event.Message || name == event.Timestamp || name == query.ID {
			return false
		}
	}
	return true
}

func (s *Store) scanCombos(ctx context.Context, p *plan, q object, fields []string, f func(values []string, n int64) error) error {
	values := make([]string, len(fields))
	return s.scan(ctx, p, q, func(e *event.Event) error {
		for i, name := range fields {
			switch name {
			case event.Timestamp:
				values[i] = event.FormatTime(e.Time)
			case query.ID:
				values[i] = e.ID
			default:
				values[i], _ = e.Get(name)
			}
		}
		return f(values, 1)
	})
}

// nest is the aggregation over the fields, one within the other.
func nest(fields []string) object {
	if len(fields) == 0 {
		return object{}
	}
	inner := nest(fields[1:])
	value := object{"terms": object{"field": query.ElasticFields, "include": query.ElasticInclude(fields[0], ""), "size": mostValues, "shard_size": mostValues, "order": object{"_key": "asc"}}}
	none := object{"filter": not(object{"term": object{query.ElasticNames: fields[0]}})}
	if len(inner) > 0 {
		value["aggs"], none["aggs"] = inner, inner
	}
	return object{"value": value, "none": none}
}

// terms answers by one aggregation. It calls f only when it has everything.
func (s *Store) terms(ctx context.Context, q object, fields []string, f func(values []string, n int64) error) error {
	body := object{"query": q, "track_total_hits": true}
	if len(fields) > 0 {
		body["aggs"] = nest(fields)
	}
	a, err := s.ask(ctx, body)
	if err != nil {
		if strings.Contains(err.Error(), "too_many_buckets") || strings.Contains(err.Error(), "Trying to create too many buckets") {
			return errOverflow
		}
		return err
	}
	type combo struct {
		values []string
		n      int64
	}
	var all []combo
	var visit func(value, none json.RawMessage, n int64, before []string) error
	visit = func(value, none json.RawMessage, n int64, before []string) error {
		if len(before) == len(fields) {
			if n > 0 {
				all = append(all, combo{before, n})
			}
			return nil
		}
		list, err := termBuckets(value)
		if err != nil {
			return err
		}
		if list.Others > 0 {
			return errOverflow
		}
		for _, b := range list.Buckets {
			_, v, _ := query.ElasticFieldOf(b.Key)
			if err := visit(b.Value, b.None, b.Count, append(before[:len(before):len(before)], v)); err != nil {
				return err
			}
		}
		var rest bucket
		if len(none) > 0 {
			if err := json.Unmarshal(none, &rest); err != nil {
				return fmt.Errorf("cannot understand an aggregation of Elasticsearch: %w", err)
			}
		}
		return visit(rest.Value, rest.None, rest.Count, append(before[:len(before):len(before)], ""))
	}
	if err := visit(a.Aggs["value"], a.Aggs["none"], a.Hits.Total.Value, nil); err != nil {
		return err
	}
	for _, c := range all {
		if err := f(c.values, c.n); err != nil {
			return err
		}
	}
	return nil
}

// pages goes through all values of one field that has very many, in their order.
func (s *Store) pages(ctx context.Context, q object, field string, f func(values []string, n int64) error) error {
	first, behind := query.ElasticTerms(field)
	after := json.RawMessage(mustJSON(object{"value": first}))
	total, err := s.count(ctx, q)
	if err != nil {
		return err
	}
	for {
		a, err := s.ask(ctx, object{"query": q, "aggs": object{"values": object{"composite": object{
			"size": mostValues, "after": after, "sources": []object{{"value": object{"terms": object{"field": query.ElasticFields}}}},
		}}}})
		if err != nil {
			return err
		}
		var page struct {
			After   json.RawMessage `json:"after_key"`
			Buckets []struct {
				Key   struct{ Value string }
				Count int64 `json:"doc_count"`
			}
		}
		if err := json.Unmarshal(a.Aggs["values"], &page); err != nil {
			return fmt.Errorf("cannot understand an aggregation of Elasticsearch: %w", err)
		}
		for _, b := range page.Buckets {
			if b.Key.Value >= behind {
				page.After = nil
				break
			}
			_, v, _ := query.ElasticFieldOf(b.Key.Value)
			if err := f([]string{v}, b.Count); err != nil {
				return err
			}
			total -= b.Count
		}
		if after = page.After; len(after) == 0 {
			if total > 0 {
				return f([]string{""}, total)
			}
			return nil
		}
	}
}

// partial is the error of an answer that is longer than the store gives.
func partial(what string) error {
	return fmt.Errorf("%w: more than %d %s", storage.ErrPartial, mostGroups, what)
}
