package fanout

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func (r *rig) segments(name string) []string {
	r.t.Helper()
	names, err := filepath.Glob(filepath.Join(r.dir, name, "*.spill"))
	if err != nil {
		r.t.Fatal(err)
	}
	return names
}

// empty waits until the spills hold nothing.
func (r *rig) empty() {
	r.t.Helper()
	for deadline := time.Now().Add(patience); len(r.segments("*")) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("still there: %v", r.segments("*"))
		}
	}
}

func TestAllGetAll(t *testing.T) {
	r := newRig(t).start("")
	r.publish(50)
	r.a.has(t, 500)
	r.b.has(t, 500)
	r.done(500)
}

// Without a spill a batch waits for the last child.
func TestWaitsForAll(t *testing.T) {
	r := newRig(t)
	r.b.hold = true
	r.start("enabled: false,")
	r.publish(3)
	r.a.has(t, 30)
	r.b.wait(t, "3 batches", func() bool { return len(r.b.kept) == 3 })
	if n := r.count(); n != 0 {
		t.Errorf("%d events are acknowledged that one child has not", n)
	}
	r.b.release()
	r.done(30)
	if s := r.segments("*"); len(s) > 0 {
		t.Errorf("without a spill there is %v", s)
	}
}

// A child that is down holds up nobody; when it is back it gets what it missed, each event once.
func TestDown(t *testing.T) {
	r := newRig(t)
	r.b.down = true
	r.start("")
	r.publish(40)
	r.done(400)
	r.a.has(t, 400)
	r.publish(40)
	r.done(800)
	if len(r.b.got) > 0 || len(r.segments("b")) == 0 || len(r.segments("a")) > 0 {
		t.Errorf("b has %d events, segments %v", len(r.b.got), r.segments("*"))
	}
	r.b.set(func() { r.b.down = false })
	r.b.has(t, 800)
	r.empty()
	// And it goes on without the disk.
	r.publish(10)
	r.b.has(t, 900)
	r.a.has(t, 900)
	r.done(900)
}

// A child that holds batches without an answer is down as well. Its late answer counts, though the spill has the batch.
func TestLateAnswer(t *testing.T) {
	r := newRig(t)
	r.b.hold = true
	r.start("")
	r.publish(5)
	r.b.wait(t, "5 batches", func() bool { return len(r.b.kept) == 5 })
	r.done(50)
	r.publish(5)
	r.done(100)
	r.b.release()
	r.b.has(t, 100)
	r.empty()
}

// What is in the spill survives the end of the process, and is delivered once.
func TestRestart(t *testing.T) {
	r := newRig(t)
	r.b.down = true
	r.start("")
	for round := range 4 {
		r.publish(20)
		r.done(200 * (round + 1))
		r.stop()
		r.start("")
	}
	r.publish(20)
	r.b.set(func() { r.b.down = false })
	r.b.has(t, 1000)
	r.a.has(t, 1000)
	r.done(1000)
	r.empty()
}

// Part of the spill is delivered before the restart: that part does not come again.
func TestRestartHalfway(t *testing.T) {
	r := newRig(t)
	r.b.down = true
	r.start("")
	r.publish(40)
	r.done(400)
	r.b.set(func() { r.b.down, r.b.limit = false, 200 })
	r.b.wait(t, "a part", func() bool { return len(r.b.got) >= 200 && r.b.busy == 0 })
	r.stop()
	r.start("")
	r.b.set(func() { r.b.down, r.b.limit = false, 0 })
	r.b.has(t, 400)
	r.empty()
}

// When the spill is full, batches wait, and go on when there is room.
func TestFull(t *testing.T) {
	r := newRig(t)
	r.b.down = true
	r.start("max_size: 1MiB,")
	const batches = 400 // 4 KB each
	r.publish(batches)
	r.a.has(t, 10*batches)
	n := 0
	for deadline := time.Now().Add(patience); n < 1000 && time.Now().Before(deadline); n = r.count() {
		time.Sleep(5 * time.Millisecond)
	}
	size := int64(0)
	for _, name := range r.segments("b") {
		if info, err := os.Stat(name); err == nil {
			size += info.Size()
		}
	}
	if n == 10*batches || size > 1<<20 {
		t.Errorf("%d events acknowledged, %d bytes of spill", n, size)
	}
	r.b.set(func() { r.b.down = false })
	r.b.has(t, 10*batches)
	r.done(10 * batches)
	r.empty()
}

