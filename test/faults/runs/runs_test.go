package runs

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	long = flag.Bool("long", false, "run the long form: 1,000 runs")
	base = flag.Int64("seed", 0, "the first seed; 0: always the same, with -long another each time")
	runs = flag.Int("runs", 0, "how many; 0: 100, or 1,000 with -long")
)

// group is how many runs a server goes through before another takes its place: what one run leaves the next one finds.
const group = 10

// TestRuns runs one seed after the other. On a failure the message has the seed and what happened.
func TestRuns(t *testing.T) {
	n, first := *runs, *base
	if n == 0 {
		if n = 100; *long {
			n = 1000
		}
	}
	if first == 0 {
		first = newSeed()
	}
	t.Logf("seeds %d to %d", first, first+int64(n)-1)
	began := time.Now()
	var mu sync.Mutex
	hits, bad := map[string]int{}, 0
	groups := make(chan int64)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for seed := range groups {
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					g := newGround(t, seed)
					for s := seed; s < min(seed+group, first+int64(n)) && !t.Failed(); s++ {
						run(t, g, s)
					}
					mu.Lock()
					defer mu.Unlock()
					for p, k := range g.hits {
						hits[p] += k
					}
					if t.Failed() {
						bad++
					}
				})
			}
		})
	}
	for seed := first; seed < first+int64(n); seed += group {
		groups <- seed
	}
	close(groups)
	wg.Wait()
	var table strings.Builder
	for _, p := range slices.Sorted(maps.Keys(hits)) {
		fmt.Fprintf(&table, "\n%6d  %s", hits[p], p)
	}
	t.Logf("%d runs in %v, %d with lost or doubled lines; ended by itself (or slow to be killed) at%s", n, time.Since(began).Round(time.Second), bad, table.String())
	if n >= 1000 {
		for p := range places {
			if hits[p] == 0 {
				t.Errorf("no run has come to the place %s", p)
			}
		}
	}
}

// newSeed is where no seed is asked for.
func newSeed() int64 {
	if *long {
		return time.Now().UnixNano() / 1e6 % 1e9
	}
	return 1
}

func run(t *testing.T, g *ground, seed int64) {
	t.Helper()
	rnd := rand.New(rand.NewSource(seed))
	m := newModel(seed, rnd)
	faults := newFaults(rnd, slices.Sorted(maps.Keys(places)))
	if g.s.Process != nil {
		g.s.Kill()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	all := make([]*traffic, len(m.streams))
	for i, s := range m.streams {
		all[i] = newTraffic(m, s, rnd, g.http.addr, g.lj.addr)
	}
	send := func() {
		for _, tr := range all {
			wg.Go(func() { tr.run(ctx) })
		}
	}
	send()
	g.suffer(faults, rand.New(rand.NewSource(rnd.Int63())))
	wg.Wait()
	if corrupting(faults) { // what was acknowledged may be gone with its record; sent again it fills the gap
		for _, tr := range all {
			tr.again()
		}
		send()
		wg.Wait()
	}
	if ctx.Err() != nil {
		t.Errorf("seed %d: not all is acknowledged after ten minutes; %v", seed, faults)
		return
	}
	if rnd.Intn(3) == 0 { // what is acknowledged is durable
		g.s.Kill()
		g.s.Start()
	}
	if wrong := g.validate(m); len(wrong) > 0 {
		t.Errorf("seed %d: %v\n%s", seed, faults, strings.Join(wrong, "\n"))
	}
}
