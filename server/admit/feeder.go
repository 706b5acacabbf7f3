package admit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tallylog/tally/internal/failpoint"
	"github.com/tallylog/tally/server/buffer"
	"github.com/tallylog/tally/server/record"
	"github.com/tallylog/tally/server/storage"
)

// entry is a record on its way from buffer to store.
type entry struct {
	loc   buffer.Location
	batch *record.Batch // nil when memory was short: it is read back
	size  int64
	state entryState
	from  *ticket // nil for a record of before the start; once its done is closed the record is in the view of now
}

type entryState uint8

const (
	writing entryState = iota
	synced
	failed
)

// feeder moves records from the buffer into the store, in order, one at a time, and takes the checkpoints.
type feeder struct {
	a    *Admission
	mu   sync.Mutex
	wake *sync.Cond
	// queue holds the records behind the last one fed.
	queue []*entry
	held  int64
	seq   uint64 // all up to here are in the store
	last  uint64 // newest record pushed
	stop  bool
	err   error         // why feeding does not go on, nil when it does
	ask   *ask          // somebody wants it to pause at a checkpoint
	ended chan struct{} // closed when run returns
	// checkpoints
	covered  uint64 // the newest checkpoint
	previous uint64 // the one before; segments up to here may go
}

func newFeeder(a *Admission, at, previous uint64) *feeder {
	f := &feeder{a: a, seq: at, last: at, covered: at, previous: previous, ended: make(chan struct{})}
	f.wake = sync.NewCond(&f.mu)
	return f
}

// push queues a record that has a place in the buffer but is not yet durable.
func (f *feeder) push(loc buffer.Location, b *record.Batch, size int64, from *ticket) *entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	en := &entry{loc: loc, size: size, from: from}
	if b != nil && f.held+size <= f.a.o.HeldBytes {
		en.batch = b
		f.held += size
	}
	f.queue = append(f.queue, en)
	f.last = max(f.last, loc.Seq)
	return en
}

// settled tells whether the record became durable.
func (f *feeder) settled(en *entry, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	en.state = synced
	if err != nil {
		en.state = failed
	}
	f.wake.Broadcast()
}

// barrier waits until everything pushed so far is in the store.
func (f *feeder) barrier(ctx context.Context) error {
	stop := context.AfterFunc(ctx, f.wakeAll)
	defer stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	for target := f.last; f.seq < target; f.wake.Wait() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if f.stop {
			return ErrStopped
		}
	}
	return nil
}

// ErrStopped is returned to batches that come while the server stops.
var ErrStopped = errors.New("the server is stopping")

func (f *feeder) wakeAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wake.Broadcast()
}

// run feeds until ctx is done.
func (f *feeder) run(ctx context.Context) {
	defer close(f.ended)
	stop := context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.stop = true
		f.wake.Broadcast()
	})
	defer stop()
	tick := time.NewTicker(f.a.o.Checkpoint / 4)
	defer tick.Stop()
	go func() {
		for {
			select {
			case <-tick.C:
				f.wakeAll()
			case <-ctx.Done():
				return
			}
		}
	}()
	next := time.Now().Add(f.a.o.Checkpoint)
	for {
		en := f.head(next)
		if en == nil && ctx.Err() != nil {
			return
		}
		if en != nil && !f.feed(ctx, en) {
			return
		}
		if ask := f.asked(); ask != nil {
			ask.done <- f.pause(ctx, ask)
		}
		if !time.Now().Before(next) {
			if err := f.checkpoint(ctx); err != nil && ctx.Err() == nil {
				f.a.o.Log.Error("cannot take a checkpoint; the buffer grows until it succeeds", "error", err)
			}
			next = time.Now().Add(f.a.o.Checkpoint)
		}
	}
}

// head waits for a record whose outcome is known and removes it from the queue; nil means that a checkpoint is due or that
// the feeder stops.
func (f *feeder) head(next time.Time) *entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		if f.stop {
			return nil
		}
		if len(f.queue) > 0 && f.queue[0].state != writing {
			en := f.queue[0]
			f.queue[0] = nil
			f.queue = f.queue[1:]
			return en
		}
		if f.ask != nil && f.seq >= f.ask.from || f.seq > f.covered && !time.Now().Before(next) {
			return nil
		}
		f.wake.Wait()
	}
}

