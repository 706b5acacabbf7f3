package admit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/buffer"
	"github.com/tallylog/tally/server/deadletter"
	"github.com/tallylog/tally/server/record"
	"github.com/tallylog/tally/server/storage"
	"github.com/tallylog/tally/server/tail"
)

// Buffer is what admission wants from the write-ahead log; *buffer.WAL is one.
type Buffer interface {
	// Write gives the record its sequence number; the function returned waits until it is durable. Calls are made one at
	// a time.
	Write(payload ...[]byte) (buffer.Location, func() error, error)
	Read(buffer.Location) ([]byte, error)
	Replay(after uint64, f func(buffer.Location, []byte) error) error
	Lost() []buffer.SeqRange
	Truncate(upto uint64) error
}

// Options for Open.
type Options struct {
	Dir    string // where checkpoints are kept
	Buffer Buffer
	// OpenStore opens the store; every record up to after is known to be durable in it.
	OpenStore func(after uint64) (storage.Store, error)
	Hub       *tail.Hub
	// Letters takes the events that a pipeline or the store has rejected. nil: they are only gaps in the account.
	Letters deadletter.Sink
	// Retention is the age at which a store that is not storage.Partitioned drops events, 0 for never. Known ranges of older events are refused by range
	// alone, since their ids can no longer be looked up.
	Retention time.Duration
	// LedgerRetention is the age at which the account of a source that gives nothing new is dropped, 0 for never. It must be
	// longer than Retention: a line of a dropped account would be taken for a new one.
	LedgerRetention time.Duration
	// MaxSources bounds the accounts of a tenant; 0 means 200,000. Beyond, lines of new sources are stored without an account,
	// so that a line sent again is stored again, and counted as Unaccounted.
	MaxSources int
	// Future is how far ahead of the clock an event's time may lie; beyond it the time of arrival is taken and the event's
	// own is kept in tally.timestamp. 0 means 24 hours.
	Future time.Duration
	// Checkpoint is the time between checkpoints; 0 means 30 s.
	Checkpoint time.Duration
	// HeldBytes bounds the batches kept in memory between buffer and store; 0 means 32 MiB. What is beyond is read back.
	HeldBytes int64
	Log       *slog.Logger
}

// Admission is the gate between intake and buffer.
type Admission struct {
	o     Options
	store storage.Store
	seed  uint64
	serie atomic.Uint64

	mu       sync.Mutex
	accounts map[key]*account
	count    map[uint32]int // accounts by tenant
	agents   map[key]status
	ids      map[string]*ticket // candidates whose lookup or writing is under way
	writing  sync.Mutex         // order of buffer and feeder queue is the same

	feeder *feeder
	totals totals
	Stats  Stats
}

// Stats counts since start.
type Stats struct {
	Events, Duplicates, Conflicts, Batches, Failed atomic.Int64
	Waiting                                        atomic.Int64 // batches that wait for space now
	Rejected                                       atomic.Int64 // events that became dead letters
	Unaccounted                                    atomic.Int64 // events stored without an account, see Options.MaxSources
}

// Result is what became of a batch.
type Result struct {
	Accepted   int // stored now
	Duplicates int // refused: already stored
	// Known are the refused events, as indices in ascending order into the batch as it was handed in.
	Known []int
}

// ticket is a batch on its way into the buffer.
type ticket struct {
	done   chan struct{}
	claims []*account
	ids    []string
}

// fate of an event within a batch.
type fate uint8

const (
	fresh     fate = iota
	candidate      // stored only if its id is not in the store
	known          // refused
	conflict       // stored, and counted
)

// Admit makes the events of b durable, all but those that are already. It fills in their ids and times, and takes them over:
// they must not be changed afterwards. While the buffer has no space it waits, until ctx is done. After an error nothing
// of b may be acknowledged.
func (a *Admission) Admit(ctx context.Context, b *record.Batch) (Result, error) {
	if err := a.reject(ctx, b); err != nil {
		return Result{}, err
	}
	a.identify(b)
	t := &ticket{done: make(chan struct{})}
	fates := make([]fate, len(b.Events))
	for {
		busy := a.claim(t, b, fates)
		if busy == nil {
			break
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return Result{}, ctx.Err()
		}
	}
	res, err := a.settle(ctx, t, b, fates)
	a.mu.Lock()
	if err == nil {
		a.apply(b, now)
	}
	a.release(t)
	a.mu.Unlock()
	close(t.done)
	if err != nil {
		a.Stats.Failed.Add(1)
		return Result{}, err
	}
	a.o.Hub.Publish(b.Tenant, b.Events)
	a.Stats.Batches.Add(1)
	a.Stats.Events.Add(int64(res.Accepted))
	a.Stats.Duplicates.Add(int64(res.Duplicates))
	return res, nil
}

// identify gives every event its id and a time that the store can hold.
func (a *Admission) identify(b *record.Batch) {
	limit := b.Received + int64(a.o.Future)
	client := event.Field{Name: storage.ClientField, Value: b.Client}
	for i := range b.Events {
		e := &b.Events[i]
		if e.ID = EventID(b.Tenant, e); e.ID == "" {
			e.ID = ledger.ArrivalID(a.seed, a.serie.Add(1))
		}
		if e.Time > limit || e.Time < 0 {
			e.Put("tally.timestamp", event.FormatTime(e.Time))
			e.Time = 0
		}
		if e.Time == 0 {
			e.Time = b.Received + int64(i) // one after the other, as they came
		}
		e.PutField(client)
	}
}

// EventID is the id of an event that can come again; "" for one that has neither position nor identity.
func EventID(tenant uint32, e *event.Event) string {
	switch {
	case e.HasPosition():
		return e.Position.ID()
	case e.Identity != "":
		return ledger.IdentityID(tenant, "", e.Identity)
	}
	return ""
}

