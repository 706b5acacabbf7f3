package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/storage"
)

// Bounds of what runs at once. A search keeps all processors busy, so more at once would only slow each other and intake.
const (
	searchWait   = 10 * time.Second // how long a search waits for its turn
	searchQueue  = 200              // searches of a tenant that wait
	tailsOfOne   = 500              // live tails of a tenant
	tailsOfAll   = 2000
	searchesAtIt = 2 // searches at once for each processor
)

func searchGate() *gate {
	n := max(4, searchesAtIt*runtime.GOMAXPROCS(0))
	return &gate{what: "searches", all: n, each: n - 1, queue: searchQueue, wait: searchWait}
}

func tailGate() *gate {
	return &gate{what: "live tails", all: tailsOfAll, each: tailsOfOne}
}

// gate bounds what runs at once, in all and for each tenant. Who finds no place waits in line; a tenant that has used its own
// places up does not hold up the others. It is used by pointer and needs its bounds set.
type gate struct {
	what  string // for messages
	all   int
	each  int
	queue int // of one tenant
	wait  time.Duration

	mu      sync.Mutex
	running int
	refused int64
	places  map[uint32]int // taken, by tenant
	line    []*waiter
}

type waiter struct {
	tenant uint32
	begin  chan struct{} // closed when the place is the waiter's
}

// GateStats is the state of what is bounded at once. Refused counts since the start: no place in line, or none in time.
type GateStats struct {
	Running, Waiting int
	Refused          int64
}

// Searches and Tails are the state of searches and of live tails; Routes must have been called.
func (a *API) Searches() GateStats { return a.searches.stats() }
func (a *API) Tails() GateStats    { return a.tails.stats() }

func (g *gate) stats() GateStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return GateStats{Running: g.running, Waiting: len(g.line), Refused: g.refused}
}

// enter takes a place. It returns a 429 when there is none within the bound of waiting, and the error of ctx when that ends.
func (g *gate) enter(ctx context.Context, tenant uint32) error {
	queue := 0
	if g.wait > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeoutCause(ctx, g.wait, g.busy())
		defer cancel()
		queue = g.queue
	}
	err := g.take(ctx, tenant, queue)
	var e *answer.Error
	if errors.As(err, &e) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.refused++
	}
	return err
}

// again takes a place for work that had begun and gave its place up; it waits until ctx ends.
func (g *gate) again(ctx context.Context, tenant uint32) error {
	err := g.take(ctx, tenant, int(^uint(0)>>1))
	if ctx.Err() == context.DeadlineExceeded {
		return fmt.Errorf("%w: %w", storage.ErrPartial, err)
	}
	return err
}

func (g *gate) take(ctx context.Context, tenant uint32, queue int) error {
	g.mu.Lock()
	if g.free(tenant) {
		g.place(tenant, 1)
		g.mu.Unlock()
		return nil
	}
	waiting := 0
	for _, w := range g.line {
		if w.tenant == tenant {
			waiting++
		}
	}
	if waiting >= queue {
		g.mu.Unlock()
		return g.busy()
	}
	w := &waiter{tenant: tenant, begin: make(chan struct{})}
	g.line = append(g.line, w)
	g.mu.Unlock()
	select {
	case <-w.begin:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.line, w); i >= 0 {
		g.line = slices.Delete(g.line, i, i+1)
	} else { // it got its place at the last moment
		g.leaveLocked(tenant)
	}
	return context.Cause(ctx)
}

// leave gives a place back.
func (g *gate) leave(tenant uint32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leaveLocked(tenant)
}

func (g *gate) leaveLocked(tenant uint32) {
	g.place(tenant, -1)
	g.line = slices.DeleteFunc(g.line, func(w *waiter) bool {
		if !g.free(w.tenant) {
			return false
		}
		g.place(w.tenant, 1)
		close(w.begin)
		return true
	})
}

func (g *gate) free(tenant uint32) bool { return g.running < g.all && g.places[tenant] < g.each }

func (g *gate) place(tenant uint32, n int) {
	if g.places == nil {
		g.places = map[uint32]int{}
	}
	g.running += n
	if g.places[tenant] += n; g.places[tenant] == 0 {
		delete(g.places, tenant)
	}
}

func (g *gate) busy() error {
	return &answer.Error{Status: http.StatusTooManyRequests, Code: "busy", Message: fmt.Sprintf("too many %s at once; try again in a moment", g.what), RetryAfter: 5}
}

// ticket is the place of one search, which it may give up for a while. It is used by one goroutine, but for giveUp.
type ticket struct {
	gate   *gate
	tenant uint32
	mu     sync.Mutex
	held   bool
}

func (g *gate) ticket(ctx context.Context, tenant uint32) (*ticket, error) {
	if err := g.enter(ctx, tenant); err != nil {
		return nil, err
	}
	return &ticket{gate: g, tenant: tenant, held: true}, nil
}

func (t *ticket) giveUp() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held {
		t.held = false
		t.gate.leave(t.tenant)
	}
}

func (t *ticket) takeAgain(ctx context.Context) error {
	err := t.gate.again(ctx, t.tenant)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held = err == nil
	return err
}
