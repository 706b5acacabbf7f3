package storage

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/query"
)

// Batch is one record of the buffer, as the store takes it. Every event has its ID and Time.
type Batch struct {
	// Seq is the sequence number of the record; it is the store's handle for exactly-once.
	Seq uint64
	// Tenant is the number of the tenant that all events of the batch belong to; 0 is the tenant "default".
	Tenant uint32
	// Received is when the batch came, nanoseconds since 1970 UTC; 0 where it is not known. Events without a time have this one.
	Received int64
	Events   []event.Event
	// Rejected is for Append to fill: the events that the store can never take, in ascending order of Index. The feeder puts them
	// into the dead letters, durably, and makes their ranges gaps in the account.
	Rejected []Rejection
}

// Rejection names an event of a batch that the store can never take, and why.
type Rejection struct {
	Index  int // into Batch.Events
	Reason string
}

// ClientField names who sent an event: the client identity of the account. Admission puts it into every event.
const ClientField = "tally.client"

// Store keeps events and finds them again. All methods but Append and Sync may be called from many goroutines at once;
// those two are called by one goroutine, the feeder.
type Store interface {
	// Append adds the events of a batch that are not there yet: after a crash the feeder appends again every batch behind
	// the last checkpoint, and the store must not double what it had already made durable. The batch and its events are
	// the store's to read only until Append returns, and may be read by others meanwhile. While the store cannot take rows (a full disk), Append waits, until
	// ctx is done. Rows that the store can never take (older than its retention, refused by its mapping) are left out, named in
	// b.Rejected, and counted in Usage.
	Append(ctx context.Context, b *Batch) error

	// Sync returns when everything that was appended is durable and will be there after a crash.
	Sync(ctx context.Context) error

	// Has tells which of ids are stored. It sees every Append that has returned.
	Has(ctx context.Context, tenant uint32, ids []string) (map[string]bool, error)

	// Recover calls f for each stored event of the batch with sequence number seq, with tenant, ID, Time, Position and
	// ClientField set and nothing else. The server uses it to rebuild the account of a buffer record that was lost to corruption.
	Recover(ctx context.Context, seq uint64, f func(tenant uint32, e *event.Event) error) error

	Searcher

	// Usage tells what the store holds.
	Usage(ctx context.Context) (Usage, error)

	// Close makes everything durable and ends the store.
	Close() error
}

// ErrCursor is returned for a cursor that this store did not give out, or for another query.
var ErrCursor = errors.New("the cursor does not belong to this query")

// ErrPartial is returned (wrapped) when a bound of time or memory ended a search early; what was delivered before is
// right, but not all.
var ErrPartial = errors.New("the answer is partial")

// Unavailable is an error of a store that cannot be asked at present, though it may be later.
type Unavailable struct {
	Reason string // for everybody's eyes: it names no addresses
	Err    error
}

func (u *Unavailable) Error() string { return u.Reason + ": " + u.Err.Error() }
func (u *Unavailable) Unwrap() error { return u.Err }

// Search selects events: those of a tenant that match Expr, with Start <= time < End, in nanoseconds since 1970 UTC. A
// nil Expr matches all. Start and End of 0 mean: without that bound.
type Search struct {
	Tenant     uint32
	Expr       query.Expr
	Start, End int64
}

// RowsRequest is a Search whose rows are wanted one by one.
type RowsRequest struct {
	Search
	// Asc gives the oldest first, else the newest. Rows are ordered by time, then by position in the source, then by id.
	Asc bool
	// Limit is the largest number of rows delivered; above 0.
	Limit int
	// Fields names the fields wanted; empty means all. ID, Time and message are always delivered.
	Fields []string
	// Cursor, from an earlier call with the same Search and order, continues right behind the last row delivered then.
	Cursor string
}

// Hit is the number of events in one step of time, for one combination of values of the grouping fields.
type Hit struct {
	Time  int64 // start of the step, nanoseconds
	By    map[string]string
	Count int64
}

// HitsRequest counts over time. Steps are aligned to multiples of Step since 1970 plus Offset.
type HitsRequest struct {
	Search
	Step   time.Duration
	Offset time.Duration
	By     []string
	// Limit bounds the combinations of values of By; the rarer ones are summed under empty values. 0 means 100.
	Limit int
}

// Func is what Stats computes over the events of each group.
type Func struct {
	Name  string // count, uniq, min, max, avg, sum, p50, p90, p95, p99
	Field string // empty for count
}

// StatsRequest groups events by fields and computes one function for each group.
type StatsRequest struct {
	Search
	Func Func
	By   []string
	Top  int // the number of groups with the largest results; 0 means all, bounded by the store
}

// StatsRow is one group: the values of By, and the result as text of a number; empty where no event had the field.
type StatsRow struct {
	By     []string
	Result string
}

// CompareStats puts the largest number first, then texts, then what has no result; equals by the values of the group.
func CompareStats(a, b StatsRow) int {
	x, xerr := strconv.ParseFloat(a.Result, 64)
	y, yerr := strconv.ParseFloat(b.Result, 64)
	c := 0
	switch {
	case xerr == nil && yerr == nil:
		c = cmp.Compare(y, x)
	case xerr == nil:
		c = -1
	case yerr == nil:
		c = 1
	default:
		c = strings.Compare(b.Result, a.Result)
	}
	if c == 0 {
		c = slices.Compare(a.By, b.By)
	}
	return c
}

// NameCount is a field name, or a value, and the number of events that have it.
type NameCount struct {
	Name  string
	Count int64
}

// Searcher is the reading side of a Store. Every method obeys ctx: when it is cancelled they return its error; past its
// deadline they return an error that wraps ErrPartial, and never a partial answer without an error.
type Searcher interface {
	// Rows calls f with each row in order, at most Limit of them, and returns the cursor behind the last one ("" when
	// there can be no more). The event is f's only until it returns. An error of f ends the search and is returned.
	// Memory is bounded whatever Limit is.
	Rows(ctx context.Context, r RowsRequest, f func(e *event.Event) error) (cursor string, err error)
	Count(ctx context.Context, s Search) (int64, error)
	// Hits returns the steps that have events, ordered by time.
	Hits(ctx context.Context, r HitsRequest) ([]Hit, error)
	// Stats returns the groups, largest result first.
	Stats(ctx context.Context, r StatsRequest) ([]StatsRow, error)
	// Fields returns the names of the fields that events have, most frequent first.
	Fields(ctx context.Context, s Search) ([]NameCount, error)
	// Values returns the most frequent values of a field that begin with prefix.
	Values(ctx context.Context, s Search, field, prefix string, limit int) ([]NameCount, error)
}

// Usage is what a store holds and where it stands.
type Usage struct {
	Rows        int64
	Bytes       int64  // on disk
	RawBytes    int64  // of names and values before compression
	OldestDay   string // yyyy-mm-dd, empty when there is none
	ReadOnly    bool   // the store waits for space
	ReadOnlyWhy string
	// Dropped counts rows that the store could never take, by reason.
	Dropped map[string]int64
}
