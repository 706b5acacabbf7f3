package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logstorage"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/retention"
	"github.com/tallylog/tally/server/storage"
)

// Defaults of Options, and the shortest interval and retention that logstorage can work with.
const (
	defaultFuture  = 48 * time.Hour
	defaultMinFree = 256 << 20
	minFlush       = time.Second
)

// Options says how long and how much a store keeps.
type Options struct {
	// Retention is the age at which rows of the class "default" are refused; 0 means never. Nothing is removed but by Remove; MaxBytes
	// is only told by Limits.
	Retention time.Duration
	MaxBytes  int64
	// Rules divide the events into classes of retention, each with a limit of its own. When they differ from those of the time before,
	// what is stored stays in its class and keeps the last limit of that; every search looks at all classes.
	Rules retention.Rules
	// TenantName is the name of a tenant; always the same for a number. nil: its number.
	TenantName func(uint32) string
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
	// ReadOnly is for looking into a store of which the rules are not known: nothing is appended or removed, and the plan of classes is
	// left as it is.
	ReadOnly bool
	// Log takes what the store and logstorage say; nil means slog.Default().
	Log *slog.Logger
}

func (o *Options) setDefaults() {
	if o.TenantName == nil {
		o.TenantName = func(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
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

// limits are those of the classes that the options name.
func (o *Options) limits() map[string]retention.Limit {
	all := map[string]retention.Limit{retention.Default: {Age: o.Retention, Size: o.MaxBytes}}
	for _, r := range o.Rules {
		all[r.Name] = r.Limit
	}
	return all
}

var errClosed = errors.New("the store is closed")

// Store is a storage.Store in a folder of the local disk.
type Store struct {
	o   Options
	dir string

	classes []*class               // the first is "default"; the list does not change after Open
	chosen  func(*event.Event) int // for the suite of tests, in place of rules
	planMu  sync.Mutex
	plan    plan // its epochs do not change after Open

	gate    gate
	stop    context.Context // done when Close begins; ends the searches under way
	stopped context.CancelFunc

	build rowBuilder
	space space

	appended atomic.Uint64 // batches handed over
	flushMu  sync.Mutex
	flushed  uint64 // of those, known to be searchable; under flushMu
	synced   uint64 // of those, known to be durable; the feeder's own

	tenants tenants

	countMu sync.Mutex
	counts  map[string]counted // by the name of a partition

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
	s := &Store{o: o, dir: dir, dropped: map[string]int64{}, counts: map[string]counted{}, space: space{dir: dir, reserve: uint64(o.MinFreeBytes), log: o.Log}}
	s.space.unstored = s.inMemory
	if err := s.tenants.open(filepath.Join(dir, "tenants")); err != nil {
		return nil, err
	}
	routeLogs(o.Log)
	s.stop, s.stopped = context.WithCancel(context.Background())
	if err := s.openClasses(); err != nil {
		s.stopped()
		s.closeClasses()
		return nil, err
	}
	if o.ReadOnly {
		return s, nil
	}
	s.readCounts()
	highest, err := s.findStored(s.stop)
	if err == nil {
		err = s.planEpochs(highest)
	}
	if err != nil {
		s.stopped()
		s.closeClasses()
		return nil, fmt.Errorf("cannot find the batches stored behind %d: %w", o.After, err)
	}
	return s, nil
}

// inMemory is the size of the parts that are not on disk yet. Rows that are no part yet are not counted: they are a few
// megabytes, for which the reserve has room.
func (s *Store) inMemory() uint64 { return s.stats().CompressedInmemorySize }

// stats are the sums over all classes.
func (s *Store) stats() (st logstorage.StorageStats) {
	for _, c := range s.classes {
		c.stats(&st)
	}
	return st
}

func (s *Store) closeClasses() {
	for _, c := range s.classes {
		c.use.Lock()
		c.ls.MustClose()
	}
}

// Close ends the searches under way, waits for them, makes everything durable and closes the files.
func (s *Store) Close() error {
	s.stopped()
	if s.gate.shut() {
		s.closeClasses()
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