// feed puts one record into the store, trying until it succeeds; false means that ctx is done.
func (f *feeder) feed(ctx context.Context, en *entry) bool {
	for en.state == synced {
		err := f.append(ctx, en)
		f.mu.Lock()
		f.err = err
		f.mu.Unlock()
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return false
		}
		f.a.o.Log.Error("cannot store a record; trying again", "seq", en.loc.Seq, "error", err)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return false
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if en.batch != nil {
		f.held -= en.size
	}
	f.seq = max(f.seq, en.loc.Seq)
	f.wake.Broadcast()
	return true
}

func (f *feeder) append(ctx context.Context, en *entry) error {
	b := en.batch
	if b == nil {
		payload, err := f.a.o.Buffer.Read(en.loc)
		if err != nil {
			return fmt.Errorf("cannot read record %d back: %w", en.loc.Seq, err)
		}
		if b, err = record.Decode(payload); err != nil {
			return fmt.Errorf("record %d: %w", en.loc.Seq, err)
		}
	}
	sb := &storage.Batch{Seq: en.loc.Seq, Tenant: b.Tenant, Received: b.Received, Events: b.Events}
	failpoint.Here("store.append.before")
	if err := f.a.store.Append(ctx, sb); err != nil {
		return err
	}
	failpoint.Here("store.append.after")
	if len(sb.Rejected) > 0 {
		return f.a.refused(ctx, en, b, sb.Rejected)
	}
	f.a.mu.Lock()
	defer f.a.mu.Unlock()
	f.a.applyFed(b)
	return nil
}

// checkpoint makes the store durable, writes down that it is, and drops the segments that nobody needs any more. It is called
// between two records, so store and accounts stand at the same one.
func (f *feeder) checkpoint(ctx context.Context) error {
	f.mu.Lock()
	seq := f.seq
	f.mu.Unlock()
	if seq == f.covered {
		return nil
	}
	failpoint.Sync("store.sync.before")
	if err := f.a.store.Sync(ctx); err != nil {
		return err
	}
	failpoint.Here("store.sync.after")
	return f.cover(seq)
}

// cover writes a checkpoint at seq, which the store has durably.
func (f *feeder) cover(seq uint64) error {
	f.a.mu.Lock()
	f.a.tidy(time.Now())
	b := encodeCheckpoint(seq, f.a.accounts, f.a.agents)
	f.a.mu.Unlock()
	if err := writeCheckpoint(f.a.o.Dir, b); err != nil {
		return err
	}
	f.previous, f.covered = f.covered, seq
	// Not up to seq itself: should the newest checkpoint turn out unreadable, the one before needs these records.
	return f.a.o.Buffer.Truncate(f.previous)
}

// Lag is the number of records that the store does not have yet, and the reason where feeding fails.
func (a *Admission) Lag() (records int, err error) {
	f := a.feeder
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.queue), f.err
}

// ask is a request to pause.
type ask struct {
	from uint64 // the first record at which it may
	f    func(seq uint64) error
	done chan error
}

func (f *feeder) asked() *ask {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.ask
	if a == nil || f.seq < a.from {
		return nil
	}
	f.ask = nil
	return a
}

func (f *feeder) pause(ctx context.Context, a *ask) error {
	if err := f.checkpoint(ctx); err != nil {
		return err
	}
	return a.f(f.covered)
}

// ErrPaused is returned by AtCheckpoint while another is under way.
var ErrPaused = errors.New("feeding is paused already")

// AtCheckpoint waits until everything admitted before it is fed, takes a checkpoint and calls g with its sequence number. Until g returns nothing is fed, so that the store, the checkpoint
// files and what g finds in them stand at that record. Batches are admitted meanwhile, into the buffer.
func (a *Admission) AtCheckpoint(ctx context.Context, g func(seq uint64) error) error {
	f := a.feeder
	x := &ask{f: g, done: make(chan error, 1)}
	f.mu.Lock()
	if f.ask != nil {
		f.mu.Unlock()
		return ErrPaused
	}
	if f.stop {
		f.mu.Unlock()
		return ErrStopped
	}
	f.ask, x.from = x, f.last
	f.wake.Broadcast()
	f.mu.Unlock()
	select {
	case err := <-x.done:
		return err
	case <-f.ended:
		return ErrStopped
	case <-ctx.Done():
	}
	f.mu.Lock()
	if f.ask == x {
		f.ask = nil
		f.wake.Broadcast()
		f.mu.Unlock()
		return ctx.Err()
	}
	f.mu.Unlock()
	return <-x.done // it has begun
}
