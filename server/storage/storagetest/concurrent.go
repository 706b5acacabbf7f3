package storagetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// testConcurrent reads in every way while batches are appended: what was there from the start must always be found.
func testConcurrent(t *testing.T, h *harness) {
	old := h.spread(1500)
	s := storage.Search{Expr: query.Present{Field: "third"}}
	var readers sync.WaitGroup
	errs := make(chan error, 100)
	read := func(f func() error) {
		readers.Go(func() {
			for range 4 {
				if err := f(); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wanted := func(what string, n int64, err error) error {
		if err == nil && n != int64(len(old)) {
			err = fmt.Errorf("%s: %d events, want %d", what, n, len(old))
		}
		return err
	}
	read(func() error {
		n, err := h.Count(context.Background(), s)
		return wanted("count", n, err)
	})
	for _, asc := range []bool{true, false} {
		read(func() error {
			n, last := int64(0), int64(0)
			_, err := h.Rows(context.Background(), storage.RowsRequest{Search: s, Asc: asc, Limit: 10_000}, func(e *event.Event) error {
				if n++; n > 1 && e.Time != last && (e.Time > last) != asc {
					return fmt.Errorf("time %d comes behind %d", e.Time, last)
				}
				last = e.Time
				return nil
			})
			return wanted("rows", n, err)
		})
	}
	read(func() error {
		hits, err := h.Hits(context.Background(), storage.HitsRequest{Search: s, Step: time.Hour, By: []string{"third"}})
		n := int64(0)
		for _, hit := range hits {
			n += hit.Count
		}
		return wanted("hits", n, err)
	})
	read(func() error {
		found, err := h.Has(context.Background(), 0, ids(old))
		return wanted("has", int64(len(found)), err)
	})
	read(func() error {
		_, err := h.Usage(context.Background())
		return err
	})
	written := 0
	for i := range 60 {
		b := h.batch(uint64(1000+i), 100)
		h.ok(h.Append(context.Background(), b))
		written += len(b.Events)
	}
	readers.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	h.visible(0)
	n, err := h.Count(context.Background(), storage.Search{})
	h.ok(err)
	equal(t, "rows in the end", n, len(old)+written)
}
