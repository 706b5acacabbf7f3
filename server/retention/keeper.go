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

// Keeper removes what the limits say, and says what it will remove and has removed. Fields are set before Run.
type Keeper struct {
	Store  storage.Partitioned
	Limits func() map[string]Limit
	// File keeps the history of removals, a JSON array.
	File  string
	Every time.Duration // between two looks; 0 means a minute
	Log   *slog.Logger

	mu      sync.Mutex
	history []Removed // oldest first
	// Partitions and rows removed since start.
	Count, Rows atomic.Int64
}

// Load reads the history; one that cannot be read begins anew.
func (k *Keeper) Load() {
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
	parts, err := k.Store.Partitions(ctx, false)
	if err != nil {
		return err
	}
	if err := k.settle(parts); err != nil {
		return err
	}
	for _, r := range Plan(parts, k.Limits(), now, now) {
		gone := Removed{Name: r.Name, Class: r.Class, Day: r.Day, Reason: r.Reason, At: now.UTC(), Rows: r.Rows, Bytes: r.Bytes, Begun: true}
		if err := k.write(func() { k.history = append(k.history, gone) }); err != nil {
			return err
		}
		if err := k.Store.Remove(ctx, r.Name); err != nil {
			return errors.Join(err, k.write(func() { k.history = k.history[:len(k.history)-1] }))
		}
		if err := k.write(func() { k.removed(&k.history[len(k.history)-1]) }); err != nil {
			return err
		}
	}
	return nil
}

// settle finds out what became of removals under way when the process ended.
func (k *Keeper) settle(parts []storage.Partition) error {
	k.mu.Lock()
	begun := slices.ContainsFunc(k.history, func(r Removed) bool { return r.Begun })
	k.mu.Unlock()
	if !begun {
		return nil
	}
	return k.write(func() {
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

// removed says that a removal is done.
func (k *Keeper) removed(r *Removed) {
	r.Begun = false
	k.Count.Add(1)
	k.Rows.Add(r.Rows)
	k.Log.Info("removed what is past its retention", "class", r.Class, "day", r.Day, "partition", r.Name, "reason", r.Reason, "rows", r.Rows, "bytes", r.Bytes)
}

// write changes the history, and the file of it.
func (k *Keeper) write(change func()) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if change(); len(k.history) > mostRemoved {
		k.history = slices.Delete(k.history, 0, len(k.history)-mostRemoved)
	}
	b, err := json.Marshal(k.history)
	if err != nil {
		return err
	}
	if err := durable.Replace(k.File, b, 0o600); err != nil {
		return fmt.Errorf("cannot write the history of removals: %w", err)
	}
	return nil
}

// History lists what was removed, newest first.
func (k *Keeper) History() []Removed {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := make([]Removed, 0, len(k.history))
	for i := len(k.history) - 1; i >= 0; i-- {
		if !k.history[i].Begun {
			out = append(out, k.history[i])
		}
	}
	return out
}
