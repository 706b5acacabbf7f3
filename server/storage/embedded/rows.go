package embedded

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// Rows is storage.Store's. It walks from one end of the time range to the other in slices that hold about a page of rows
// each, and delivers a page when it is sorted. A slice that turns out to hold more than fits the memory of a page (many
// rows of one and the same time) is read again from behind the last row delivered.
//
// No file of the store is held while f runs: a slow reader keeps nothing from being deleted or closed.
func (s *Store) Rows(ctx context.Context, r storage.RowsRequest, f func(e *event.Event) error) (string, error) {
	if r.Limit <= 0 {
		return "", fmt.Errorf("cannot deliver %d rows", r.Limit)
	}
	if err := s.settle(); err != nil {
		return "", err
	}
	hash := queryHash(&r)
	w := walk{s: s, asc: r.Asc, tenant: r.Tenant, filter: filter(r.Expr), pipe: rowsPipe(r.Fields), rate: firstSlice}
	w.start, w.end = bounds(&r.Search)
	w.page = newPage(&r)
	_, all := r.Expr.(query.All)
	w.glances = r.Expr != nil && !all
	if r.Cursor != "" {
		last, err := parseCursor(r.Cursor, hash)
		if err != nil {
			return "", err
		}
		w.continueBehind(last)
	}
	for left := r.Limit; ; {
		more, err := w.next(ctx, left)
		if err != nil {
			return w.cursor(hash), err
		}
		for i := range w.page.rows {
			row := &w.page.rows[i]
			if err := ended(ctx); err != nil {
				return w.cursor(hash), err
			}
			if err := f(&row.event); err != nil {
				return w.cursor(hash), err
			}
			w.last, w.any = row.key(), true
		}
		left -= len(w.page.rows)
		switch {
		case !more:
			return "", nil
		case left == 0:
			return w.cursor(hash), nil
		}
	}
}

// rowsPipe asks for the columns wanted and those of the order. Where all are wanted it excludes what must not be read: with
// _stream among the columns, logstorage leaves out rows whose stream is not in its index yet.
func rowsPipe(fields []string) string {
	if len(fields) == 0 {
		return " | delete _stream, _stream_id, " + colSeq + ", " + colGlue
	}
	return fmt.Sprintf(" | fields %s, %s, %s, %q, %s", colTime, colID, colMsg, colFrom, columnList(fields))
}

// firstSlice is the width of the first slice tried.
const firstSlice = int64(time.Second)

// walk goes over the rows of [start, end); what it has passed is no longer in there.
type walk struct {
	s          *Store
	asc        bool
	tenant     uint32
	filter     string
	pipe       string
	start, end int64
	glances    bool  // a glance at the whole comes first
	narrowed   bool  // start and end are those of rows that exist
	rate       int64 // width of the slice to try next
	last       key   // of the row delivered last
	any        bool  // last is set
	page       *page
}

// glanceTime is how long is tried whether the whole range holds so few rows that no slices are needed.
const glanceTime = 60 * time.Millisecond

var errMany = errors.New("too many rows for a glance")

// glance answers at once what a rare word needs many slices for: the index finds its few rows fast, wherever they are. Where
// there are many it notices soon, and where the index is of no help after glanceTime; then done is false.
func (w *walk) glance(ctx context.Context, want int) (done, more bool, err error) {
	short, cancel := context.WithTimeout(ctx, glanceTime)
	defer cancel()
	w.page.reset(want, w.last, w.any)
	seen, most := 0, max(tooMany*want, atLeast)
	err = w.s.runRows(short, tenantIDs(w.tenant), timeFilter(w.start, w.end)+" "+w.filter+w.pipe, func(b *block) error {
		if seen += b.n; seen > most {
			return errMany
		}
		return w.page.add(b)
	})
	switch {
	case ctx.Err() != nil:
		return false, false, ended(ctx)
	case errors.Is(err, errMany), short.Err() != nil:
		return false, false, nil
	case err != nil:
		return false, false, err
	}
	w.page.finish()
	if !w.page.overflowed {
		w.pass(w.start, w.end)
		return true, false, nil
	}
	w.continueBehind(w.page.rows[len(w.page.rows)-1].key())
	return true, true, nil
}

func (w *walk) cursor(hash uint64) string {
	if !w.any {
		return ""
	}
	return formatCursor(w.last, hash)
}

func (w *walk) continueBehind(last key) {
	w.last, w.any = last, true
	if w.asc {
		w.start = max(w.start, last.time)
	} else {
		w.end = min(w.end, last.time+1)
	}
}

// slice is the part of the given width at the near end of what is left.
func (w *walk) slice(width int64) (start, end int64) {
	if width >= w.end-w.start {
		return w.start, w.end
	}
	if w.asc {
		return w.start, w.start + width
	}
	return w.end - width, w.end
}

func (w *walk) pass(start, end int64) {
	if w.asc {
		w.start = end
	} else {
		w.end = start
	}
}

