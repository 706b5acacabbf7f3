package embedded

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// Bounds of answers. What goes beyond is an error that wraps storage.ErrPartial.
const (
	mostGroups  = 100_000 // groups or values of a request that names no number
	mostHits    = 1_000_000
	defaultHits = 100 // combinations of values of a HitsRequest that names no number
)

// colResult names what a pipe computes; no field of an event can have that name.
const colResult = colSeq

// Hits is storage.Store's.
func (s *Store) Hits(ctx context.Context, r storage.HitsRequest) ([]storage.Hit, error) {
	if r.Step <= 0 {
		return nil, fmt.Errorf("cannot count by steps of %v", r.Step)
	}
	if err := s.settle(); err != nil {
		return nil, err
	}
	groups, err := s.commonest(ctx, &r)
	if err != nil {
		return nil, err
	}
	others := groupKey(nil, make([]string, len(r.By)))
	groups[string(others)] = groupNames(r.By, make([]string, len(r.By)))
	step := int64(r.Step)
	offset := (int64(r.Offset)%step + step) % step
	by := fmt.Sprintf("_time:%d offset %d", step, offset)
	if len(r.By) > 0 {
		by += ", " + columnList(r.By)
	}
	type slot struct {
		time int64
		key  string
	}
	counts := map[slot]int64{}
	text := fmt.Sprintf("%s | stats by (%s) count() as %s", selected(&r.Search), by, colResult)
	var key []byte
	err = s.run(ctx, tenantIDs(r.Tenant), text, func(b *block) error {
		g := readGroups(b, r.By)
		times, results := b.column(colTime), b.column(colResult)
		for i := range b.n {
			t, ok := event.ParseTime(times[i])
			n, err := strconv.ParseInt(results[i], 10, 64)
			if !ok || err != nil {
				return fmt.Errorf("cannot read %q events at %q", results[i], times[i])
			}
			if key = groupKey(key[:0], g.values(i)); groups[string(key)] == nil {
				key = append(key[:0], others...)
			}
			counts[slot{t, string(key)}] += n
		}
		if len(counts) > mostHits {
			return fmt.Errorf("%w: more than %d steps with events", storage.ErrPartial, mostHits)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	hits := make([]storage.Hit, 0, len(counts))
	for at, n := range counts {
		hits = append(hits, storage.Hit{Time: at.time, By: groups[at.key], Count: n})
	}
	slices.SortFunc(hits, func(a, b storage.Hit) int {
		c := cmp.Compare(a.Time, b.Time)
		for i := 0; c == 0 && i < len(r.By); i++ {
			c = strings.Compare(a.By[r.By[i]], b.By[r.By[i]])
		}
		return c
	})
	return hits, nil
}

// commonest returns the groups of a request that are counted on their own, by their keys.
func (s *Store) commonest(ctx context.Context, r *storage.HitsRequest) (map[string]map[string]string, error) {
	groups := map[string]map[string]string{}
	if len(r.By) == 0 {
		return groups, nil
	}
	top := r.Limit
	if top <= 0 {
		top = defaultHits
	}
	rows, err := s.Stats(ctx, storage.StatsRequest{Search: r.Search, Func: storage.Func{Name: "count"}, By: r.By, Top: top})
	for _, row := range rows {
		groups[string(groupKey(nil, row.By))] = groupNames(r.By, row.By)
	}
	return groups, err
}

func groupNames(by, values []string) map[string]string {
	names := make(map[string]string, len(by))
	for i, name := range by {
		names[name] = values[i]
	}
	return names
}

// groupKey appends the values of a group, each with its length before it.
func groupKey(b []byte, values []string) []byte {
	for _, v := range values {
		b = append(binary.AppendUvarint(b, uint64(len(v))), v...)
	}
	return b
}

// groups reads the values of the fields that an answer is grouped by.
type groups struct {
	columns [][]string
	row     []string
}

func readGroups(b *block, by []string) *groups {
	g := &groups{row: make([]string, len(by))}
	for _, field := range by {
		g.columns = append(g.columns, b.column(columnOf(field)))
	}
	return g
}

// values returns those of row i; they are good until the next call.
func (g *groups) values(i int) []string {
	for k := range g.columns {
		g.row[k] = query.FieldValue(g.columns[k][i])
	}
	return g.row
}

// Stats is storage.Store's. The functions are those of logstorage: avg and sum take numbers alone; min and max compare
// numbers as numbers and other text in natural order; percentiles are exact up to some ten thousand values of a group, and of
// a random sample beyond.
func (s *Store) Stats(ctx context.Context, r storage.StatsRequest) ([]storage.StatsRow, error) {
	fn, err := statsFunc(r.Func)
	if err == nil {
		err = s.settle()
	}
	if err != nil {
		return nil, err
	}
	by := ""
	if len(r.By) > 0 {
		by = "by (" + columnList(r.By) + ") "
	}
	best := leading[storage.StatsRow]{most: r.Top, compare: storage.CompareStats}
	if r.Top <= 0 {
		best.most = mostGroups
	}
	text := fmt.Sprintf("%s%s | stats %s%s as %s", selected(&r.Search), unmarked(r.Func), by, fn, colResult)
	err = s.run(ctx, tenantIDs(r.Tenant), text, func(b *block) error {
		g := readGroups(b, r.By)
		for i, result := range b.column(colResult) {
			row := storage.StatsRow{By: slices.Clone(g.values(i)), Result: strings.Clone(query.FieldValue(result))}
			for k := range row.By {
				row.By[k] = strings.Clone(row.By[k])
			}
			if row.Result == "NaN" {
				row.Result = ""
			}
			best.add(row)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	rows := best.sorted()
	if r.Top <= 0 && best.dropped {
		err = fmt.Errorf("%w: more than %d groups", storage.ErrPartial, mostGroups)
	}
	return rows, err
}

// unmarked takes the mark off the values that are to be taken for numbers.
func unmarked(f storage.Func) string {
	if f.Name == "count" || f.Name == "uniq" || f.Field == event.Timestamp {
		return ""
	}
	return fmt.Sprintf(" | replace (%q, \"\") at %s", query.Mark, column(f.Field))
}

func statsFunc(f storage.Func) (string, error) {
	if f.Name == "count" && f.Field == "" {
		return "count()", nil
	}
	if f.Field == "" {
		return "", fmt.Errorf("cannot compute %q without a field", f.Name)
	}
	field := column(f.Field)
	have := " if (" + field + ":*)" // the events without the field count as empty texts otherwise
	if f.Field == event.Timestamp {
		have = "" // every event has a time, and the store has no such filter for it
	}
	switch f.Name {
	case "uniq":
		return "count_uniq(" + field + ")", nil
	case "count":
		return "count(" + field + ")", nil
	case "min", "max":
		return f.Name + "(" + field + ")" + have, nil
	case "avg", "sum":
		return f.Name + "(" + field + ")" + ` if (` + field + `:~"^-?[0-9]+([.][0-9]+)?$")`, nil
	case "p50", "p90", "p95", "p99":
		return "quantile(0." + f.Name[1:] + ", " + field + ")" + have, nil
	}
	return "", fmt.Errorf("cannot compute %q: no such function", f.Name)
}

// leading keeps the first of what it is given, in the order of compare.
type leading[T any] struct {
	most    int
	compare func(a, b T) int
	items   []T
	dropped bool
}

func (l *leading[T]) add(item T) {
	l.items = append(l.items, item)
	if len(l.items) >= 2*l.most+1000 {
		l.sorted()
	}
}

func (l *leading[T]) sorted() []T {
	slices.SortFunc(l.items, l.compare)
	if len(l.items) > l.most {
		l.dropped = true
		clear(l.items[l.most:])
		l.items = l.items[:l.most]
	}
	return l.items
}
