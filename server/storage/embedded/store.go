package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logstorage"

	"github.com/tallylog/tally/server/storage"
)

// Defaults of Options, and the shortest interval and retention that logstorage can work with.
const (
	defaultRetention = 30 * 24 * time.Hour
	defaultFuture    = 48 * time.Hour
	defaultMinFree   = 256 << 20
	minFlush         = time.Second
)

// Options says how long and how much a store keeps.
type Options struct {
	// Retention is the age at which rows are refused, and their day deleted; 0 means 30 days. Whole UTC days are deleted, so
	// what is stored stays up to a day longer, and at least 24 hours.
	Retention time.Duration
	// MaxBytes is the size on disk above which the oldest days are deleted, though never the newest two; 0 means no bound.
	MaxBytes int64
	// FutureRetention is how far ahead of the clock an event may be; 0 means 48 hours. The intake moves events that are
	// further ahead to their time of arrival before they are buffered, so that a replay finds them on the same day; one that
	// comes here nevertheless is dropped and counted.
	FutureRetention time.Duration
	// MinFreeBytes of the file system stay free: Append waits sooner than use them. 0 means 256 MiB.
	MinFreeBytes int64
	// FlushInterval is how long rows stay in memory before they are written; 0 means the least, a second. Sync takes two.
	FlushInterval time.Duration
	// After is the sequence number of the checkpoint: every batch up to it is durable in full.
	After uint64
	// Log takes what the store and logstorage say; nil means slog.Default().
	Log *slog.Logger
}

func (o *Options) setDefaults() {
	if o.Retention <= 0 {
		o.Retention = defaultRetention
	}
	if o.FutureRetention <= 0 {
		o.FutureRetention = defaultFuture
	}
	if o.MinFreeBytes <= 0 {
		o.MinFreeBytes = defaultMinFree
	}
	o.FlushInterval = max(o.FlushInterval, minFlush)
	if o.Log == nil {
		o.Log = slog.Default()
	}
}

var errClosed = errors.New("the store is closed")

// Store is a storage.Store in a folder of the local disk.
type Store struct {
	o   Options
	dir string
	ls  *logstorage.Storage

	gate    gate
	stop    context.Context // done when Close begins; ends the searches under way
	stopped context.CancelFunc

	stored  map[seqDay]struct{} // pairs behind the checkpoint that were on disk at Open
	columns columns             // of the rows that may still wait in a buffer of logstorage
	build   rowBuilder
	space   space

	appended atomic.Uint64 // batches handed over
	flushMu  sync.Mutex
	flushed  uint64 // of those, known to be searchable; under flushMu
	synced   uint64 // of those, known to be durable; the feeder's own

	tenants tenants

	dropMu  sync.Mutex
	dropped map[string]int64
}

var _ storage.Store = (*Store)(nil)

// Open opens the store in dir, which is created when it is missing, and finds out which batches behind o.After it already
// holds. Damage to the files that logstorage cannot mend ends the process with a message.
func Open(dir string, o Options) (*Store, error) {
	o.setDefaults()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot create folder %q: %w", dir, err)
	}
	s := &Store{o: o, dir: dir, dropped: map[string]int64{}, space: space{dir: dir, reserve: uint64(o.MinFreeBytes), log: o.Log}}
	s.space.unstored = s.inMemory
	if err := s.tenants.open(filepath.Join(dir, "tenants")); err != nil {
		return nil, err
	}
	routeLogs(o.Log)
	s.stop, s.stopped = context.WithCancel(context.Background())
	s.ls = logstorage.MustOpenStorage(filepath.Join(dir, "rows"), &logstorage.StorageConfig{
		Retention:              o.Retention,
		MaxDiskSpaceUsageBytes: o.MaxBytes,
		FlushInterval:          o.FlushInterval,
		FutureRetention:        o.FutureRetention,
	})
	if err := s.findStored(s.stop); err != nil {
		s.stopped()
		s.ls.MustClose()
		return nil, fmt.Errorf("cannot find the batches stored behind %d: %w", o.After, err)
	}
	return s, nil
}

// inMemory is the size of the parts that are not on disk yet. Rows that are no part yet are not counted: they are a few
// megabytes, for which the reserve has room.
func (s *Store) inMemory() uint64 {
	var st logstorage.StorageStats
	s.ls.UpdateStats(&st)
	return st.CompressedInmemorySize
}

// Close ends the searches under way, waits for them, makes everything durable and closes the files.
func (s *Store) Close() error {
	s.stopped()
	if s.gate.shut() {
		s.ls.MustClose()
	}
	return nil
}

// gate counts the calls that are inside, so that Close can wait for them. Unlike a read lock it lets a caller that is
// inside enter again while somebody waits to shut it.
type gate struct {
	mu     sync.Mutex
	closed bool
	inside sync.WaitGroup
}

func (g *gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return errClosed
	}
	g.inside.Add(1)
	return nil
}

func (g *gate) leave() { g.inside.Done() }

// shut waits until all have left, and tells whether this call was the one that closed.
func (g *gate) shut() bool {
	g.mu.Lock()
	first := !g.closed
	g.closed = true
	g.mu.Unlock()
	g.inside.Wait()
	return first
}