// next fills the page with the next rows, at most left of them, and tells whether there may be more behind them.
func (w *walk) next(ctx context.Context, left int) (more bool, err error) {
	size := w.page.size()
	want := min(left, size)
	if w.glances {
		w.glances = false
		if done, more, err := w.glance(ctx, want); done || err != nil {
			return more, err
		}
	}
	few, many := int64(min(left, size/2)), int64(min(size, max(tooMany*left, atLeast)))
	for {
		if !w.narrowed {
			if err := w.narrow(ctx); err != nil {
				return false, err
			}
		}
		if w.start >= w.end {
			w.page.reset(0, w.last, w.any)
			return false, nil
		}
		width, n, err := w.fit(ctx, few, max(few, many))
		if err != nil {
			return false, err
		}
		start, end := w.slice(width)
		if n == 0 {
			w.pass(start, end)
			w.narrowed = false // what is empty may be followed by a gap without any row
			w.rate = grow(width)
			continue
		}
		w.page.reset(want, w.last, w.any)
		text := timeFilter(start, end) + " " + w.filter + w.pipe
		if err := w.s.runRows(ctx, tenantIDs(w.tenant), text, w.page.add); err != nil {
			return false, err
		}
		w.page.finish()
		if w.page.overflowed {
			w.continueBehind(w.page.rows[len(w.page.rows)-1].key())
			w.rate = max(1, width/4)
		} else {
			w.pass(start, end)
			w.rate = width
		}
		if len(w.page.rows) == 0 && w.start < w.end { // all of them stand before the cursor
			continue
		}
		return w.start < w.end || w.page.overflowed, nil
	}
}

// narrow moves start and end to the first and the last row there is, matching or not: that is in the headers of the blocks.
func (w *walk) narrow(ctx context.Context) error {
	if w.start >= w.end {
		return nil
	}
	text := timeFilter(w.start, w.end) + " * | stats min(_time) as a, max(_time) as b"
	var first, last int64
	var some bool
	err := w.s.run(ctx, tenantIDs(w.tenant), text, func(b *block) error {
		var ok bool
		if first, some = event.ParseTime(b.column("a")[0]); some {
			if last, ok = event.ParseTime(b.column("b")[0]); !ok {
				return fmt.Errorf("%q is no time", b.column("b")[0])
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !some {
		w.start = w.end
		return nil
	}
	w.start, w.end, w.narrowed = max(w.start, first), min(w.end, last+1), true
	return nil
}

// A slice may hold tooMany times the rows that are left to deliver, or atLeast. mostCuts is how often a width between one
// with too few rows and one with too many is tried: a page copes with any number, it only costs time.
const (
	tooMany  = 4
	atLeast  = 1000
	mostCuts = 12
)

// fit finds a width with few to many rows; with less where that is all that is left, or where there are none.
func (w *walk) fit(ctx context.Context, few, many int64) (width, n int64, err error) {
	narrow, wide := int64(0), int64(math.MaxInt64) // widths known to hold too few, and too many
	width = w.rate
	for cuts := 0; ; cuts++ {
		start, end := w.slice(width)
		if n, err = w.s.count(ctx, w.tenant, timeFilter(start, end)+" "+w.filter); err != nil {
			return 0, 0, err
		}
		switch {
		case n > many:
			wide = min(width, w.end-w.start)
		case n >= few || width >= w.end-w.start || n == 0 && wide == math.MaxInt64:
			return width, n, nil
		default:
			narrow = width
		}
		if wide == math.MaxInt64 {
			width = grow(width)
			continue
		}
		if wide-narrow <= 1 || cuts > mostCuts {
			return wide, max(n, 1), nil
		}
		if narrow == 0 {
			width = int64(float64(wide) * float64(few+many) / 2 / float64(n))
		} else {
			width = narrow + (wide-narrow)/2
		}
		width = min(max(width, narrow+1), wide-1)
	}
}

func grow(width int64) int64 {
	if width > math.MaxInt64/4 {
		return width
	}
	return width * 4
}

// count is the number of rows that a filter selects.
func (s *Store) count(ctx context.Context, tenant uint32, selected string) (n int64, err error) {
	err = s.run(ctx, tenantIDs(tenant), selected+" | stats count() as n", func(b *block) (err error) {
		n, err = strconv.ParseInt(b.column("n")[0], 10, 64)
		return err
	})
	return n, err
}

// Count is storage.Store's.
func (s *Store) Count(ctx context.Context, q storage.Search) (int64, error) {
	if err := s.settle(); err != nil {
		return 0, err
	}
	return s.count(ctx, q.Tenant, selected(&q))
}

// fieldName is the name of a column among the fields of an event; empty for those that are no fields: id and time, and
// what begins with one underscore.
func fieldName(column string) string {
	if strings.HasPrefix(column, "_") && !strings.HasPrefix(column, "__") && column != colMsg {
		return ""
	}
	return strings.Clone(query.FieldName(column))
}
