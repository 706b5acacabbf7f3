package deadletter

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/internal/failpoint"
	"github.com/tallylog/tally/server/record"
)

// Way is the way of an event from intake to the store.
type Way struct {
	// Clean takes a batch through the pipelines; nil for none.
	Clean func(*record.Batch)
	// Admit makes the batch durable, and puts what Clean has rejected among the letters again. It tells how many events were new.
	Admit func(context.Context, *record.Batch) (accepted, duplicates int, err error)
	// Fed waits until the store has been given everything admitted so far, and its rejections are letters again.
	Fed func(context.Context) error
}

// Outcome is what became of replayed letters.
type Outcome struct {
	Stored     int `json:"stored"`
	Duplicates int `json:"duplicates"` // stored before, by a replay that was cut off or because they came again
	Dropped    int `json:"dropped"`    // by a pipeline
	Rejected   int `json:"rejected"`   // again: they are still letters
}

// Add makes o the outcome of two replays.
func (o *Outcome) Add(p Outcome) {
	o.Stored += p.Stored
	o.Duplicates += p.Duplicates
	o.Dropped += p.Dropped
	o.Rejected += p.Rejected
}

// replayChunk bounds the letters in one batch.
const replayChunk = 500

// Replay sends the letters that f chooses along the way, oldest first, and removes those that were not rejected again. What was
// replayed before an error is in the outcome, and is not replayed again by a second call.
func (s *Store) Replay(ctx context.Context, f Filter, w Way) (o Outcome, err error) {
	list, _, err := s.List(ctx, f, -1, 0)
	if err != nil {
		return o, err
	}
	var chunk []letterAt
	flush := func() error {
		if len(chunk) == 0 {
			return nil
		}
		err := s.replay(ctx, chunk, w, &o)
		chunk = chunk[:0]
		return err
	}
	for i := len(list) - 1; i >= 0; i-- {
		l, err := s.read(ctx, list[i].Seq)
		if err != nil {
			return o, err
		}
		if len(chunk) == replayChunk || len(chunk) > 0 && chunk[0].Client != l.Client {
			if err := flush(); err != nil {
				return o, err
			}
		}
		chunk = append(chunk, letterAt{l, list[i].Seq})
	}
	return o, flush()
}

type letterAt struct {
	Letter
	seq int64
}

// replay sends letters of one tenant and client.
func (s *Store) replay(ctx context.Context, letters []letterAt, w Way, o *Outcome) error {
	b := &record.Batch{Tenant: letters[0].Tenant, Client: letters[0].Client, Received: time.Now().UnixNano(), Events: make([]event.Event, len(letters))}
	confined := map[string]*event.Event{}
	for i := range letters {
		if letters[i].Confined {
			confined[letters[i].ID] = &letters[i].Event
		}
		e := letters[i].Event
		e.ID = letters[i].ID // nobody's until admission; Clean leaves it alone
		e.Fields = slices.Clone(e.Fields)
		if !e.HasPosition() && e.Identity == "" {
			e.Identity = replayed + letters[i].ID
		}
		b.Events[i] = e
	}
	if w.Clean != nil {
		w.Clean(b)
	}
	for i := range b.Events {
		e := &b.Events[i]
		if as := confined[e.ID]; as != nil {
			confine(e, as)
		}
		e.ID = ""
	}
	accepted, duplicates, err := w.Admit(ctx, b)
	if err != nil {
		return err
	}
	failpoint.Here("letters.replay.admitted")
	if err := w.Fed(ctx); err != nil {
		return err
	}
	failpoint.Here("letters.replay.fed")
	removed := int64(0)
	err = s.write(ctx, func(tx *sql.Tx) error {
		c := &change{}
		for _, l := range letters {
			if err := c.remove(ctx, tx, l.seq, l.Times); err != nil {
				return err
			}
		}
		removed, c.replayed = -c.letters, -c.letters
		return c.apply(ctx, tx, b.Tenant)
	})
	if err != nil {
		return err
	}
	failpoint.Here("letters.replay.removed")
	again := len(letters) - int(removed)
	o.Rejected += again
	o.Duplicates += duplicates
	// A pipeline rejects before admission, the store after it; either way what is still a letter is not stored.
	stored := min(accepted, int(removed)-duplicates)
	o.Stored += max(stored, 0)
	o.Dropped += max(int(removed)-duplicates-stored, 0)
	return nil
}

// confine gives e the namespace and the cluster that the event had before the pipelines.
func confine(e, as *event.Event) {
	for _, name := range []string{namespaceField, clusterField} {
		if value, ok := as.Get(name); ok {
			e.Put(name, value)
		} else {
			e.Delete(name)
		}
	}
}
