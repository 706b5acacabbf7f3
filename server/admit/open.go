package admit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/buffer"
	"github.com/tallylog/tally/server/record"
	"github.com/tallylog/tally/server/storage"
)

// Open rebuilds the account from the checkpoint cp and the records behind it, opens the store, and starts to feed. Records that
// the store may lack are fed again in the background; the store itself leaves out what it has.
func Open(ctx context.Context, cp Checkpoint, o Options) (*Admission, error) {
	if o.Future == 0 {
		o.Future = 24 * time.Hour
	}
	if o.Checkpoint == 0 {
		o.Checkpoint = 30 * time.Second
	}
	if o.HeldBytes == 0 {
		o.HeldBytes = 32 << 20
	}
	if o.MaxSources == 0 {
		o.MaxSources = 200_000
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	for _, f := range cp.Damaged {
		o.Log.Error("checkpoint is corrupt; the older one is used", "file", f)
	}
	store, err := o.OpenStore(cp.Seq)
	if err != nil {
		return nil, err
	}
	a := &Admission{o: o, store: store, seed: rand.Uint64(), accounts: cp.accounts, agents: cp.agents, count: make(map[uint32]int), ids: make(map[string]*ticket)}
	if a.accounts == nil {
		a.accounts, a.agents = make(map[key]*account), make(map[key]status)
	}
	for k := range a.accounts {
		a.count[k.tenant]++
	}
	a.feeder = newFeeder(a, cp.Seq, cp.Previous)
	if err := a.replay(ctx, cp.Seq); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return a, nil
}

// replay enters every record behind the checkpoint into the account and queues it for the store.
func (a *Admission) replay(ctx context.Context, after uint64) error {
	for _, l := range a.o.Buffer.Lost() {
		for seq := max(l.First, after+1); seq <= l.Last; seq++ {
			if err := a.recover(ctx, seq); err != nil {
				return err
			}
		}
	}
	return a.o.Buffer.Replay(after, func(loc buffer.Location, payload []byte) error {
		b, err := record.Decode(payload)
		if err != nil {
			// The bytes are those that were written, so this is no damage but a record of a version that we do not know.
			return fmt.Errorf("cannot read record %d of the buffer: %w", loc.Seq, err)
		}
		a.mu.Lock()
		a.apply(b, now)
		a.mu.Unlock()
		a.feeder.settled(a.feeder.push(loc, nil, int64(len(payload)), nil), nil)
		return ctx.Err()
	})
}

// recover accounts for what the store still has of a record that the buffer lost: those lines are there, and a client that
// sends the record again must not double them. The others are a gap again.
func (a *Admission) recover(ctx context.Context, seq uint64) error {
	n := 0
	err := a.store.Recover(ctx, seq, func(tenant uint32, e *event.Event) error {
		if !e.HasPosition() {
			return nil
		}
		n++
		client, _ := e.Get(storage.ClientField)
		a.mu.Lock()
		defer a.mu.Unlock()
		if acct := a.lookup(key{tenant, client, e.Position.Source}); acct != nil {
			acct.now.add(e)
			acct.fed.add(e)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot ask the store for record %d, which the buffer lost: %w", seq, err)
	}
	a.o.Log.Error("a record of the buffer is corrupt; what the store has of it is kept, the rest is a gap until it is sent again",
		"seq", seq, "events_kept", n)
	return nil
}

// Run feeds the store until ctx is done. Close must follow.
func (a *Admission) Run(ctx context.Context) { a.feeder.run(ctx) }

// Close closes the store and takes a last checkpoint. Run must have returned, and no Admit be under way.
func (a *Admission) Close() error {
	f := a.feeder
	if err := a.store.Close(); err != nil {
		return fmt.Errorf("cannot close the store: %w", err)
	}
	if f.seq == f.covered {
		return nil
	}
	return f.cover(f.seq)
}
