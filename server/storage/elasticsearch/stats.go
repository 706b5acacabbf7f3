package elasticsearch

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/stringsutil"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// Stats is storage.Store's. Elasticsearch counts the values of each group, and the functions are computed of these counts: exactly,
// with numbers as the texts they came as.
func (s *Store) Stats(ctx context.Context, r storage.StatsRequest) ([]storage.StatsRow, error) {
	if err := checkFunc(r.Func); err != nil {
		return nil, err
	}
	fields := slices.Clone(r.By)
	if r.Func.Field != "" {
		fields = append(fields, r.Func.Field)
	}
	var groups map[string]*group
	err := s.with(ctx, &r.Search, func(p *plan) (err error) {
		groups, err = s.groups(ctx, p, &r, fields)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(r.By) == 0 && len(groups) == 0 {
		groups[""] = &group{}
	}
	rows := make([]storage.StatsRow, 0, len(groups))
	for _, g := range groups {
		rows = append(rows, storage.StatsRow{By: g.by, Result: g.result(r.Func)})
	}
	slices.SortFunc(rows, storage.CompareStats)
	switch {
	case r.Top > 0:
		rows = rows[:min(r.Top, len(rows))]
	case len(rows) > mostGroups:
		return rows[:mostGroups], partial("groups")
	}
	return rows, nil
}

// groups counts the values of the fields, which are those of By and the one of the function.
func (s *Store) groups(ctx context.Context, p *plan, r *storage.StatsRequest, fields []string) (map[string]*group, error) {
	groups := map[string]*group{}
	held := 0
	var key []byte
	return groups, s.combos(ctx, p, fields, func(values []string, n int64) error {
		by := values[:len(r.By)]
		key = key[:0]
		for _, v := range by {
			key = append(binary.AppendUvarint(key, uint64(len(v))), v...)
		}
		g := groups[string(key)]
		if g == nil {
			g = &group{by: slices.Clone(by)}
			groups[string(key)] = g
			held++
		}
		if r.Func.Field == "" {
			g.events += n
		} else if v := values[len(r.By)]; v != "" && g.add(r.Func, v, n) {
			held++
		}
		if held > mostHeld {
			return partial("groups and values")
		}
		return nil
	})
}

func checkFunc(f storage.Func) error {
	switch f.Name {
	case "count":
		return nil
	case "uniq", "min", "max", "avg", "sum", "p50", "p90", "p95", "p99":
		if f.Field == "" {
			return fmt.Errorf("cannot compute %q without a field", f.Name)
		}
		return nil
	}
	return fmt.Errorf("cannot compute %q: no such function", f.Name)
}

// group is what is known of the events with the same values.
type group struct {
	by      []string
	events  int64
	numbers int64
	sum     float64
	best    string           // the smallest or the largest value
	values  map[string]int64 // for those functions that need all
}

// add counts n events with a value, and tells whether it has to be held.
func (g *group) add(f storage.Func, v string, n int64) (held bool) {
	first := g.events == 0
	g.events += n
	switch f.Name {
	case "min":
		if first || less(v, g.best) {
			g.best = strings.Clone(v)
		}
	case "max":
		if first || less(g.best, v) {
			g.best = strings.Clone(v)
		}
	case "sum", "avg":
		if x, err := strconv.ParseFloat(v, 64); err == nil && query.IsNumber(v) {
			g.sum += x * float64(n)
			g.numbers += n
		}
	case "count":
	default:
		if g.values == nil {
			g.values = map[string]int64{}
		}
		before := len(g.values)
		g.values[v] += n
		return len(g.values) > before
	}
	return false
}

func (g *group) result(f storage.Func) string {
	number := func(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
	switch f.Name {
	case "count":
		return strconv.FormatInt(g.events, 10)
	case "uniq":
		return strconv.Itoa(len(g.values))
	case "min", "max":
		return g.best
	case "sum", "avg":
		if g.numbers == 0 {
			return ""
		}
		if f.Name == "avg" {
			return number(g.sum / float64(g.numbers))
		}
		return number(g.sum)
	}
	phi, _ := strconv.ParseFloat("0."+f.Name[1:], 64)
	return g.quantile(phi)
}

func (g *group) quantile(phi float64) string {
	if len(g.values) == 0 {
		return ""
	}
	values := make([]string, 0, len(g.values))
	for v := range g.values {
		values = append(values, v)
	}
	slices.SortFunc(values, func(a, b string) int {
		switch {
		case less(a, b):
			return -1
		case less(b, a):
			return 1
		}
		return strings.Compare(a, b)
	})
	rank := min(int64(phi*float64(g.events)), g.events-1)
	for _, v := range values {
		if rank -= g.values[v]; rank < 0 {
			return v
		}
	}
	return values[len(values)-1]
}

// less orders values: numbers and times as such, all else in natural order.
func less(a, b string) bool {
	if query.IsNumber(a) && query.IsNumber(b) {
		x, _ := strconv.ParseFloat(a, 64)
		y, _ := strconv.ParseFloat(b, 64)
		if x != y || a == b {
			return x < y
		}
	}
	if x, ok := event.ParseTime(a); ok && len(a) > 10 {
		if y, ok := event.ParseTime(b); ok && len(b) > 10 && x != y {
			return x < y
		}
	}
	return stringsutil.LessNatural(a, b)
}
