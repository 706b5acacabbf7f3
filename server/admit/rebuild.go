package admit

import (
	"context"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/storage"
)

// Stored is a store that an account can be rebuilt from.
type Stored interface {
	// Positions calls f for each event with a position of the records up to seq, with the fields that name its source and client.
	Positions(ctx context.Context, seq uint64, f func(tenant uint32, e *event.Event) error) error
}

// Rebuild makes the account as of the record seq from what the store has, for a data directory without a readable checkpoint. All records
// up to seq must be in the store in full; those behind it are replayed from the buffer at the next start. Not in the store, and lost, are
// what was skipped (those ranges are gaps again), the reasons of losses, the counts of duplicates and conflicts, and the state of agents.
func Rebuild(ctx context.Context, s Stored, seq uint64) (c Checkpoint, events int64, err error) {
	c = Checkpoint{Seq: seq, accounts: map[key]*account{}, agents: map[key]status{}}
	now := time.Now().UnixNano() // the retention of the account begins anew
	err = s.Positions(ctx, seq, func(tenant uint32, e *event.Event) error {
		client, _ := e.Get(storage.ClientField)
		k := key{tenant, client, e.Position.Source}
		a := c.accounts[k]
		if a == nil {
			a = newAccount(k)
			a.fed.name, a.fed.attrs, a.fed.updated = sourceName(e), AttributesOf(e, e.Position.Source), now
			c.accounts[a.key] = a
		}
		a.fed.add(e)
		events++
		return nil
	})
	return c, events, err
}

// Sources is the number of accounts in the checkpoint.
func (c *Checkpoint) Sources() int { return len(c.accounts) }
