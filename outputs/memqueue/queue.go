package memqueue

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/feature"
	"github.com/elastic/beats/v7/libbeat/logp"
	"github.com/elastic/beats/v7/libbeat/publisher"
	"github.com/elastic/beats/v7/libbeat/publisher/queue"

	"github.com/tallylog/tally/outputs/bundle"
)

// Config has the options of queue.mem.
type Config struct {
	Events         int           `config:"events" validate:"min=32"`
	FlushMinEvents int           `config:"flush.min_events" validate:"min=0"`
	FlushTimeout   time.Duration `config:"flush.timeout"`
}

func defaults() Config {
	return Config{Events: 4096, FlushMinEvents: 2048, FlushTimeout: 100 * time.Millisecond}
}

// Validate is called by the configuration library.
func (c *Config) Validate() error {
	if c.FlushMinEvents > c.Events {
		return errors.New("flush.min_events must be less events")
	}
	return nil
}

// Register puts this queue in the place of libbeat's. more is told of acknowledged lines beyond one an event, which is what
// libbeat's own counters see.
func Register(more func(lines int)) error {
	factory := func(l queue.ACKListener, _ *logp.Logger, cfg *common.Config, _ int) (queue.Queue, error) {
		c := defaults()
		if err := cfg.Unpack(&c); err != nil {
			return nil, err
		}
		return New(l, c, more), nil
	}
	err := feature.GlobalRegistry().Overwrite(feature.New(queue.Namespace, "mem", queue.Factory(factory),
		feature.MakeDetails("Memory queue", "Buffer events in memory before sending to the output.", feature.Stable)))
	if err != nil {
		return fmt.Errorf("cannot replace queue.mem: %w", err)
	}
	return nil
}

// entry is what the queue knows of an event.
type entry struct {
	from   *producer
	single int32          // lines of an event as it was published
	joined *bundle.Bundle // made here, of as many events as it has lines; else nil
}

// lines is what an entry counts.
func (n entry) lines() int {
	if n.joined != nil {
		return len(n.joined.Lines)
	}
	return int(n.single)
}

// events is how many were published.
func (n entry) events() int {
	if n.joined != nil {
		return len(n.joined.Lines)
	}
	return 1
}

// Queue implements libbeat's queue.Queue.
type Queue struct {
	cfg      Config
	listener queue.ACKListener
	more     func(int)

	mu      sync.Mutex
	events  []publisher.Event // not given out yet, the oldest first
	entries []entry           // of the same events
	ready   int               // how many of them may be given out
	fresh   int               // lines of the others
	used    int               // lines in events and in batches that are not acknowledged
	waiting []*request        // producers that wait for room, in their order
	timer   *time.Timer       // flushes; runs while fresh > 0
	flushed time.Time         // when something was given out last
	flushes uint64            // how often all was made ready
	filled  *sync.Cond        // ready > 0, or a consumer or the queue was closed
	out     []*batch          // given out, the oldest first
	acked   *sync.Cond        // the oldest was acknowledged, or the queue was closed
	closed  bool
}

var _ queue.Queue = (*Queue)(nil)

// request is an event that waits for room.
type request struct {
	event publisher.Event
	entry entry
	done  chan bool
}

// New makes a queue. listener and more may be nil.
func New(listener queue.ACKListener, c Config, more func(lines int)) *Queue {
	if c.FlushTimeout <= 0 || c.FlushMinEvents < 1 {
		c.FlushMinEvents = 1
	}
	c.FlushMinEvents = min(c.FlushMinEvents, c.Events)
	q := &Queue{cfg: c, listener: listener, more: more}
	q.filled, q.acked = sync.NewCond(&q.mu), sync.NewCond(&q.mu)
	q.timer = time.AfterFunc(time.Hour, q.timeout)
	q.timer.Stop()
	go q.tell()
	return q
}

// BufferConfig says how many events the queue holds.
func (q *Queue) BufferConfig() queue.BufferConfig { return queue.BufferConfig{MaxEvents: q.cfg.Events} }

// Close ends the queue: whoever waits is told so. Acknowledgements that come later are not passed on.
func (q *Queue) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.timer.Stop()
	for _, r := range q.waiting {
		r.done <- false
	}
	q.waiting = nil
	q.filled.Broadcast()
	q.acked.Broadcast()
	return nil
}

// fits says whether there is room. q.mu is held.
func (q *Queue) fits(n entry) bool { return q.used == 0 || q.used+n.lines() <= q.cfg.Events }

// put adds an event for which there is room. q.mu is held.
func (q *Queue) put(e publisher.Event, n entry) {
	p := n.from
	part, isPart := e.Content.Private.(*bundle.Part)
	switch {
	case isPart && p.open.Join(part):
		q.used++
		if p.openSince == q.flushes {
			q.count(1)
		}
		return
	case isPart:
		if p.open != nil {
			p.room = len(p.open.Lines)
		}
		p.open, p.openSince = part.Bundle(p.room), q.flushes
		n.joined, e.Content.Private = p.open, p.open
	default:
		p.open = nil // what comes now is acknowledged later than this event
	}
	if q.events == nil {
		q.events, q.entries = make([]publisher.Event, 0, 64), make([]entry, 0, 64)
	}
	q.events, q.entries = append(q.events, e), append(q.entries, n)
	q.used += n.lines()
	if q.fresh == 0 && q.cfg.FlushMinEvents > 1 {
		q.timer.Reset(q.patience(time.Now()))
	}
	q.count(n.lines())
}

