package memqueue

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/publisher"
	"github.com/elastic/beats/v7/libbeat/publisher/queue"
	"github.com/elastic/beats/v7/libbeat/publisher/queue/queuetest"

	"github.com/tallylog/tally/outputs/bundle"
)

// patience bounds every wait; only a failing test waits so long.
const patience = 2 * time.Minute

func event(i int) publisher.Event {
	return publisher.Event{Content: beat.Event{Fields: common.MapStr{"i": i}}}
}

// several is an event that stands for n lines.
func several(n int) publisher.Event {
	return publisher.Event{Content: beat.Event{Private: &bundle.Bundle{Lines: make([]bundle.Line, n)}}}
}

// libbeat's own kit for queues.
func TestKit(t *testing.T) {
	for name, c := range map[string]Config{
		"direct": {Events: 40, FlushMinEvents: 0}, "flush": {Events: 40, FlushMinEvents: 17, FlushTimeout: 5 * time.Millisecond},
		"large": {Events: 4096, FlushMinEvents: 2048, FlushTimeout: 5 * time.Millisecond},
	} {
		factory := func(*testing.T) queue.Queue { return New(nil, c, nil) }
		t.Run(name+" single", func(t *testing.T) { queuetest.TestSingleProducerConsumer(t, 500, 33, factory) })
		t.Run(name+" multi", func(t *testing.T) { queuetest.TestMultiProducerConsumer(t, 500, 33, factory) })
	}
	queuetest.TestProducerCancelRemovesEvents(t, func(*testing.T) queue.Queue { return New(nil, Config{Events: 1024}, nil) })
}

type listener struct {
	mu sync.Mutex
	n  int
}

func (l *listener) OnACK(n int) { l.mu.Lock(); l.n += n; l.mu.Unlock() }

// Batches are acknowledged out of order, and the producers hear of their events in order.
func TestAcknowledgeInOrder(t *testing.T) {
	l, more := &listener{}, 0
	q := New(l, Config{Events: 100}, func(n int) { more += n })
	defer q.Close()
	acks := make(chan string, 100)
	a := q.Producer(queue.ProducerConfig{ACK: func(n int) { acks <- fmt.Sprint("a", n) }})
	b := q.Producer(queue.ProducerConfig{ACK: func(n int) { acks <- fmt.Sprint("b", n) }})
	for i, p := range []queue.Producer{a, a, b, a, b, b} {
		if !p.Publish(event(i)) {
			t.Fatal("refused")
		}
	}
	b.Publish(several(10))
	c := q.Consumer()
	var batches []queue.Batch
	for _, want := range []int{2, 2, 2, 1} {
		g, err := c.Get(2)
		if err != nil || len(g.Events()) != want {
			t.Fatalf("%d events, %v, want %d", len(g.Events()), err, want)
		}
		batches = append(batches, g)
	}
	for _, i := range []int{2, 1, 3} {
		batches[i].ACK()
	}
	select {
	case x := <-acks:
		t.Fatalf("%s before the first batch", x)
	case <-time.After(20 * time.Millisecond):
	}
	batches[0].ACK()
	var got []string
	for range 5 {
		select {
		case x := <-acks:
			got = append(got, x)
		case <-time.After(patience):
			t.Fatalf("only %v", got)
		}
	}
	if want := []string{"a2", "b1", "a1", "b2", "b1"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	eventually(t, "everything is counted", func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.used == 0
	})
	if l.n != 7 || more != 9 {
		t.Errorf("%d events and %d more lines, want 7 and 9", l.n, more)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never holds that %s", what)
		}
	}
}

// The bound counts lines; an event that alone is larger goes in when nothing else is there; who waits is served in turn.
func TestBound(t *testing.T) {
	q := New(nil, Config{Events: 32}, nil)
	defer q.Close()
	p := q.Producer(queue.ProducerConfig{})
	if !p.TryPublish(several(20)) || p.TryPublish(several(13)) || !p.TryPublish(several(12)) || p.TryPublish(event(0)) {
		t.Fatal("the bound is not 32 lines")
	}
	in := make(chan int, 3)
	for i := range 3 {
		go func() {
			if q.Producer(queue.ProducerConfig{}).Publish(several(40 - i)) {
				in <- i
			}
		}()
		eventually(t, "it waits", func() bool { q.mu.Lock(); defer q.mu.Unlock(); return len(q.waiting) == i+1 })
	}
	c := q.Consumer()
	for _, want := range []int{20, 12, 40, 39, 38} {
		g, err := c.Get(10)
		if err != nil || bundle.Count(g.Events()) != want {
			t.Fatalf("%d lines, %v, want %d", bundle.Count(g.Events()), err, want)
		}
		if want > 12 && want < 40 && p.TryPublish(event(0)) {
			t.Error("there is room beside an event that is larger than the queue")
		}
		g.ACK()
	}
	for want := range 3 {
		if got := <-in; got != want {
			t.Errorf("%d came in its turn %d", got, want)
		}
	}
}

