package embedded

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logstorage"

	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// maxTime is the end of all times: the last that nanoseconds in 64 bits, and RFC 3339 text of them, can hold is in 2262.
const maxTime = math.MaxInt64 - int64(time.Second)

func tenantIDs(n uint32) []logstorage.TenantID { return []logstorage.TenantID{{AccountID: n}} }

// timeFilter selects start <= time < end. It is text, with all nine digits and an open end, because logstorage takes a
// closed end that falls on a whole millisecond or second for all of it, and Query.AddTimeFilter closes its end.
func timeFilter(start, end int64) string {
	const layout = "2006-01-02T15:04:05.000000000Z"
	return "_time:[" + time.Unix(0, start).UTC().Format(layout) + "," + time.Unix(0, end).UTC().Format(layout) + ")"
}

// bounds are the times of a search, with everything for a bound that is missing.
func bounds(s *storage.Search) (start, end int64) {
	start, end = max(s.Start, 0), s.End
	if end == 0 || end > maxTime {
		end = maxTime
	}
	return start, max(start, end)
}

// filter is the text of an expression, complete in itself; no other text of a user reaches logstorage.
func filter(e query.Expr) string {
	if e == nil {
		return "*"
	}
	return "(" + query.LogsQLIndexed(e) + ")"
}

// selected is the filter of a whole search.
func selected(s *storage.Search) string {
	start, end := bounds(s)
	return timeFilter(start, end) + " " + filter(s.Expr)
}

// columnOf is the column of an event's field. What cannot be a column (see storable) is not there, under a name that no
// row has.
func columnOf(field string) string {
	c := query.StoreName(field)
	if c == "_" || strings.HasSuffix(c, "*") {
		return "_none"
	}
	return c
}

// column quotes columnOf for use behind a pipe.
func column(field string) string { return strconv.Quote(columnOf(field)) }

func columnList(fields []string) string {
	quoted := make([]string, len(fields))
	for i, f := range fields {
		quoted[i] = column(f)
	}
	return strings.Join(quoted, ", ")
}

// block is a number of rows as logstorage hands them out: its strings are only good until the callback returns.
type block struct {
	n       int
	columns []logstorage.BlockColumn
	data    *logstorage.DataBlock
	none    []string
	ns      []int64
}

// column returns the values of a column, one for each row; all empty where no row has it.
func (b *block) column(name string) []string {
	for i := range b.columns {
		if b.columns[i].Name == name {
			return b.columns[i].Values
		}
	}
	if len(b.none) < b.n {
		b.none = make([]string, b.n)
	}
	return b.none[:b.n]
}

// times returns the time of each row, in nanoseconds.
func (b *block) times() ([]int64, error) {
	if len(b.ns) == b.n {
		return b.ns, nil
	}
	var ok bool
	if b.ns, ok = b.data.GetTimestamps(b.ns[:0]); !ok {
		return nil, errors.New("a stored row has no time")
	}
	return b.ns, nil
}

// run calls f for each block of the answer of all classes together, one at a time, and turns the end of ctx into an error: logstorage
// stops early without one.
func (s *Store) run(ctx context.Context, tenants []logstorage.TenantID, text string, f func(b *block) error) error {
	return s.runIn(ctx, s.classes, tenants, text, f)
}

// runRows is run for a query whose pipes look at each row alone: the answers of the classes follow one another.
func (s *Store) runRows(ctx context.Context, tenants []logstorage.TenantID, text string, f func(b *block) error) error {
	for i := range s.classes {
		if err := s.runIn(ctx, s.classes[i:i+1], tenants, text, f); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) runIn(ctx context.Context, classes []*class, tenants []logstorage.TenantID, text string, f func(b *block) error) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	if err := ended(ctx); err != nil {
		return err
	}
	q, err := logstorage.ParseQuery(text)
	if err != nil {
		return fmt.Errorf("cannot compile the query: %w", err)
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.stop, cancel)()

	var mu sync.Mutex // logstorage calls back from all of its workers
	var b block
	var failed error
	err = query1(inner, classes, tenants, q, func(_ uint, data *logstorage.DataBlock) {
		mu.Lock()
		defer mu.Unlock()
		if failed != nil || inner.Err() != nil {
			return
		}
		b = block{n: data.RowsCount(), columns: data.Columns, data: data, none: b.none, ns: b.ns[:0]}
		if failed = f(&b); failed != nil {
			cancel()
		}
	})
	switch {
	case failed != nil:
		return failed
	case ended(ctx) != nil:
		return ended(ctx)
	case s.stop.Err() != nil:
		return errClosed
	case err != nil && strings.Contains(err.Error(), "of memory"):
		return fmt.Errorf("%w: %w", storage.ErrPartial, err)
	}
	return err
}

// query1 asks one class directly. Of several each gives what its part of the query yields, and the pipes that join rows run over that
// together, as logstorage does it for storages on several machines.
func query1(ctx context.Context, classes []*class, tenants []logstorage.TenantID, q *logstorage.Query, write logstorage.WriteDataBlockFunc) error {
	for _, c := range classes {
		c.use.RLock()
		defer c.use.RUnlock()
	}
	if len(classes) == 1 {
		return classes[0].ls.RunQuery(ctx, tenants, q, write)
	}
	// Each class is a worker of its own: the states of one worker replace each other, those of several are merged.
	search := func(ctx context.Context, q *logstorage.Query, write logstorage.WriteDataBlockFunc) error {
		for worker, c := range classes {
			var mu sync.Mutex
			err := c.ls.RunQuery(ctx, tenants, q, func(_ uint, data *logstorage.DataBlock) {
				mu.Lock()
				defer mu.Unlock()
				write(uint(worker), data)
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	subquery := func(ctx context.Context, _ []logstorage.TenantID, q *logstorage.Query, write logstorage.WriteDataBlockFunc) error {
		return search(ctx, q, write)
	}
	run, err := logstorage.NewNetQueryRunner(ctx, tenants, q, subquery, write)
	if err != nil {
		return err
	}
	return run.Run(ctx, len(classes), func(stop <-chan struct{}, q *logstorage.Query, write logstorage.WriteDataBlockFunc) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() {
			select {
			case <-stop:
				cancel()
			case <-ctx.Done():
			}
		}()
		return search(ctx, q, write)
	})
}

// ended says how ctx ended a search, if it did.
func ended(ctx context.Context) error {
	err := ctx.Err()
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", storage.ErrPartial, err)
	}
	return err
}
