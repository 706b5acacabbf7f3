package admit

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand"
	"sync"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/record"
	"github.com/tallylog/tally/server/storage"
	"github.com/tallylog/tally/server/tail"
)

const (
	chunks    = 60 // of a source, each sent as one batch
	chunkSize = 8  // lines of a chunk
)

// chunk is what a client sends as one batch. A clone is sent by a machine that was copied: the same ranges with other lines.
type chunk struct {
	at       int
	clone    bool
	withheld bool // never sent: a gap
	tried    bool
	acked    bool
	flight   int // sends under way
}

// batch is the chunk as a server gets it whose clock is off by jump.
func (c *chunk) batch(jump time.Duration) *record.Batch {
	b := &record.Batch{Client: "c", Received: time.Now().Add(jump).UnixNano()}
	for i := range int64(chunkSize) {
		from := int64(c.at)*chunkSize + i
		e := event.Event{Time: time.Now().Add(-time.Duration(i%2) * 24 * time.Hour).UnixNano()}
		e.Position = ledger.Position{Source: "s", From: from, To: from + 1, Sum: fmt.Sprint(c.clone)}
		e.Put("message", "m")
		b.Events = append(b.Events, e)
	}
	return b
}

// traffic is what clients want to send and know to be acknowledged.
type traffic struct {
	mu   sync.Mutex
	rnd  *rand.Rand
	list []*chunk
	jump time.Duration // by which the server's clock is off
}

func newTraffic(seed int64) *traffic {
	tr := &traffic{rnd: rand.New(rand.NewSource(seed))}
	for i := range chunks {
		c := &chunk{at: i, withheld: tr.rnd.Intn(10) == 0}
		tr.list = append(tr.list, c)
		if !c.withheld && tr.rnd.Intn(6) == 0 {
			tr.list = append(tr.list, &chunk{at: i, clone: true})
		}
	}
	return tr
}

// next picks a chunk: one of the first that are not acknowledged, or any again that was tried. With last it picks only what is
// left to do, and nil at the end.
func (tr *traffic) next(last bool) *chunk {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	var open, again []*chunk
	for _, c := range tr.list {
		if c.withheld {
			continue
		}
		if !c.acked && (!last || c.flight == 0) && len(open) < 4 {
			open = append(open, c)
		}
		if c.tried {
			again = append(again, c)
		}
	}
	from := open
	if !last && (len(open) == 0 || len(again) > 0 && tr.rnd.Intn(3) == 0) {
		from = again
	}
	if len(from) == 0 {
		return nil
	}
	c := from[tr.rnd.Intn(len(from))]
	c.tried = true
	return c
}

// send sends a chunk and notes whether it is acknowledged.
func (tr *traffic) send(ctx context.Context, a *Admission, c *chunk, b bug) error {
	tr.mu.Lock()
	c.flight++
	early := b.ackWithFirst && c.flight > 1
	c.acked = c.acked || early
	tr.mu.Unlock()
	var err error
	if !early {
		_, err = a.Admit(ctx, c.batch(tr.jump))
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	c.flight--
	c.acked = c.acked || err == nil
	return err
}

// faultRun sends the traffic of a seed through several failures of power and tells what is wrong in the end.
func faultRun(t *testing.T, seed int64, b bug) error {
	t.Helper()
	dir := t.TempDir()
	w, tr := newWorld(seed, b), newTraffic(seed)
	for range 6 {
		if err := w.live(t, dir, tr, false); err != nil {
			return err
		}
		w.restart()
		tr.jump = time.Duration(tr.rnd.Intn(5)-2) * 36 * time.Hour
	}
	return w.live(t, dir, tr, true)
}

// live runs a server until the power fails; the last time it does not, everything is sent, and the outcome is looked at.
func (w *world) live(t *testing.T, dir string, tr *traffic, last bool) error {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.off = cancel
	cp, err := ReadCheckpoint(dir)
	if err != nil {
		return err
	}
	a, err := Open(ctx, cp, Options{
		Dir: dir, Buffer: w, Hub: &tail.Hub{}, Checkpoint: 500 * time.Microsecond,
		OpenStore: func(uint64) (storage.Store, error) { return simStore{w: w}, nil },
	})
	if err != nil {
		return err
	}
	if !last {
		w.left = 5 + w.rnd.Intn(60)
	}
	fed := make(chan struct{})
	go func() { defer close(fed); a.Run(ctx) }()
	var senders sync.WaitGroup
	for range 3 {
		senders.Go(func() {
			for ctx.Err() == nil {
				c := tr.next(last)
				if c == nil {
					return
				}
				if err := tr.send(ctx, a, c, w.bug); err == nil && w.maximum {
					a.forgetHoles()
				}
			}
		})
	}
	senders.Wait()
	if last {
		err = a.feeder.barrier(ctx)
		if err == nil {
			err = w.judge(a, tr)
		}
	}
	cancel()
	<-fed
	return errors.Join(w.gone, err)
}

// forgetHoles makes of each account what one has that knows only how far a source has come.
func (a *Admission) forgetHoles() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, acct := range a.accounts {
		if r, ok := acct.now.stored.Last(); ok {
			acct.now.stored.Add(ledger.Range{From: 0, To: r.To})
		}
	}
}

