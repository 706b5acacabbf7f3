package admit

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/buffer"
	"github.com/tallylog/tally/server/deadletter"
	"github.com/tallylog/tally/server/record"
	"github.com/tallylog/tally/server/storage"
	"github.com/tallylog/tally/server/tail"
)

// rig is an admission on a real buffer.
type rig struct {
	*Admission
	wal   *buffer.WAL
	store *memStore
	dir   string
	stop  func()
}

type rigOptions struct {
	store      *memStore
	wrapStore  storage.Store // in place of store, which it keeps its rows in
	letters    deadletter.Sink
	wrap       func(Buffer) Buffer
	checkpoint time.Duration
	noFeed     bool
	maxSources int
	ledger     time.Duration
}

func start(t *testing.T, dir string, o rigOptions) *rig {
	t.Helper()
	cp, err := ReadCheckpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	wal, err := buffer.Open(filepath.Join(dir, "wal"), buffer.Options{After: cp.Seq})
	if err != nil {
		t.Fatal(err)
	}
	if o.store == nil {
		o.store = newMemStore()
	}
	if o.checkpoint == 0 {
		o.checkpoint = time.Hour
	}
	var b Buffer = wal
	if o.wrap != nil {
		b = o.wrap(wal)
	}
	a, err := Open(t.Context(), cp, Options{Dir: dir, Buffer: b, Hub: &tail.Hub{}, Letters: o.letters, Checkpoint: o.checkpoint, MaxSources: o.maxSources, LedgerRetention: o.ledger, OpenStore: func(after uint64) (storage.Store, error) {
		o.store.after = after
		if o.wrapStore != nil {
			return o.wrapStore, nil
		}
		return o.store, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if !o.noFeed {
			a.Run(ctx)
		}
	}()
	r := &rig{Admission: a, wal: wal, store: o.store, dir: dir}
	r.stop = sync.OnceFunc(func() { cancel(); <-done; wal.Close() })
	t.Cleanup(r.stop)
	return r
}

// lines makes a batch of one event for each unit in [from, to) of a source.
func lines(source string, from, to int64) *record.Batch {
	b := &record.Batch{Client: "c", Received: time.Now().UnixNano()}
	for i := from; i < to; i++ {
		b.Events = append(b.Events, event.Event{Position: ledger.Position{Source: source, From: i, To: i + 1, Sum: "s"}, Fields: []event.Field{{Name: "message", Value: fmt.Sprint(i)}}})
	}
	return b
}

func (r *rig) admit(t *testing.T, b *record.Batch, accepted, duplicates int) {
	t.Helper()
	res, err := r.Admit(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	if res.Accepted != accepted || res.Duplicates != duplicates {
		t.Errorf("accepted %d, duplicates %d; want %d and %d", res.Accepted, res.Duplicates, accepted, duplicates)
	}
}

// source waits until all is fed and returns the only account of that name.
func (r *rig) source(t *testing.T, name string) Source {
	t.Helper()
	if err := r.feeder.barrier(t.Context()); err != nil {
		t.Fatal(err)
	}
	list := r.Sources(time.Now().Add(time.Hour), Filter{Name: name})
	if len(list) != 1 {
		t.Fatalf("%d accounts are called %q", len(list), name)
	}
	return list[0]
}

// once holds that each of n different events is stored exactly once.
func (r *rig) once(t *testing.T, n int) {
	t.Helper()
	if err := r.feeder.barrier(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows := r.store.snapshot()
	if len(rows) != n {
		t.Errorf("%d events are stored, want %d", len(rows), n)
	}
	for id, k := range rows {
		if k != 1 {
			t.Errorf("%s is stored %d times", id, k)
		}
	}
}

func TestResendIsRefused(t *testing.T) {
	r := start(t, t.TempDir(), rigOptions{})
	r.admit(t, lines("s", 0, 100), 100, 0)
	r.admit(t, lines("s", 0, 100), 0, 100)
	r.admit(t, lines("s", 50, 150), 50, 50)
	r.once(t, 150)
	s := r.source(t, "s")
	if fmt.Sprint(s.Ranges) != "[[0 150]]" || s.Duplicates != 150 || s.Conflicts != 0 || len(s.Gaps) != 0 || s.Contiguous != 150 {
		t.Errorf("account %+v", s)
	}
}

func TestSameRangeOtherContentIsStored(t *testing.T) {
	r := start(t, t.TempDir(), rigOptions{})
	r.admit(t, lines("s", 0, 10), 10, 0)
	b := lines("s", 0, 10)
	for i := range b.Events {
		b.Events[i].Position.Sum = "other"
	}
	r.admit(t, b, 10, 0)
	r.once(t, 20)
	if s := r.source(t, "s"); s.Conflicts != 10 || s.Duplicates != 0 {
		t.Errorf("%d conflicts, %d duplicates; want 10, 0", s.Conflicts, s.Duplicates)
	}
}

func TestPartialOverlapIsStored(t *testing.T) {
	r := start(t, t.TempDir(), rigOptions{})
	r.admit(t, lines("s", 0, 10), 10, 0)
	b := lines("s", 5, 6)
	b.Events[0].Position.To = 20
	r.admit(t, b, 1, 0)
	if s := r.source(t, "s"); s.Conflicts != 1 || fmt.Sprint(s.Ranges) != "[[0 20]]" {
		t.Errorf("account %+v", s)
	}
}

func TestAnotherClientHasItsOwnAccount(t *testing.T) {
	r := start(t, t.TempDir(), rigOptions{})
	thief := lines("s", 0, 1000)
	thief.Client = "thief"
	for i := range thief.Events {
		thief.Events[i].Position.Sum = "forged"
	}
	r.admit(t, thief, 1000, 0)
	r.admit(t, lines("s", 0, 10), 10, 0) // not refused by what the other claimed
	r.once(t, 1010)
}

func TestWithinOneBatch(t *testing.T) {
	r := start(t, t.TempDir(), rigOptions{})
	b := lines("s", 0, 3)
	b.Events = append(b.Events, lines("s", 1, 2).Events...) // the same again
	parts := lines("s", 3, 4).Events
	second := parts[0]
	second.Position.Part = 1
	b.Events = append(b.Events, parts[0], second)
	r.admit(t, b, 5, 1)
	r.once(t, 5)
	again := &record.Batch{Client: b.Client, Received: 2, Events: lines("s", 3, 4).Events}
	part := again.Events[0]
	part.Position.Part = 1
	again.Events = append(again.Events, part)
	r.admit(t, again, 0, 2) // all parts of a range that come again are known
	r.once(t, 5)
	if s := r.source(t, "s"); s.Conflicts != 0 {
		t.Errorf("%d conflicts, want 0", s.Conflicts)
	}
}

func TestIdentityOfItsOwn(t *testing.T) {
	r := start(t, t.TempDir(), rigOptions{})
	b := func() *record.Batch {
		return &record.Batch{Client: "c", Received: 1, Events: []event.Event{{Identity: "a"}, {Identity: "b"}, {Identity: "a"}, {}}}
	}
	r.admit(t, b(), 3, 1)
	r.admit(t, b(), 1, 3) // the one without any identity is stored again
	r.once(t, 4)
}

func TestSkippedAndGaps(t *testing.T) {
	r := start(t, t.TempDir(), rigOptions{})
	b := lines("file:x", 100, 110)
	b.Events[0].Position.Skipped = 100
	b.Events[0].Put("log.file.path", "/var/log/x")
	r.admit(t, b, 10, 0)
	r.admit(t, lines("file:x", 120, 130), 10, 0)
	s := r.source(t, "/var/log/x")
	if fmt.Sprint(s.Ranges) != "[[0 110] [120 130]]" || len(s.Gaps) != 1 || s.Gaps[0].From != 110 || *s.Gaps[0].To != 120 || s.Gaps[0].Reason != "missing" {
		t.Errorf("account %+v", s)
	}
	lost := &record.Batch{Client: "c", Received: 2, Notes: []record.Note{
		{Kind: record.Lost, Source: "file:x", Range: ledger.Range{From: 112, To: 115}, Text: "corrupt"},
		{Kind: record.Lost, Source: "file:x", Range: ledger.Range{From: 130}, Text: "truncated"},
	}}
	r.admit(t, lost, 0, 0)
	got := ""
	for _, g := range r.source(t, "/var/log/x").Gaps {
		to := "?"
		if g.To != nil {
			to = fmt.Sprint(*g.To)
		}
		got += fmt.Sprintf("%d-%s %s ", g.From, to, g.Reason)
	}
	if want := "112-115 corrupt 110-112 missing 115-120 missing 130-? truncated "; got != want {
		t.Errorf("gaps %s, want %s", got, want)
	}
}

// slowBuffer holds back the outcome of the next sync, and may make it fail.
type slowBuffer struct {
	Buffer
	written chan struct{}
	outcome chan error
}

func (s *slowBuffer) Write(p ...[]byte) (buffer.Location, func() error, error) {
	loc, synced, err := s.Buffer.Write(p...)
	return loc, func() error {
		s.written <- struct{}{}
		if err := <-s.outcome; err != nil {
			return err
		}
		return synced()
	}, err
}

// TestNoAckBeforeFirstIsSynced: a resend of a batch that is still being written is answered only after the first is durable,
// and stored when the first failed.
func TestNoAckBeforeFirstIsSynced(t *testing.T) {
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprint("first fails ", fails), func(t *testing.T) {
			slow := &slowBuffer{written: make(chan struct{}), outcome: make(chan error)}
			r := start(t, t.TempDir(), rigOptions{wrap: func(b Buffer) Buffer { slow.Buffer = b; return slow }})
			type outcome struct {
				res Result
				err error
			}
			admit := func(c chan outcome) {
				res, err := r.Admit(t.Context(), lines("s", 0, 10))
				c <- outcome{res, err}
			}
			first, second := make(chan outcome, 1), make(chan outcome, 1)
			go admit(first)
			<-slow.written
			go admit(second)
			select {
			case <-slow.written:
				t.Fatal("the resend was written while the first was still being synced")
			case o := <-second:
				t.Fatalf("the resend was answered before the first was synced: %+v", o)
			case <-time.After(50 * time.Millisecond):
			}
			if !fails {
				slow.outcome <- nil
				if o := <-first; o.err != nil || o.res.Accepted != 10 {
					t.Errorf("first: %+v", o)
				}
				if o := <-second; o.err != nil || o.res.Duplicates != 10 {
					t.Errorf("second: %+v", o)
				}
			} else {
				slow.outcome <- errors.New("disk broke")
				if o := <-first; o.err == nil {
					t.Errorf("first: %+v", o)
				}
				<-slow.written
				slow.outcome <- nil
				if o := <-second; o.err != nil || o.res.Accepted != 10 {
					t.Errorf("second: %+v", o)
				}
			}
			r.once(t, 10)
		})
	}
}

func TestManyConnectionsAtOnce(t *testing.T) {
	r := start(t, t.TempDir(), rigOptions{checkpoint: 20 * time.Millisecond})
	var wg sync.WaitGroup
	for c := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range int64(40) {
				from := (i*7 + int64(c)) % 40 * 50
				if _, err := r.Admit(t.Context(), lines("s", from, from+75)); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	wg.Wait()
	r.once(t, 40*50+25)
}

func TestOverflowingPositionsDoNotPoison(t *testing.T) {
	r := start(t, t.TempDir(), rigOptions{})
	b := lines("s", ledger.MaxOffset-1, ledger.MaxOffset)
	r.admit(t, b, 1, 0)
	r.admit(t, lines("s", 0, 5), 5, 0)
	r.once(t, 6)
}

func TestFutureTimes(t *testing.T) {
	r := start(t, t.TempDir(), rigOptions{})
	now := time.Now()
	b := &record.Batch{Client: "c", Received: now.UnixNano(), Events: []event.Event{{Time: now.Add(200 * time.Hour).UnixNano()}, {Time: -5}, {Time: now.Add(time.Hour).UnixNano()}}}
	r.admit(t, b, 3, 0)
	for i, e := range b.Events {
		_, moved := e.Get("tally.timestamp")
		if moved != (i < 2) || e.Time <= 0 || e.Time > now.Add(2*time.Hour).UnixNano() {
			t.Errorf("event %d: time %d, moved %v", i, e.Time, moved)
		}
	}
}

// TestKnownNamesTheRefused: an intake that answers for each event must be told which were refused, also within one batch.
func TestKnownNamesTheRefused(t *testing.T) {
	r := start(t, t.TempDir(), rigOptions{})
	f := func(want string, ids ...string) {
		t.Helper()
		b := &record.Batch{Client: "c", Received: time.Now().UnixNano()}
		for _, id := range ids {
			b.Events = append(b.Events, event.Event{Identity: id, Fields: []event.Field{{Name: "message", Value: id}}})
		}
		res, err := r.Admit(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(res.Known) != want || res.Duplicates != len(res.Known) || res.Accepted != len(ids)-len(res.Known) {
			t.Errorf("%q: %+v, want known %s", ids, res, want)
		}
	}
	f("[]", "a", "b")
	f("[1 3]", "c", "a", "", "c", "")
	f("[0 1]", "b", "c")
	r.once(t, 5)
}
