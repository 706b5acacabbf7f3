package fanout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/outputs"
	"github.com/elastic/beats/v7/libbeat/outputs/outest"
	"github.com/elastic/beats/v7/libbeat/publisher"
)

const patience = 2 * time.Minute

// peer is what a child sends to. It can be down, and it can hold on to batches without an answer.
type peer struct {
	mu      sync.Mutex
	changed sync.Cond
	down    bool
	limit   int  // go down with so many events; 0: never
	hold    bool // keep batches
	partial bool // take the first event of a batch and give the rest back
	kept    []publisher.Batch
	got     map[string]int
	busy    int // batches that are being answered
}

func newPeer() *peer {
	p := &peer{got: map[string]int{}}
	p.changed.L = &p.mu
	return p
}

func (p *peer) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	p.changed.Broadcast()
}

// wait waits until ok, which is called with the lock held.
func (p *peer) wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	timer := time.AfterFunc(patience, func() { p.set(func() {}) })
	defer timer.Stop()
	deadline := time.Now().Add(patience)
	p.mu.Lock()
	defer p.mu.Unlock()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen; %d events arrived", what, len(p.got))
		}
		p.changed.Wait()
	}
}

// has waits until the events from 0 to n have arrived, each once.
func (p *peer) has(t testing.TB, n int) {
	t.Helper()
	p.wait(t, fmt.Sprint(n, " events"), func() bool { return len(p.got) >= n })
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range n {
		if k := p.got[fmt.Sprint(i)]; k != 1 {
			t.Fatalf("event %d arrived %d times", i, k)
		}
	}
	if len(p.got) > n {
		t.Errorf("%d events, want %d", len(p.got), n)
	}
}

// client is one connection to a peer.
type client struct{ p *peer }

var errDown = errors.New("down")

func (c client) Connect() error {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if c.p.down {
		time.Sleep(time.Millisecond) // in place of a back-off
		return errDown
	}
	return nil
}

func (c client) Close() error { return nil }

func (c client) String() string { return "fake" }

func (c client) Publish(_ context.Context, b publisher.Batch) error {
	p := c.p
	p.mu.Lock()
	events := b.Events()
	answer, err := b.ACK, error(nil)
	switch {
	case p.down:
		answer, err = b.Retry, errDown
	case p.hold:
		p.kept = append(p.kept, b)
		answer = func() {}
	case p.partial && len(events) > 1:
		p.take(events[:1])
		answer = func() { b.RetryEvents(events[1:]) }
	default:
		p.take(events)
	}
	p.busy++
	p.changed.Broadcast()
	p.mu.Unlock()
	answer()
	p.set(func() { p.busy-- })
	return err
}

func (p *peer) take(events []publisher.Event) {
	for _, e := range events {
		m, _ := e.Content.Fields["message"].(string)
		p.got[m]++
	}
	p.down = p.down || p.limit > 0 && len(p.got) >= p.limit
}

// release answers the batches that were held.
func (p *peer) release() {
	p.mu.Lock()
	kept := p.kept
	p.kept, p.hold = nil, false
	for _, b := range kept {
		p.take(b.Events())
	}
	p.changed.Broadcast()
	p.mu.Unlock()
	for _, b := range kept {
		b.ACK()
	}
}

// rig is a fan-out with two peers, a and b.
type rig struct {
	t    testing.TB
	a, b *peer
	dir  string
	f    *fan
	// stopping is closed by the test that wants it.
	stopping chan struct{}

	mu    sync.Mutex
	cond  sync.Cond
	next  int
	acked int // events
}

var registerFake = sync.OnceFunc(func() {
	outputs.RegisterType("fake", func(_ outputs.IndexManager, _ beat.Info, _ outputs.Observer, cfg *common.Config) (outputs.Group, error) {
		c := struct {
			Peer, Size, Retries int
			Bad                 bool
		}{Retries: -1}
		if err := cfg.Unpack(&c); err != nil {
			return outputs.Fail(err)
		}
		if c.Bad {
			return outputs.Fail(errors.New("a bad option"))
		}
		return outputs.Success(c.Size, c.Retries, client{peers[c.Peer]}, client{peers[c.Peer]})
	})
})

// peers are how a configuration names a peer to the factory.
var peers = map[int]*peer{}

func newRig(t testing.TB) *rig {
	registerFake()
	r := &rig{t: t, a: newPeer(), b: newPeer(), dir: t.TempDir(), stopping: make(chan struct{})}
	r.cond.L = &r.mu
	peers[0], peers[1] = r.a, r.b
	t.Cleanup(func() { r.stop() })
	return r
}

func load(options string, running, stopping <-chan struct{}) (outputs.Group, error) {
	cfg, err := common.NewConfigWithYAML([]byte(options), "test")
	if err != nil {
		return outputs.Group{}, err
	}
	return Factory(running, stopping)(nil, beat.Info{}, outputs.NewNilObserver(), cfg)
}

// start begins a fan-out on the rig's directory.
func (r *rig) start(spill string) *rig {
	r.t.Helper()
	running := make(chan struct{})
	close(running)
	if !strings.Contains(spill, "after") {
		spill += " after: 20ms"
	}
	g, err := load(fmt.Sprintf(`{spill: {path: %q, %s}, outputs: {a: {type: fake, peer: 0}, b: {type: fake, peer: 1, size: 7}}}`, r.dir, spill), running, r.stopping)
	if err != nil {
		r.t.Fatal(err)
	}
	if g.BatchSize != 7 {
		r.t.Errorf("batches of %d, want the smallest of the children's", g.BatchSize)
	}
	r.f = g.Clients[0].(*fan)
	return r
}

func (r *rig) stop() {
	if r.f != nil {
		r.f.Close()
		r.f = nil
	}
}

// publish sends batches of 10 events.
func (r *rig) publish(batches int) {
	r.t.Helper()
	for range batches {
		in := make([]beat.Event, 10)
		for i := range in {
			in[i] = beat.Event{Timestamp: time.Unix(int64(r.next), 5), Fields: common.MapStr{"message": fmt.Sprint(r.next), "pad": strings.Repeat("x", 300)}}
			r.next++
		}
		b := outest.NewBatch(in...)
		b.OnSignal = func(s outest.BatchSignal) {
			if s.Tag != outest.BatchACK {
				r.t.Errorf("signal %v", s.Tag)
			}
			r.mu.Lock()
			r.acked += len(in)
			r.mu.Unlock()
			r.cond.Broadcast()
		}
		if err := r.f.Publish(context.Background(), b); err != nil {
			r.t.Error(err)
		}
	}
}

// done waits until n events are acknowledged.
func (r *rig) done(n int) {
	r.t.Helper()
	timer := time.AfterFunc(patience, r.cond.Broadcast)
	defer timer.Stop()
	deadline := time.Now().Add(patience)
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.acked < n {
		if time.Now().After(deadline) {
			r.t.Fatalf("%d events acknowledged, want %d", r.acked, n)
		}
		r.cond.Wait()
	}
}

func (r *rig) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.acked
}

func groupOf(retries int) outputs.Group { return outputs.Group{Retry: retries} }