// judge compares store and account with what was acknowledged.
func (w *world) judge(a *Admission, tr *traffic) error {
	var errs []error
	var want ledger.Set
	ids, clones := 0, int64(0)
	for _, c := range tr.list {
		if c.withheld {
			continue
		}
		b := c.batch(0)
		for i := range b.Events {
			id := b.Events[i].Position.ID()
			ids++
			if n := w.ids[id]; n != 1 {
				errs = append(errs, fmt.Errorf("line %d (clone %v) is stored %d times", b.Events[i].Position.From, c.clone, n))
			}
		}
		if c.clone {
			clones += chunkSize
		}
		want.Add(ledger.Range{From: int64(c.at) * chunkSize, To: int64(c.at+1) * chunkSize})
	}
	s := a.Sources(time.Now(), Filter{Source: "s"})
	if len(s) != 1 {
		return errors.Join(append(errs, fmt.Errorf("%d accounts", len(s)))...)
	}
	var got ledger.Set
	for _, r := range s[0].Ranges {
		got.Add(ledger.Range{From: r[0], To: r[1]})
	}
	if fmt.Sprint(got.Ranges()) != fmt.Sprint(want.Ranges()) {
		errs = append(errs, fmt.Errorf("the account has %v, want %v", got.Ranges(), want.Ranges()))
	}
	if s[0].Events != int64(ids) || s[0].Conflicts != clones {
		errs = append(errs, fmt.Errorf("the account counts %d events and %d conflicts, want %d and %d", s[0].Events, s[0].Conflicts, ids, clones))
	}
	return errors.Join(errs...)
}

// faultRuns is how many seeds are tried; the long form has more.
var faultRuns = flag.Int("runs", 100, "seeds that the simulated failures of power go through")

// TestFaultRuns sends traffic through failures of power: nothing is lost, nothing doubled, and the account says what is there.
func TestFaultRuns(t *testing.T) {
	for seed := range int64(*faultRuns) {
		if err := faultRun(t, seed, bug{}); err != nil {
			t.Errorf("seed %d: %.500s", seed, err)
		}
	}
}

// TestPlantedBugsAreFound holds that the runs of TestFaultRuns can fail: each planted bug is found by one of the seeds.
func TestPlantedBugsAreFound(t *testing.T) {
	const seeds = 400 // most take the first, none more than some dozens
	for name, b := range map[string]bug{
		"acknowledged before the sync":                                  {ackBeforeSync: true},
		"record known by its number without the day":                    {bySeqWithoutDay: true},
		"maximum in place of an interval set":                           {maximum: true},
		"checkpoint before the store is durable":                        {checkpointUnsynced: true},
		"duplicate acknowledged before the first is durable":            {ackWithFirst: true},
		"duplicate refused by its range without its id":                 {refuseByRange: true},
		"segments dropped before the checkpoint of the ledger is there": {dropBeforeLedger: true},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range int64(seeds) {
				if err := faultRun(t, seed, b); err != nil {
					t.Logf("found by seed %d: %.200s", seed, err)
					return
				}
			}
			t.Errorf("none of %d runs has found it", seeds)
		})
	}
}
