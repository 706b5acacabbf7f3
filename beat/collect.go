package beat

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// busyPercent is how much may be allocated, in percent of what is in use, before garbage is collected while much is shipped. The
	// agent holds little and allocates much then: Go's own 100 costs a sixth of its CPU time.
	busyPercent = 300
	// busyRoom bounds that, in bytes, for an agent that holds much: whose queue is full of events of many fields.
	busyRoom = 96 << 20
	// quietRoom is how much may be allocated, in bytes, while little is shipped: memory that a busy agent would make use of is only in
	// the way of others then.
	quietRoom = 12 << 20
	// busyCycles within busyTime make an agent busy. The start of one with thousands of files takes fewer.
	busyCycles = 20
	busyTime   = 4 * time.Second
	// quietTime without a collection makes it quiet again.
	quietTime = 2 * time.Second
)

// governor chooses the percentage at the end of each collection, by how often they come. It has no goroutine and no timer.
type governor struct {
	ends [busyCycles]time.Time // of the last collections
	next int
	set  int // the percentage in force
	busy bool
}

// govern begins to choose the percentage. It ends once somebody else has set one, as the option gc_percent does.
func govern() {
	g := &governor{set: busyPercent}
	debug.SetGCPercent(g.set)
	g.again()
}

// again waits for the end of the next collection, which finds that this object is in use no more.
func (g *governor) again() {
	runtime.AddCleanup(new([16]byte), (*governor).collected, g)
}

func (g *governor) collected() {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	want := g.choose(time.Now(), sample[0].Value.Uint64())
	if want != g.set {
		if before := debug.SetGCPercent(want); before != g.set {
			debug.SetGCPercent(before)
			return
		}
		g.set = want
	}
	g.again()
}

// choose gives the percentage for what follows a collection that ended now and left live bytes in use.
func (g *governor) choose(now time.Time, live uint64) int {
	last, oldest := g.ends[(g.next+busyCycles-1)%busyCycles], g.ends[g.next]
	g.ends[g.next] = now
	g.next = (g.next + 1) % busyCycles
	// For a busy agent collections are seldom again.
	g.busy = !oldest.IsZero() && now.Sub(oldest) < busyTime || g.busy && now.Sub(last) < quietTime
	if g.busy {
		return int(min(max(100*busyRoom/max(live, 1), 100), busyPercent))
	}
	return int(min(max(100*quietRoom/max(live, 1), 25), busyPercent))
}