// A spill that cannot be opened is no reason to lose or to stop.
func TestNoSpill(t *testing.T) {
	r := newRig(t)
	if err := os.WriteFile(filepath.Join(r.dir, "b"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.start("")
	r.publish(10)
	r.a.has(t, 100)
	r.b.has(t, 100)
	r.done(100)
}

// A disk that fails makes batches wait in memory, where the peer gets them as soon as it is back.
func TestFailingDisk(t *testing.T) {
	r := newRig(t)
	r.b.down = true
	r.start("")
	r.publish(5)
	r.done(50)
	b := r.f.children[1]
	b.spill.mu.Lock()
	b.spill.dir = filepath.Join(r.dir, "nowhere") // new segments cannot be made
	b.spill.active = nil
	b.spill.mu.Unlock()
	r.publish(5)
	r.a.has(t, 100)
	if n := r.count(); n != 50 {
		t.Errorf("%d events acknowledged, 50 are on disk", n)
	}
	r.b.set(func() { r.b.down = false })
	r.b.has(t, 100)
	r.done(100)
}

// Answers for a part of a batch.
func TestPartial(t *testing.T) {
	r := newRig(t)
	r.b.partial = true
	r.start("enabled: false,")
	r.publish(5)
	r.b.has(t, 50)
	r.done(50)
}

// When the beat stops, what a child has not answered goes to the spill at once, so that the others do not get it again.
func TestStopping(t *testing.T) {
	r := newRig(t)
	r.b.hold = true
	r.start("after: 1h")
	r.publish(3)
	r.a.has(t, 30)
	if n := r.count(); n != 0 {
		t.Errorf("%d events are acknowledged that one child has not", n)
	}
	close(r.stopping)
	r.publish(2)
	r.done(50)
	r.stop()
	r.b.hold = false
	r.stopping = make(chan struct{})
	r.start("")
	r.b.has(t, 50)
	r.a.has(t, 50)
}

// Nothing is delivered before the beat runs, and what is published until then waits.
func TestBeforeRunning(t *testing.T) {
	r := newRig(t)
	running := make(chan struct{})
	g, err := load(`{spill.path: "`+r.dir+`", outputs: {a: {type: fake, peer: 0}, b: {type: fake, peer: 1}}}`, running, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.f = g.Clients[0].(*fan)
	r.publish(2)
	if entries, _ := os.ReadDir(r.dir); len(entries) > 0 || len(r.a.got) > 0 {
		t.Errorf("before the beat runs there are %v, %v", entries, r.a.got)
	}
	close(running)
	r.a.has(t, 20)
	r.b.has(t, 20)
	r.done(20)
}

func TestOptions(t *testing.T) {
	newRig(t)
	f := func(options, want string) {
		t.Helper()
		g, err := load(options, nil, nil)
		if err == nil {
			g.Clients[0].Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", options, err, want)
		}
	}
	f(`{}`, "outputs")
	f(`{outputs: {}}`, "outputs")
	f(`{outputs: {a: {type: fake, enabled: false}}}`, "no output is enabled")
	f(`{outputs: {nosuch: {}}}`, `unknown output "nosuch" accessing 'output.fanout.outputs.nosuch.type'`)
	f(`{outputs: {a: {type: fanout}}}`, "unknown output")
	f(`{outputs: {"a/b": {type: fake}}}`, "other characters")
	f(`{outputs: {a: {type: fake, bad: true}}}`, `cannot make output "a": a bad option`)
	f(`{spill.max_size: 1KiB, outputs: {a: {type: fake}}}`, "max_size")
	f(`{outputs: {a: {type: fake, spill.after: 0}}}`, "after")
}
