package beat

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestChoosesPercentage(t *testing.T) {
	g := &governor{set: busyPercent}
	now := time.Unix(1e9, 0)
	f := func(after time.Duration, live uint64, want int) {
		t.Helper()
		now = now.Add(after)
		if g.set = g.choose(now, live); g.set != want {
			t.Errorf("%d, want %d", g.set, want)
		}
	}
	f(0, 4<<20, 300)
	for range busyCycles - 1 { // the start
		f(time.Millisecond, 24<<20, 50)
	}
	f(busyTime, 24<<20, 50)
	f(time.Minute, 48<<20, 25)
	f(time.Minute, 1<<30, 25)
	f(time.Minute, 0, 300)
	for range busyCycles - 1 {
		f(10*time.Millisecond, 24<<20, 50)
	}
	f(10*time.Millisecond, 24<<20, 300)
	for range 2 * busyCycles {
		f(time.Second, 32<<20, 300) // still busy, though they are seldom now
	}
	f(time.Second, 64<<20, 150)
	f(time.Second, 1<<30, 100)
	f(quietTime, 24<<20, 50)
}

// What somebody else sets stays.
func TestLeavesPercentageToOthers(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	g := &governor{set: busyPercent} // which is not what is in force
	g.collected()
	if now := percent(); now != 100 {
		t.Errorf("the percentage is %d", now)
	}
	g = &governor{set: 100}
	g.again()
	for deadline := time.Now().Add(3 * time.Minute); percent() == 100; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the end of a collection is not noticed")
		}
		runtime.GC()
	}
}

func percent() int64 {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}
