package journald

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	input "github.com/elastic/beats/v7/filebeat/input/v2"
	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/logp"

	"github.com/tallylog/tally/inputs/positions"
	"github.com/tallylog/tally/ledger"
)

// pipe is a libbeat pipeline that keeps what is published, and acknowledges when it is told to.
type pipe struct {
	mu      sync.Mutex
	changed *sync.Cond
	events  []beat.Event
	open    int // events from here on are not acknowledged
	handler beat.ACKer
	drop    func(beat.Event) bool // what a processor would drop
	auto    bool                  // acknowledge at once
	closed  bool
}

func newPipe() *pipe {
	p := &pipe{}
	p.changed = sync.NewCond(&p.mu)
	return p
}

func (p *pipe) Connect() (beat.Client, error) { return p.ConnectWith(beat.ClientConfig{}) }

func (p *pipe) ConnectWith(c beat.ClientConfig) (beat.Client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handler, p.closed = c.ACKHandler, false
	return p, nil
}

func (p *pipe) Publish(e beat.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	published := (p.drop == nil || !p.drop(e)) && len(e.Fields) > 0 // libbeat drops events without fields
	p.handler.AddEvent(e, published)
	if published {
		p.events = append(p.events, e)
		if p.auto {
			p.open++
			p.handler.ACKEvents(1)
		}
	}
	p.changed.Broadcast()
}

func (p *pipe) PublishAll(es []beat.Event) {
	for _, e := range es {
		p.Publish(e)
	}
}

func (p *pipe) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.handler.Close()
	return nil
}

// ack acknowledges the next n events.
func (p *pipe) ack(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open += n
	p.handler.ACKEvents(n)
}

// wait returns the events once there are n.
func (p *pipe) wait(t testing.TB, n int) []beat.Event {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	late := time.AfterFunc(2*time.Minute, func() {
		p.mu.Lock()
		n = 0
		p.mu.Unlock()
		p.changed.Broadcast()
	})
	defer late.Stop()
	want := n
	for len(p.events) < n {
		p.changed.Wait()
	}
	if len(p.events) < want {
		t.Fatalf("%d events have come, want %d; %s", len(p.events), want, p.odd())
	}
	return append([]beat.Event(nil), p.events...)
}

// odd tells of the first few events that are not one unit behind the one before. The lock is held.
func (p *pipe) odd() string {
	var b strings.Builder
	next := int64(-1)
	for i, e := range p.events {
		m, _ := e.Meta["tally"].(common.MapStr)
		from, _ := m["from"].(int64)
		if (from != next && next >= 0 || e.Fields["message"] == nil) && b.Len() < 2000 {
			fmt.Fprintf(&b, "\nevent %d: %v %v", i, e.Meta, e.Fields)
		}
		next = from + 1
	}
	return fmt.Sprintf("the last is of %d;%s", next-1, &b)
}

// running is an input with its pipeline and its store.
type running struct {
	*pipe
	store  *positions.Store
	lost   chan Range
	cancel context.CancelFunc
	err    chan error
}

type setup struct {
	store   string // file of the positions; "" makes a new one
	options Options
	pipe    *pipe
	open    opener
	locate  func(string) location
	watch   func() *watcher
	wrap    func(Positions) Positions
}

// start runs an input with the configuration. It is stopped at the end of the test at the latest.
func start(t testing.TB, cfg common.MapStr, s setup) *running {
	t.Helper()
	if s.store == "" {
		s.store = filepath.Join(t.TempDir(), "positions")
	}
	store, err := positions.Open(s.store)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{pipe: s.pipe, store: store, lost: make(chan Range, 1000), err: make(chan error, 1)}
	if r.pipe == nil {
		r.pipe = newPipe()
		r.auto = true
	}
	if s.options.Report == nil {
		s.options.Report = func(l Range) { r.lost <- l }
	}
	s.options.HostID = "host"
	var kept Positions = store
	if s.wrap != nil {
		kept = s.wrap(store)
	}
	m := Plugin(logp.NewLogger("test"), kept, s.options).Manager.(*manager)
	if s.open != nil {
		m.open = s.open
	}
	if s.watch != nil {
		m.watch = s.watch
	}
	if s.locate != nil {
		m.locate = s.locate
	}
	in, err := m.Create(common.MustNewConfigFrom(cfg))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() { r.err <- in.Run(input.Context{Logger: logp.NewLogger("test"), Cancelation: ctx}, r.pipe) }()
	t.Cleanup(func() { r.stop(t) })
	return r
}

// stop ends the input and closes its store.
func (r *running) stop(t testing.TB) {
	t.Helper()
	if r.cancel == nil {
		return
	}
	r.cancel()
	r.cancel = nil
	select {
	case err := <-r.err:
		if err != nil {
			t.Errorf("the input ended with: %v", err)
		}
	case <-time.After(2 * time.Minute):
		t.Error("the input did not stop")
	}
	if err := r.store.Close(); err != nil {
		t.Error(err)
	}
}

func positionOf(t testing.TB, e beat.Event) ledger.Position {
	t.Helper()
	m, ok := e.Meta["tally"].(common.MapStr)
	if !ok {
		t.Fatalf("event without position: %v", e)
	}
	p := ledger.Position{Source: m["source"].(string), From: m["from"].(int64), To: m["to"].(int64), Skipped: m["skipped"].(int64), Sum: m["sum"].(string)}
	if rs, ok := m["ranges"].([][]int64); ok {
		for _, r := range rs {
			p.Ranges = append(p.Ranges, ledger.Range{From: r[0], To: r[1]})
		}
	}
	if err := p.Validate(); err != nil {
		t.Fatalf("position %+v: %v", p, err)
	}
	return p
}

// wantLines checks that the events are the lines [from, to) in order, and that their positions, which begin at the number
// first, leave no hole.
func wantLines(t testing.TB, events []beat.Event, from, to int, first int64) {
	t.Helper()
	if len(events) != to-from {
		t.Fatalf("%d events, want %d", len(events), to-from)
	}
	for i, e := range events {
		if want := fmt.Sprintf("line %d", from+i); e.Fields["message"] != want {
			t.Fatalf("event %d is %q, want %q: %v", i, e.Fields["message"], want, e)
		}
		p := positionOf(t, e)
		if want := first + int64(i); p.From != want || p.To != want+1 || (i > 0 && p.Skipped != 0) {
			t.Fatalf("event %d has position %+v, want [%d, %d) and nothing skipped", i, p, want, want+1)
		}
	}
}
