package storage

import (
	"context"
	"time"

	"github.com/tallylog/tally/event"
)

// Partition is what a store removes as a whole: the rows of a day, of one class of retention and, where the store keeps them apart (an
// index of Elasticsearch), of one name.
type Partition struct {
	Name  string // the store's handle for it, unique
	Class string // of retention; see package retention
	Day   string // yyyy-mm-dd, UTC
	Bytes int64  // on disk
	Rows  int64  // where shares are not counted, without those that are in memory only
	// Shares part the rows among tenants and namespaces, where that is wanted; bytes are estimated by the rows.
	Shares []Share
}

// Share is what a tenant's namespace has in a partition; Namespace is empty for events without one.
type Share struct {
	Tenant    uint32
	Namespace string
	Rows      int64
	Bytes     int64
}

// Partitioned is a Store that can be told what to remove. Both methods may be called while rows come.
type Partitioned interface {
	// Partitions lists all there are, oldest day first; with counted, Shares are filled in, which may take a
	// while where rows are new; one that ctx cuts off goes on at the next call from where it was.
	Partitions(ctx context.Context, counted bool) ([]Partition, error)
	// Remove deletes the partition of that name. It is no error if there is none.
	Remove(ctx context.Context, name string) error
	// Horizon is the time before which rows of the event's class have been, or are about to be, removed, in nanoseconds. An event that
	// comes again from before it is refused by its range alone, since its id can no longer be looked up. 0: nothing was removed.
	Horizon(tenant uint32, e *event.Event) int64
}

// DayEnd is the end of a partition's day; ok is false for text that is no day.
func DayEnd(day string) (end time.Time, ok bool) {
	t, err := time.Parse(time.DateOnly, day)
	return t.AddDate(0, 0, 1), err == nil
}
