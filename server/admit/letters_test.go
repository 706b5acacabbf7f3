package admit

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/tallylog/tally/server/deadletter"
	"github.com/tallylog/tally/server/record"
	"github.com/tallylog/tally/server/storage"
)

// letters keeps what it is given, by client and position.
type letters struct {
	mu   sync.Mutex
	put  map[string]int
	fail error
}

func (l *letters) Put(_ context.Context, list []deadletter.Letter) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return l.fail
	}
	for _, x := range list {
		l.put[x.Event.Position.ID()]++
	}
	return nil
}

// refusing is a store that refuses the positions in bad.
type refusing struct {
	*memStore
	bad map[int64]bool
}

func (s *refusing) Append(ctx context.Context, b *storage.Batch) error {
	kept := *b
	kept.Events = nil
	for i, e := range b.Events {
		if s.bad[e.Position.From] {
			b.Rejected = append(b.Rejected, storage.Rejection{Index: i, Reason: "mapping"})
		} else {
			kept.Events = append(kept.Events, e)
		}
	}
	return s.memStore.Append(ctx, &kept)
}

func wantGaps(t *testing.T, s Source, reason string, gaps ...[2]int64) {
	t.Helper()
	if len(s.Gaps) != len(gaps) {
		t.Fatalf("gaps %+v, want %v", s.Gaps, gaps)
	}
	for i, g := range s.Gaps {
		if g.From != gaps[i][0] || g.To == nil || *g.To != gaps[i][1] || g.Reason != reason {
			t.Errorf("gap %+v, want %v %s", g, gaps[i], reason)
		}
	}
}

// What a pipeline rejects is a letter before anything is acknowledged, a gap of that reason, and stored once it is replayed.
func TestRejectedByPipeline(t *testing.T) {
	sink := &letters{put: map[string]int{}}
	dir := t.TempDir()
	r := start(t, dir, rigOptions{letters: sink})
	batch := func() *record.Batch {
		b := lines("push:s", 0, 10)
		for _, i := range []int{3, 4, 9} {
			b.Rejected = append(b.Rejected, record.Rejected{Event: b.Events[i], By: "p", Reason: "x"})
		}
		b.Events = append(append(b.Events[:3:3], b.Events[5:9]...), b.Events[10:]...)
		return b
	}
	sink.fail = errors.New("disk full")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Admit(ctx, batch()); !errors.Is(err, sink.fail) {
		t.Fatalf("without a letter the batch is admitted: %v", err)
	}
	sink.fail = nil
	r.admit(t, batch(), 7, 0)
	r.admit(t, batch(), 0, 7)
	wantGaps(t, r.source(t, "push:s"), "rejected", [2]int64{3, 5}, [2]int64{9, 10})
	r.stop()
	r = start(t, dir, rigOptions{letters: sink, store: r.store})
	wantGaps(t, r.source(t, "push:s"), "rejected", [2]int64{3, 5}, [2]int64{9, 10})
	r.admit(t, lines("push:s", 3, 5), 2, 0)
	r.admit(t, lines("push:s", 9, 10), 1, 0)
	wantGaps(t, r.source(t, "push:s"), "")
	r.once(t, 10)
	if len(sink.put) != 3 {
		t.Errorf("%d letters", len(sink.put))
	}
}

// What the store refuses was acknowledged already: it becomes a letter and a gap, is stored once by a replay, and a restart that feeds
// everything again changes nothing of that.
func TestRefusedByStore(t *testing.T) {
	sink := &letters{put: map[string]int{}}
	dir := t.TempDir()
	store := &refusing{newMemStore(), map[int64]bool{2: true, 3: true, 7: true}}
	r := start(t, dir, rigOptions{letters: sink, store: store.memStore, wrapStore: store})
	for i := range int64(10) {
		r.admit(t, lines("push:s", i, i+1), 1, 0)
	}
	wantGaps(t, r.source(t, "push:s"), "rejected", [2]int64{2, 4}, [2]int64{7, 8})
	delete(store.bad, 2)
	r.admit(t, lines("push:s", 2, 3), 1, 0)
	wantGaps(t, r.source(t, "push:s"), "rejected", [2]int64{3, 4}, [2]int64{7, 8})
	store.bad[2] = true // the first record of it is refused at the next start too; the second is stored already
	r.stop()
	r = start(t, dir, rigOptions{letters: sink, store: store.memStore, wrapStore: &replayedOnce{store, 11}})
	wantGaps(t, r.source(t, "push:s"), "rejected", [2]int64{3, 4}, [2]int64{7, 8})
	if got := r.source(t, "push:s"); got.Events != 8 {
		t.Errorf("%d events are in the account, want 8", got.Events)
	}
	r.once(t, 8)
	if len(sink.put) != 3 {
		t.Errorf("%d letters", len(sink.put))
	}
	// The checkpoint holds the gaps.
	if err := r.AtCheckpoint(t.Context(), func(uint64) error { return nil }); err != nil {
		t.Fatal(err)
	}
	r.stop()
	r = start(t, dir, rigOptions{letters: sink, store: store.memStore, wrapStore: store})
	wantGaps(t, r.source(t, "push:s"), "rejected", [2]int64{3, 4}, [2]int64{7, 8})
}

// replayedOnce refuses nothing of the record seq.
type replayedOnce struct {
	*refusing
	seq uint64
}

func (s *replayedOnce) Append(ctx context.Context, b *storage.Batch) error {
	if b.Seq == s.seq {
		return s.memStore.Append(ctx, b)
	}
	return s.refusing.Append(ctx, b)
}