// claim decides the fate of each event and claims the ranges of b for t. When another batch has claimed any of them it claims
// nothing and returns the channel that is closed when the other's outcome is known.
func (a *Admission) claim(t *ticket, b *record.Batch, fates []fate) <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	var own map[string]bool // ids of this batch, once two of its events touch
	var acct *account
	var claimed *ledger.Set
	for i := range b.Events {
		e := &b.Events[i]
		fates[i] = fresh
		if !e.HasPosition() {
			if e.Identity != "" {
				if busy := a.claimID(t, e.ID, &fates[i]); busy != nil {
					return busy
				}
			}
			continue
		}
		p := &e.Position
		if acct == nil || acct.source != p.Source {
			if acct = a.lookup(key{b.Tenant, b.Client, p.Source}); acct == nil {
				a.Stats.Unaccounted.Add(1)
				continue
			}
			claimed = t.claimOn(acct)
		}
		if other := acct.claimedBy(t, p); other != nil {
			a.release(t)
			return other.done
		}
		_, mine := coverage(claimed, p)
		all, some := acct.covered(p)
		switch {
		case mine:
			if own == nil {
				own = make(map[string]bool, len(b.Events))
				for j := range i {
					own[b.Events[j].ID] = true
				}
			}
			switch {
			case own[e.ID]:
				fates[i] = known
			case all: // another part of a range that came before
				if busy := a.claimID(t, e.ID, &fates[i]); busy != nil {
					return busy
				}
			case p.Part == 0:
				fates[i] = conflict
			}
		case all:
			if busy := a.claimID(t, e.ID, &fates[i]); busy != nil {
				return busy
			}
		case some:
			fates[i] = conflict
		}
		if own != nil {
			own[e.ID] = true
		}
		p.Pieces(func(r ledger.Range) { claimed.Add(r) })
	}
	return nil
}

// claimID makes e a candidate under t, unless another batch is busy with the same id.
func (a *Admission) claimID(t *ticket, id string, f *fate) <-chan struct{} {
	switch other := a.ids[id]; other {
	case nil:
		a.ids[id] = t
		t.ids = append(t.ids, id)
		*f = candidate
	case t:
		*f = known // the second of the same in one batch
	default:
		a.release(t)
		return other.done
	}
	return nil
}

func (t *ticket) claimOn(acct *account) *ledger.Set {
	if set := acct.claims[t]; set != nil {
		return set
	}
	if acct.claims == nil {
		acct.claims = make(map[*ticket]*ledger.Set, 2)
	}
	set := &ledger.Set{}
	acct.claims[t] = set
	t.claims = append(t.claims, acct)
	return set
}

// release gives back all that t has claimed. The caller holds mu.
func (a *Admission) release(t *ticket) {
	for _, acct := range t.claims {
		delete(acct.claims, t)
	}
	for _, id := range t.ids {
		delete(a.ids, id)
	}
	t.claims, t.ids = nil, nil
}

// settle looks candidates up, leaves the known events out of b, and writes the rest. b holds afterwards what was written.
func (a *Admission) settle(ctx context.Context, t *ticket, b *record.Batch, fates []fate) (Result, error) {
	if len(t.ids) > 0 {
		if err := a.resolve(ctx, t, b, fates); err != nil {
			return Result{}, err
		}
	}
	var res Result
	keep := b.Events[:0]
	refused := map[key]int64{}
	for i := range b.Events {
		e := &b.Events[i]
		switch fates[i] {
		case known:
			res.Duplicates++
			res.Known = append(res.Known, i)
			if p := &e.Position; p.Source != "" {
				refused[key{b.Tenant, b.Client, p.Source}]++
				a.noteSkipped(b, p)
			}
			continue
		case conflict:
			a.Stats.Conflicts.Add(1)
			b.Notes = append(b.Notes, record.Note{Kind: record.Conflicts, Source: e.Position.Source, Count: 1})
		}
		keep = append(keep, *e)
	}
	clear(b.Events[len(keep):])
	b.Events = keep
	res.Accepted = len(keep)
	a.nameSources(b)
	a.mu.Lock()
	for k, n := range refused {
		if acct := a.lookup(k); acct != nil {
			acct.now.duplicates += n
		}
	}
	a.mu.Unlock()
	if len(b.Events) == 0 && len(b.Notes) == 0 {
		return res, nil
	}
	return res, a.write(ctx, t, b)
}

// write puts the batch into the buffer and waits until it is durable. Where there is no space it tries again.
func (a *Admission) write(ctx context.Context, t *ticket, b *record.Batch) error {
	payload := record.Append(nil, b)
	for waiting := false; ; {
		a.writing.Lock()
		loc, synced, err := a.o.Buffer.Write(payload)
		var en *entry
		if err == nil {
			en = a.feeder.push(loc, b, int64(len(payload)), t)
		}
		a.writing.Unlock()
		if err == nil {
			err = synced()
			a.feeder.settled(en, err)
		}
		if err == nil {
			if waiting {
				a.Stats.Waiting.Add(-1)
			}
			return nil
		}
		if !errors.Is(err, buffer.ErrNoSpace) && !errors.Is(err, buffer.ErrFull) {
			return fmt.Errorf("cannot write to the buffer: %w", err)
		}
		if !waiting {
			waiting = true
			a.Stats.Waiting.Add(1)
			a.o.Log.Warn("the buffer has no space; clients wait", "error", err)
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			a.Stats.Waiting.Add(-1)
			return fmt.Errorf("the buffer has no space: %w", err)
		}
	}
}

// Store gives the readers what the feeder fills.
func (a *Admission) Store() storage.Store { return a.store }
