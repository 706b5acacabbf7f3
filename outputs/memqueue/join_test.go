package memqueue

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/publisher"
	"github.com/elastic/beats/v7/libbeat/publisher/queue"

	"github.com/tallylog/tally/outputs/bundle"
)

// lined publishes lines of one file with one Part, as inputs do.
type lined struct {
	p    queue.Producer
	part bundle.Part
	n    int
}

func (l *lined) event() publisher.Event {
	l.part.Message = fmt.Sprint(l.part.Source, l.n)
	l.n++
	return publisher.Event{Content: beat.Event{Fields: l.part.Shared.Fields, Private: &l.part}}
}

func (l *lined) publish(n int) {
	for range n {
		l.p.Publish(l.event())
	}
}

func newLined(q *Queue, source string, acked func(int)) *lined {
	shared := &beat.Event{Fields: common.MapStr{"log": common.MapStr{}}}
	return &lined{p: q.Producer(queue.ProducerConfig{ACK: acked}), part: bundle.Part{Source: source, Shared: shared}}
}

// messages are the lines of each event of a batch; an event that is none has a dash.
func messages(b queue.Batch) (out []string) {
	for _, e := range b.Events() {
		text := "-"
		if g := bundle.Of(&e.Content); g != nil {
			text = ""
			for _, l := range g.Lines {
				text += l.Message
			}
		}
		out = append(out, text)
	}
	return out
}

// Lines are joined while they wait, to the last event of their producer and to no other.
func TestJoin(t *testing.T) {
	l, more := &listener{}, 0
	q := New(l, Config{Events: 2000}, func(n int) { more += n })
	defer q.Close()
	acks := make(chan string, 100)
	a := newLined(q, "a", func(n int) { acks <- fmt.Sprint("a", n) })
	b := newLined(q, "b", func(n int) { acks <- fmt.Sprint("b", n) })
	c := q.Consumer()
	get := func(n int, want ...string) queue.Batch {
		t.Helper()
		g, err := c.Get(n)
		if err != nil {
			t.Fatal(err)
		}
		if got := messages(g); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		return g
	}
	a.publish(2)
	b.publish(1)
	a.publish(1)
	a.p.Publish(event(0))
	b.publish(1)
	a.publish(2)
	a.part.Source = "A" // the file was truncated
	a.publish(1)
	first := get(3, "a0a1a2")
	a.publish(1)
	a.part.Shared = &beat.Event{Fields: common.MapStr{}} // another path
	a.publish(2)
	second := get(3, "b0b1", "-")
	third := get(0, "a3a4", "A5A6", "A7A8")
	a.publish(1)
	fourth := get(0, "A9") // what was given out is not changed any more
	for _, g := range []queue.Batch{fourth, third, second, first} {
		g.ACK()
	}
	want := []string{"a3", "b2", "a1", "a6", "a1"}
	for i := range want {
		select {
		case got := <-acks:
			if got != want[i] {
				t.Errorf("acknowledged %s, want %s", got, want[i])
			}
		case <-time.After(patience):
			t.Fatalf("only %v", want[:i])
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n != 13 || more != 0 {
		t.Errorf("%d events and %d more lines acknowledged, want 13 and none", l.n, more)
	}
}

// A bundle has a largest size, joined lines count against the queue's bound, and towards a flush.
func TestJoinBounds(t *testing.T) {
	q := New(nil, Config{Events: 600, FlushMinEvents: 550, FlushTimeout: time.Hour}, nil)
	defer q.Close()
	q.flushed = time.Now()
	a := newLined(q, "a", nil)
	a.publish(549)
	q.mu.Lock()
	if len(q.events) != 2 || q.used != 549 || q.ready != 0 {
		t.Errorf("%d events of %d lines, %d ready", len(q.events), q.used, q.ready)
	}
	q.mu.Unlock()
	a.publish(51)
	if a.p.TryPublish(a.event()) {
		t.Error("the queue holds more than its bound")
	}
	done := make(chan bool)
	go func() { done <- a.p.Publish(a.event()) }()
	eventually(t, "it waits", func() bool { q.mu.Lock(); defer q.mu.Unlock(); return len(q.waiting) == 1 })
	g, err := q.Consumer().Get(1)
	if err != nil || bundle.Count(g.Events()) != bundle.MaxLines {
		t.Fatalf("%d lines, %v", bundle.Count(g.Events()), err)
	}
	g.ACK()
	if !<-done {
		t.Error("refused")
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.events) != 1 || q.used != 89 {
		t.Errorf("%d events of %d lines are left, want 1 of 89", len(q.events), q.used)
	}
}

// A producer that takes what it has with it is told of each line.
func TestJoinedAreDropped(t *testing.T) {
	q := New(nil, Config{Events: 100, FlushMinEvents: 50, FlushTimeout: time.Hour}, nil)
	defer q.Close()
	dropped := 0
	a := newLined(q, "a", nil)
	a.p = q.Producer(queue.ProducerConfig{DropOnCancel: true, OnDrop: func(beat.Event) { dropped++ }})
	b := newLined(q, "b", nil)
	a.publish(3)
	b.publish(2)
	a.p.Publish(event(0))
	if n := a.p.Cancel(); n != 4 || dropped != 4 {
		t.Errorf("%d are gone and %d were told, want 4", n, dropped)
	}
	b.publish(1)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.used != 3 || len(q.events) != 1 || q.fresh+q.ready == 0 {
		t.Errorf("%d lines in %d events are left", q.used, len(q.events))
	}
}

// Whatever producers and consumer do at once, every line arrives once and in order, and is acknowledged once.
func TestJoinConcurrently(t *testing.T) {
	const producers, each = 4, 20_000
	q := New(nil, Config{Events: 700, FlushMinEvents: 100, FlushTimeout: 2 * time.Millisecond}, nil)
	defer q.Close()
	var acked sync.WaitGroup
	acked.Add(producers * each)
	seen := map[string]int{}
	go func() {
		for c := q.Consumer(); ; {
			g, err := c.Get(300)
			if err != nil {
				return
			}
			for _, e := range g.Events() {
				b := bundle.Of(&e.Content)
				for _, l := range b.Lines {
					if want := fmt.Sprint(b.Source, seen[b.Source]); l.Message != want {
						t.Errorf("%s, want %s", l.Message, want)
					}
					seen[b.Source]++
				}
			}
			g.ACK()
		}
	}()
	for i := range producers {
		go newLined(q, fmt.Sprint("s", i, "-"), func(n int) { acked.Add(-n) }).publish(each)
	}
	all := make(chan bool)
	go func() { acked.Wait(); close(all) }()
	select {
	case <-all:
	case <-time.After(2 * patience):
		t.Error("not everything was acknowledged")
	}
}

func BenchmarkJoin(b *testing.B) {
	q := New(nil, Config{Events: 4096, FlushMinEvents: 2048, FlushTimeout: time.Second}, nil)
	defer q.Close()
	go drain(q)
	l := newLined(q, "a", func(int) {})
	e := l.event()
	b.ReportAllocs()
	for b.Loop() {
		l.p.Publish(e)
	}
}
