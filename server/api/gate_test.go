package api

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/storage"
)

func TestGateBounds(t *testing.T) {
	g := &gate{what: "searches", all: 4, each: 3, queue: 1000, wait: time.Minute}
	var now, most, mostOfOne, ofOne atomic.Int64
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			tenant := uint32(i % 2)
			if err := g.enter(t.Context(), tenant); err != nil {
				t.Error(err)
				return
			}
			raise(&most, now.Add(1))
			if tenant == 1 {
				raise(&mostOfOne, ofOne.Add(1))
				ofOne.Add(-1)
			}
			now.Add(-1)
			g.leave(tenant)
		})
	}
	wg.Wait()
	if most.Load() > 4 || mostOfOne.Load() > 3 {
		t.Errorf("%d at once, %d of one tenant; want at most 4 and 3", most.Load(), mostOfOne.Load())
	}
	if g.running != 0 || len(g.places) != 0 || len(g.line) != 0 {
		t.Errorf("afterwards %d run, %v, %d wait", g.running, g.places, len(g.line))
	}
}

func raise(most *atomic.Int64, n int64) {
	for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
	}
}

// TestGateRefuses: a full line, and a wait that is too long, are 429; another tenant is not held up; who goes away leaves no
// place taken.
func TestGateRefuses(t *testing.T) { synctest.Test(t, gateRefuses) }

func gateRefuses(t *testing.T) {
	g := &gate{what: "searches", all: 3, each: 2, queue: 1, wait: 50 * time.Millisecond}
	for range 2 {
		if err := g.enter(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
	busy := func(err error) {
		t.Helper()
		var e *answer.Error
		if !errors.As(err, &e) || e.Status != http.StatusTooManyRequests || e.RetryAfter == 0 {
			t.Errorf("got %v, want 429", err)
		}
	}
	busy(g.enter(t.Context(), 1)) // waits in vain
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() { gone <- g.again(ctx, 1) }()
	synctest.Wait()
	begun := time.Now()
	busy(g.enter(t.Context(), 1)) // the line is full
	if time.Since(begun) != 0 {
		t.Error("a full line is not refused at once")
	}
	if err := g.enter(t.Context(), 2); err != nil {
		t.Errorf("another tenant: %v", err)
	}
	if got, want := g.stats(), (GateStats{Running: 3, Waiting: 1, Refused: 2}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("who went away: %v", err)
	}
	for _, tenant := range []uint32{1, 1, 2} {
		g.leave(tenant)
	}
	// Who goes away is not refused.
	if got, want := g.stats(), (GateStats{Refused: 2}); got != want {
		t.Errorf("afterwards %+v, want %+v", got, want)
	}
}

// TestTicket: a place given up goes to who waits, and is taken again behind them; past its time the search is partial.
func TestTicket(t *testing.T) {
	g := &gate{what: "searches", all: 1, each: 1, queue: 1, wait: time.Minute}
	a, err := g.ticket(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	a.giveUp()
	a.giveUp() // does nothing more
	b, err := g.ticket(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := a.takeAgain(ctx); !errors.Is(err, storage.ErrPartial) {
		t.Errorf("past its time: %v", err)
	}
	a.giveUp() // it holds none
	if g.running != 1 {
		t.Errorf("%d run, want 1", g.running)
	}
	b.giveUp()
	if err := a.takeAgain(t.Context()); err != nil || g.running != 1 {
		t.Errorf("%v, %d run", err, g.running)
	}
}