// Events go out when there are flush.min_events, or after flush.timeout, but at once after a rest; a full queue does not wait.
func TestFlush(t *testing.T) {
	q := New(nil, Config{Events: 32, FlushMinEvents: 3, FlushTimeout: time.Hour}, nil)
	defer q.Close()
	p, c := q.Producer(queue.ProducerConfig{}), q.Consumer()
	got := make(chan int)
	go func() {
		for {
			g, err := c.Get(0)
			if err != nil {
				close(got)
				return
			}
			got <- len(g.Events())
		}
	}()
	p.Publish(event(9))
	if n := <-got; n != 1 {
		t.Errorf("%d events, want the one that came after a rest", n)
	}
	p.Publish(event(0))
	p.Publish(event(1))
	select {
	case n := <-got:
		t.Fatalf("%d events went out early", n)
	case <-time.After(20 * time.Millisecond):
	}
	p.Publish(event(2))
	if n := <-got; n != 3 {
		t.Errorf("%d events, want 3", n)
	}
	p.Publish(event(3))
	q.timeout()
	if n := <-got; n != 1 {
		t.Errorf("%d events after the timeout, want 1", n)
	}
	p.Publish(event(4))
	go p.Publish(several(30)) // there is no room for it: what is there goes out
	if n := <-got; n != 1 {
		t.Errorf("%d events of a full queue, want 1", n)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, ok := <-got; ok {
		t.Error("events after Close")
	}
	if err := c.Close(); err == nil {
		t.Error("closed twice without an error")
	}
}

// A producer that waits ends when it is cancelled, or the queue is closed.
func TestEnds(t *testing.T) {
	q := New(nil, Config{Events: 32}, nil)
	p := q.Producer(queue.ProducerConfig{})
	p.Publish(several(32))
	out := make(chan bool)
	wait := func(p queue.Producer) {
		go func() { out <- p.Publish(event(0)) }()
		eventually(t, "it waits", func() bool { q.mu.Lock(); defer q.mu.Unlock(); return len(q.waiting) == 1 })
	}
	other := q.Producer(queue.ProducerConfig{})
	wait(other)
	other.Cancel()
	if <-out || other.Publish(event(1)) {
		t.Error("a cancelled producer published")
	}
	wait(p)
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	if <-out || p.Publish(event(1)) || p.TryPublish(event(1)) {
		t.Error("a closed queue took an event")
	}
	if _, err := q.Consumer().Get(1); !errors.Is(err, io.EOF) {
		t.Errorf("a closed queue gives %v", err)
	}
}

func TestConfig(t *testing.T) {
	f := func(yaml string, ok bool) {
		t.Helper()
		c := defaults()
		cfg, err := common.NewConfigWithYAML([]byte(yaml), "test")
		if err != nil {
			t.Fatal(err)
		}
		if err := cfg.Unpack(&c); (err == nil) != ok {
			t.Errorf("%s: %v", yaml, err)
		}
	}
	f("{}", true)
	f("{events: 64, flush.min_events: 64, flush.timeout: 0s}", true)
	f("{events: 31}", false)
	f("{events: 64, flush.min_events: 65}", false)
	if err := Register(nil); err != nil || queue.FindFactory("mem") == nil {
		t.Errorf("queue.mem is gone: %v", err)
	}
	q, err := queue.FindFactory("mem")(nil, nil, common.NewConfig(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if _, ours := q.(*Queue); !ours {
		t.Errorf("queue.mem is %T", q)
	}
}

// drain acknowledges everything until the queue is closed.
func drain(q queue.Queue) {
	for c := q.Consumer(); ; {
		g, err := c.Get(2048)
		if err != nil {
			return
		}
		g.ACK()
	}
}

func BenchmarkQueue(b *testing.B) {
	q := New(nil, Config{Events: 4096, FlushMinEvents: 2048, FlushTimeout: time.Second}, nil)
	defer q.Close()
	go drain(q)
	p := q.Producer(queue.ProducerConfig{ACK: func(int) {}})
	e := event(1)
	b.ReportAllocs()
	for b.Loop() {
		p.Publish(e)
	}
}
