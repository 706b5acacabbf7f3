package embedded

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// fieldsAtOnce is the number of fields whose events are counted by one query.
const fieldsAtOnce = 100

func compareNames(a, b storage.NameCount) int {
	return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Name, b.Name))
}

// Fields is storage.Store's. logstorage lists the columns of the blocks that the search touches; whether the events found
// have them, and how many, is then counted.
func (s *Store) Fields(ctx context.Context, r storage.Search) ([]storage.NameCount, error) {
	total, err := s.Count(ctx, r)
	if err != nil || total == 0 {
		return nil, err
	}
	found := []storage.NameCount{{Name: colID, Count: total}, {Name: event.Timestamp, Count: total}, {Name: event.Message, Count: total}}
	var columns []string
	err = s.runRows(ctx, tenantIDs(r.Tenant), selected(&r)+" | field_names", func(b *block) error {
		for _, c := range b.column("name") {
			if c != colMsg && fieldName(c) != "" {
				columns = append(columns, strings.Clone(c))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(columns)
	for chunk := range slices.Chunk(slices.Compact(columns), fieldsAtOnce) {
		counted, err := s.countFields(ctx, &r, chunk)
		if err != nil {
			return nil, err
		}
		found = append(found, counted...)
	}
	slices.SortFunc(found, compareNames)
	return found, nil
}

func (s *Store) countFields(ctx context.Context, r *storage.Search, columns []string) (found []storage.NameCount, err error) {
	funcs := make([]string, len(columns))
	for i, c := range columns {
		funcs[i] = fmt.Sprintf("count(%q) as n%d", c, i)
	}
	text := selected(r) + " | stats " + strings.Join(funcs, ", ")
	counts := make([]int64, len(columns))
	err = s.runRows(ctx, tenantIDs(r.Tenant), text, func(b *block) error { // one answer of each class
		for i := range columns {
			n, err := strconv.ParseInt(b.column(fmt.Sprintf("n%d", i))[0], 10, 64)
			if err != nil {
				return err
			}
			counts[i] += n
		}
		return nil
	})
	for i, n := range counts {
		if n > 0 {
			found = append(found, storage.NameCount{Name: fieldName(columns[i]), Count: n})
		}
	}
	return found, err
}

// Values is storage.Store's. limit of 0 or less means all, as far as the store is willing.
func (s *Store) Values(ctx context.Context, r storage.Search, field, prefix string, limit int) ([]storage.NameCount, error) {
	if err := s.settle(); err != nil {
		return nil, err
	}
	col := columnOf(field)
	text := selected(&r)
	if prefix != "" && col != colTime { // a filter of logstorage on _time is one of time, not of text
		text += fmt.Sprintf(" %q:=%q*", col, prefix)
	}
	best := leading[storage.NameCount]{most: limit, compare: compareNames}
	if limit <= 0 {
		best.most = mostGroups
	}
	text += fmt.Sprintf(" | stats by (%q) count() as %s", col, colResult)
	err := s.run(ctx, tenantIDs(r.Tenant), text, func(b *block) error {
		counts := b.column(colResult)
		for i, v := range b.column(col) {
			v = query.FieldValue(v)
			if v == "" || !strings.HasPrefix(v, prefix) {
				continue
			}
			n, err := strconv.ParseInt(counts[i], 10, 64)
			if err != nil {
				return err
			}
			best.add(storage.NameCount{Name: strings.Clone(v), Count: n})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	values := best.sorted()
	if limit <= 0 && best.dropped {
		err = fmt.Errorf("%w: more than %d values", storage.ErrPartial, mostGroups)
	}
	return values, err
}
