package retention

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tallylog/tally/internal/durable"
	"github.com/tallylog/tally/server/storage"
)

// Removed is a partition that is gone.
type Removed struct {
	Name   string    `json:"name"`
	Class  string    `json:"class"`
	Day    string    `json:"day"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	Rows   int64     `json:"rows"`
	Bytes  int64     `json:"bytes"`
	// Begun is set in the file from before the removal until behind it, so that a crash does not hide what was removed.
	Begun bool `json:"begun,omitempty"`
}

// mostRemoved bounds the history.
const mostRemoved = 1000

// Shelf is where several servers share a history.
type Shelf interface {
	// Read returns what was written last, nil for nothing.
	Read(ctx context.Context) ([]byte, error)
	Write(ctx context.Context, b []byte) error
}

// Keeper removes what the limits say, and says what it will remove and has removed. Fields are set before Run.
type Keeper struct {
	Store  storage.Partitioned
	Limits func() map[string]Limit
	// File keeps the history of removals, a JSON array; Shared, where it is not nil, in its place.
	File   string
	Shared Shelf
	// May tells whether this is the one to remove things now, where several could; nil for always.
	May   func() bool
	Every time.Duration // between two looks; 0 means a minute
	Log   *slog.Logger

	mu      sync.Mutex
	history []Removed // oldest first
	// Partitions and rows removed since start.
	Count, Rows atomic.Int64
}

// Load reads the history; one that cannot be read begins anew.
func (k *Keeper) Load() {
	if k.Shared != nil {
		return // it is read whenever it is needed
	}
	b, err := os.ReadFile(k.File)
	if err == nil {
		err = json.Unmarshal(b, &k.history)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.Log.Error("cannot read the history of removals; it begins anew", "file", k.File, "error", err)
		k.history = nil
	}
}

// Run removes what is due until ctx is done.
func (k *Keeper) Run(ctx context.Context) {
	every := k.Every
	if every == 0 {
		every = time.Minute
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := k.Keep(ctx, time.Now()); err != nil && ctx.Err() == nil {
			k.Log.Error("cannot remove what is past its retention; trying again", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Keep removes what is due now.
func (k *Keeper) Keep(ctx context.Context, now time.Time) error {
	if k.May != nil && !k.May() {
		return nil
	}
	parts, err := k.Store.Partitions(ctx, false)
	if err != nil {
		return err
	}
	if err := k.settle(ctx, parts); err != nil {
		return err
	}
	for _, r := range Plan(parts, k.Limits(), now, now) {
		gone := Removed{Name: r.Name, Class: r.Class, Day: r.Day, Reason: r.Reason, At: now.UTC(), Rows: r.Rows, Bytes: r.Bytes, Begun: true}
		if err := k.write(ctx, func() { k.history = append(k.history, gone) }); err != nil {
			return err
		}
		if err := k.Store.Remove(ctx, r.Name); err != nil {
			return errors.Join(err, k.write(context.WithoutCancel(ctx), func() { k.history = slices.DeleteFunc(k.history, gone.same) }))
		}
		if err := k.write(ctx, func() { k.done(&gone) }); err != nil {
			return err
		}
	}
	return nil
}

// settle finds out what became of removals under way when the process ended.
func (k *Keeper) settle(ctx context.Context, parts []storage.Partition) error {
	k.mu.Lock()
	err := k.read(ctx)
	begun := slices.ContainsFunc(k.history, func(r Removed) bool { return r.Begun })
	k.mu.Unlock()
	if err != nil || !begun {
		return err
	}
	return k.write(ctx, func() {
		k.history = slices.DeleteFunc(k.history, func(r Removed) bool {
			return r.Begun && slices.ContainsFunc(parts, func(p storage.Partition) bool { return p.Name == r.Name })
		})
		for i := range k.history {
			if k.history[i].Begun {
				k.removed(&k.history[i])
			}
		}
	})
}

// same tells whether r is the removal o that was begun.
func (o Removed) same(r Removed) bool { return r.Begun && r.Name == o.Name && r.At.Equal(o.At) }

// done says that a removal that was begun is done. Another keeper may have found that out.
func (k *Keeper) done(gone *Removed) {
	if i := slices.IndexFunc(k.history, gone.same); i >= 0 {
		k.removed(&k.history[i])
	}
}

// removed says that a removal is done.
func (k *Keeper) removed(r *Removed) {
	r.Begun = false
	k.Count.Add(1)
	k.Rows.Add(r.Rows)
	k.Log.Info("removed what is past its retention", "class", r.Class, "day", r.Day, "partition", r.Name, "reason", r.Reason, "rows", r.Rows, "bytes", r.Bytes)
}

// write changes the history, and the file of it.
func (k *Keeper) write(ctx context.Context, change func()) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.read(ctx); err != nil {
		return err
	}
	if change(); len(k.history) > mostRemoved {
		k.history = slices.Delete(k.history, 0, len(k.history)-mostRemoved)
	}
	b, err := json.Marshal(k.history)
	if err != nil {
		return err
	}
	if k.Shared != nil {
		return k.Shared.Write(ctx, b)
	}
	if err := durable.Replace(k.File, b, 0o600); err != nil {
		return fmt.Errorf("cannot write the history of removals: %w", err)
	}
	return nil
}

// read takes the history that servers share. The lock must be held.
func (k *Keeper) read(ctx context.Context) error {
	if k.Shared == nil {
		return nil
	}
	b, err := k.Shared.Read(ctx)
	if err != nil {
		return fmt.Errorf("cannot read the history of removals: %w", err)
	}
	var all []Removed
	if b != nil {
		if err := json.Unmarshal(b, &all); err != nil {
			return fmt.Errorf("cannot understand the history of removals: %w", err)
		}
	}
	k.history = all
	return nil
}

// historyTime bounds the wait for the history that servers share.
const historyTime = 5 * time.Second

// History lists what was removed, newest first.
func (k *Keeper) History() []Removed {
	k.mu.Lock()
	defer k.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), historyTime)
	defer cancel()
	if err := k.read(ctx); err != nil {
		k.Log.Warn("the history of removals is as this server knew it last", "error", err)
	}
	out := make([]Removed, 0, len(k.history))
	for i := len(k.history) - 1; i >= 0; i-- {
		if !k.history[i].Begun {
			out = append(out, k.history[i])
		}
	}
	return out
}
