package admit

import (
	"context"
	"fmt"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/deadletter"
	"github.com/tallylog/tally/server/record"
	"github.com/tallylog/tally/server/storage"
)

// reasonRejected is the reason of a gap whose event is a dead letter, or was one.
const reasonRejected = "rejected"

// reject makes letters of what the pipelines have rejected of b, and notes their ranges as lost. It returns without error when the
// letters are durable; while they cannot be, it tries again until ctx is done.
func (a *Admission) reject(ctx context.Context, b *record.Batch) error {
	if len(b.Rejected) == 0 {
		return nil
	}
	letters := make([]deadletter.Letter, len(b.Rejected))
	for i := range b.Rejected {
		r := &b.Rejected[i]
		letters[i] = a.letter(b, r.Event, deadletter.StagePipeline, r.By, r.Reason)
		letters[i].Confined = r.Confined
		b.Notes = appendLost(b.Notes, &r.Event)
	}
	for waiting := false; ; waiting = true {
		err := a.putLetters(ctx, letters)
		if err == nil {
			break
		}
		if !waiting {
			a.o.Log.Error("cannot keep dead letters; their clients wait", "letters", len(letters), "error", err)
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("cannot keep dead letters: %w: %w", err, ctx.Err())
		}
	}
	return nil
}

// PutRejected makes letters of what the pipelines have rejected of b, as Admit does first of all, for a batch that goes on to another server: its
// ranges are in the notes of b then.
func (a *Admission) PutRejected(ctx context.Context, b *record.Batch) error {
	if err := a.reject(ctx, b); err != nil {
		return err
	}
	b.Rejected = nil
	return nil
}

func (a *Admission) putLetters(ctx context.Context, letters []deadletter.Letter) error {
	if a.o.Letters != nil {
		if err := a.o.Letters.Put(ctx, letters); err != nil {
			return err
		}
	}
	a.Stats.Rejected.Add(int64(len(letters)))
	return nil
}

func (a *Admission) letter(b *record.Batch, e event.Event, stage, by, reason string) deadletter.Letter {
	if e.Time == 0 {
		e.Time = b.Received
	}
	return deadletter.Letter{Tenant: b.Tenant, Client: b.Client, Time: time.Now().UnixNano(), Stage: stage, By: by, Reason: reason, Event: e}
}

// appendLost notes the ranges of a rejected event, and what was skipped before it.
func appendLost(notes []record.Note, e *event.Event) []record.Note {
	p := &e.Position
	if p.Source == "" {
		return notes
	}
	if p.Skipped > 0 {
		notes = append(notes, record.Note{Kind: record.Skipped, Source: p.Source, Range: ledger.Range{From: p.From - p.Skipped, To: p.From}})
	}
	p.Pieces(func(r ledger.Range) {
		if n := len(notes); n > 0 {
			last := &notes[n-1]
			if last.Kind == record.Lost && last.Source == p.Source && last.Text == reasonRejected && last.Range.To == r.From {
				last.Range.To = r.To
				return
			}
		}
		notes = append(notes, record.Note{Kind: record.Lost, Source: p.Source, Range: r, Text: reasonRejected})
	})
	return notes
}

// refused makes letters of the events of a record that the store has rejected, and then enters the record into the fed view without
// them. They were acknowledged, so the view of now has their ranges as stored: it loses them, once the record is in it. A crash in
// between is harmless, for the store rejects them again and the letters are the same.
//
// After a restart the view of now may already hold a later record that stores such a range, because a letter was replayed: it gets
// the range back when that record is fed (applyFed).
func (a *Admission) refused(ctx context.Context, en *entry, b *record.Batch, list []storage.Rejection) error {
	left := *b
	left.Events = make([]event.Event, 0, len(b.Events)-len(list))
	letters := make([]deadletter.Letter, 0, len(list))
	rest := list
	for i := range b.Events {
		e := &b.Events[i]
		if len(rest) == 0 || rest[0].Index != i {
			left.Events = append(left.Events, *e)
			continue
		}
		letters = append(letters, a.letter(b, *e, deadletter.StageStore, "store", rest[0].Reason))
		rest = rest[1:]
	}
	if err := a.putLetters(ctx, letters); err != nil {
		return fmt.Errorf("cannot keep dead letters: %w", err)
	}
	if en.from != nil {
		<-en.from.done
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.applyFed(&left)
	for i := range letters {
		e := &letters[i].Event
		if !e.HasPosition() {
			continue
		}
		acct := a.lookup(key{b.Tenant, b.Client, e.Position.Source})
		if acct == nil {
			continue
		}
		acct.now.events--
		acct.fed.updated = max(acct.fed.updated, b.Received)
		for _, n := range appendLost(nil, e) {
			acct.fed.note(&n)
			acct.now.note(&n)
			if n.Kind == record.Lost && !acct.fed.stored.Overlaps(n.Range) {
				acct.now.stored.Remove(n.Range)
				acct.refused.Add(n.Range)
			}
		}
	}
	return nil
}

// applyFed enters a record that the store has taken into the fed view. The caller holds mu.
func (a *Admission) applyFed(b *record.Batch) {
	a.apply(b, fed)
	for i := range b.Events {
		e := &b.Events[i]
		if !e.HasPosition() {
			continue
		}
		acct := a.accounts[key{b.Tenant, b.Client, e.Position.Source}]
		if acct == nil || acct.refused.Len() == 0 {
			continue
		}
		e.Position.Pieces(func(r ledger.Range) {
			if acct.refused.Remove(r) > 0 {
				acct.now.stored.Add(r)
			}
		})
	}
}

// Fed waits until everything admitted so far was given to the store, and what it rejected of that is in the dead letters.
func (a *Admission) Fed(ctx context.Context) error { return a.feeder.barrier(ctx) }