// count notes lines that are not ready yet. q.mu is held.
func (q *Queue) count(lines int) {
	q.fresh += lines
	if q.fresh >= q.cfg.FlushMinEvents {
		q.flush()
	}
}

// together is how long what comes at once may take to come in.
const together = 5 * time.Millisecond

// patience is how long an event waits for others: hardly where there was nothing for half of flush.timeout, so that a single line is on
// its way at once, and many that come one by one are still few batches. q.mu is held.
func (q *Queue) patience(now time.Time) time.Duration {
	if now.Sub(q.flushed) >= q.cfg.FlushTimeout/2 {
		return min(together, q.cfg.FlushTimeout)
	}
	return q.cfg.FlushTimeout
}

// flush lets everything be given out. q.mu is held.
func (q *Queue) flush() {
	if q.fresh > 0 {
		q.fresh = 0
		q.flushed = time.Now()
		q.timer.Stop()
	}
	q.flushes++
	q.ready = len(q.events)
	if q.ready > 0 {
		q.filled.Broadcast()
	}
}

func (q *Queue) timeout() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.flush()
	}
}

// close ends the joining of lines to this one. q.mu is held.
func (n entry) close() {
	if p := n.from; n.joined != nil && p.open == n.joined {
		p.open, p.room = nil, len(n.joined.Lines)
	}
}

// take gives out events of at most n lines, or one event. q.mu is held, and something is ready.
func (q *Queue) take(n int) *batch {
	k, lines := 0, 0
	for k < q.ready {
		l := q.entries[k].lines()
		if k > 0 && n > 0 && lines+l > n {
			break
		}
		q.entries[k].close()
		lines += l
		k++
	}
	b := &batch{q: q, events: q.events[:k:k], entries: q.entries[:k:k], lines: lines}
	q.events, q.entries = q.events[k:], q.entries[k:]
	q.ready -= k
	q.out = append(q.out, b)
	return b
}

// tell runs for as long as the queue: it tells producers what was acknowledged, and makes room.
func (q *Queue) tell() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		for !q.closed && (len(q.out) == 0 || !q.out[0].acked) {
			q.acked.Wait()
		}
		if q.closed {
			return
		}
		var done []*batch
		for len(q.out) > 0 && q.out[0].acked {
			done = append(done, q.out[0])
			q.out[0] = nil
			q.out = q.out[1:]
		}
		q.mu.Unlock()
		lines := 0
		for _, b := range done {
			lines += b.lines
			q.report(b)
		}
		q.mu.Lock()
		q.used -= lines
		q.admit()
	}
}

// report passes the acknowledgement of a batch on.
func (q *Queue) report(b *batch) {
	events := 0
	for i := range b.entries {
		events += b.entries[i].events()
	}
	if q.listener != nil {
		q.listener.OnACK(events)
	}
	for i := 0; i < len(b.entries); {
		p, n := b.entries[i].from, 0
		for ; i < len(b.entries) && b.entries[i].from == p; i++ {
			n += b.entries[i].events()
		}
		if p.ack != nil {
			p.ack(n)
		}
	}
	if n := b.lines - events; n > 0 && q.more != nil {
		q.more(n)
	}
	clear(b.events)
	clear(b.entries)
}

// admit takes in what waits for room. q.mu is held.
func (q *Queue) admit() {
	for len(q.waiting) > 0 && q.fits(q.waiting[0].entry) {
		r := q.waiting[0]
		q.waiting[0] = nil
		q.waiting = q.waiting[1:]
		q.put(r.event, r.entry)
		r.done <- true
	}
	if len(q.waiting) == 0 {
		q.waiting = nil
	} else {
		q.flush() // nothing more comes in before something goes out
	}
}

// Consumer returns a consumer; there may be several, one after the other.
func (q *Queue) Consumer() queue.Consumer { return &consumer{q: q} }

type consumer struct {
	q      *Queue
	closed bool // guarded by q.mu
}

// Get waits for events and returns those of at most n lines; n of 0 or less is no bound. io.EOF says that consumer or queue are closed.
func (c *consumer) Get(n int) (queue.Batch, error) {
	q := c.q
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.ready == 0 && !c.closed && !q.closed {
		q.filled.Wait()
	}
	if c.closed || q.closed {
		return nil, io.EOF
	}
	return q.take(n), nil
}

// Close makes Get return.
func (c *consumer) Close() error {
	c.q.mu.Lock()
	defer c.q.mu.Unlock()
	if c.closed {
		return errors.New("already closed")
	}
	c.closed = true
	c.q.filled.Broadcast()
	return nil
}

type batch struct {
	q       *Queue
	events  []publisher.Event
	entries []entry
	lines   int
	acked   bool // guarded by q.mu
}

// Events are valid until the batch is acknowledged.
func (b *batch) Events() []publisher.Event { return b.events }

// ACK may be called once.
func (b *batch) ACK() {
	q := b.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if b.acked {
		panic("a batch was acknowledged twice")
	}
	b.acked = true
	if len(q.out) > 0 && q.out[0] == b {
		q.acked.Signal()
	}
}

// lines is what an event counts.
func lines(e *publisher.Event) int32 { return int32(bundle.Lines(&e.Content)) }
