package applog

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	v2 "github.com/elastic/beats/v7/filebeat/input/v2"
	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/logp"
	"github.com/elastic/beats/v7/libbeat/publisher"

	"github.com/tallylog/tally/inputs/positions"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/outputs/bundle"
)

// testPatience bounds every wait of these tests; only a failing test waits so long.
const testPatience = 2 * time.Minute

// sink stands where libbeat's pipeline does. It calls the ACKers as that does, and keeps all events.
type sink struct {
	mu      sync.Mutex
	changed *sync.Cond
	events  []beat.Event
	clients []*sinkClient
	hold    bool                      // acknowledgements wait for release
	tells   bool                      // but for control records
	blocked bool                      // Publish waits too
	drop    func(message string) bool // as a processor would
}

type sinkClient struct {
	sink    *sink
	acker   beat.ACKer
	unacked int
	done    <-chan struct{}
}

func newSink() *sink {
	s := &sink{}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *sink) Connect() (beat.Client, error) { return s.ConnectWith(beat.ClientConfig{}) }

func (s *sink) ConnectWith(c beat.ClientConfig) (beat.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cl := &sinkClient{sink: s, acker: c.ACKHandler, done: c.CloseRef.Done()}
	s.clients = append(s.clients, cl)
	go func() {
		<-cl.done
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
	}()
	return cl, nil
}

func (c *sinkClient) closed() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func (c *sinkClient) Publish(e beat.Event) {
	s := c.sink
	s.mu.Lock()
	for s.blocked && !c.closed() {
		s.changed.Wait()
	}
	if c.closed() {
		s.mu.Unlock()
		return
	}
	drop := len(e.Fields) == 0 // as libbeat does
	if s.drop != nil {
		if bundle.Of(&e) != nil {
			panic("a bundle came to a pipeline with processors")
		}
		drop = drop || s.drop(message(e))
	}
	s.mu.Unlock()
	c.acker.AddEvent(e, !drop)
	if drop {
		return
	}
	s.mu.Lock()
	for _, one := range bundle.Expand([]publisher.Event{{Content: e}}) {
		s.events = append(s.events, one.Content)
	}
	c.unacked++
	n := 0
	if !s.hold || s.tells && bundle.IsControl(&publisher.Event{Content: e}) {
		n, c.unacked = c.unacked, 0
	}
	s.changed.Broadcast()
	s.mu.Unlock()
	if n > 0 {
		c.acker.ACKEvents(n)
	}
}

func (c *sinkClient) PublishAll(es []beat.Event) {
	for _, e := range es {
		c.Publish(e)
	}
}

func (c *sinkClient) Close() error { return nil }

// set changes how the sink behaves, and acknowledges what was held if it is to hold no more.
func (s *sink) set(blocked, hold bool) {
	s.mu.Lock()
	s.blocked, s.hold = blocked, hold
	s.changed.Broadcast()
	s.mu.Unlock()
	if !hold {
		s.ack(1 << 30)
	}
}

// ack acknowledges at most n held events of each client.
func (s *sink) ack(n int) {
	s.mu.Lock()
	clients := slices.Clone(s.clients)
	s.mu.Unlock()
	for _, c := range clients {
		s.mu.Lock()
		k := min(n, c.unacked)
		c.unacked -= k
		s.mu.Unlock()
		if k > 0 {
			c.acker.ACKEvents(k)
		}
	}
}

// wait returns the events once there are n, or fails.
func (s *sink) wait(t *testing.T, n int) []beat.Event {
	t.Helper()
	deadline := time.Now().Add(testPatience)
	timer := time.AfterFunc(testPatience, func() { s.mu.Lock(); s.changed.Broadcast(); s.mu.Unlock() })
	defer timer.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.events) < n {
		if time.Now().After(deadline) {
			t.Fatalf("%d events of %d came; the last are %q", len(s.events), n, lastMessages(s.events))
		}
		s.changed.Wait()
	}
	return slices.Clone(s.events)
}

func lastMessages(es []beat.Event) (out []string) {
	for _, e := range es[max(0, len(es)-5):] {
		m := message(e)
		out = append(out, m[:min(len(m), 80)])
	}
	return out
}

func message(e beat.Event) string { m, _ := e.Fields["message"].(string); return m }

func position(e beat.Event) ledger.Position {
	m := e.Meta["tally"].(common.MapStr)
	return ledger.Position{
		Source: m["source"].(string), From: m["from"].(int64), To: m["to"].(int64), Skipped: m["skipped"].(int64), Sum: m["sum"].(string),
	}
}

// rig is an input that runs on files below dir.
type rig struct {
	t     *testing.T
	dir   string
	sink  *sink
	store *positions.Store
	stop  func()

	options Options
}

// newRig prepares a directory, a registry and a sink; run starts an input on them.
func newRig(t *testing.T) *rig {
	t.Helper()
	store, err := positions.Open(filepath.Join(t.TempDir(), "registry"))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, dir: t.TempDir(), sink: newSink(), store: store, stop: func() {}, options: Options{Bundles: true}}
	t.Cleanup(func() { r.stop(); store.Close() })
	return r
}

// run starts the input. paths are below the rig's directory; options go into the configuration as they are.
func (r *rig) run(options map[string]any, paths ...string) {
	r.t.Helper()
	r.runWith(Plugin(logp.NewLogger("test"), r.store, r.options), options, paths...)
}

func (r *rig) runWith(plugin v2.Plugin, options map[string]any, paths ...string) {
	r.t.Helper()
	m := map[string]any{"rescan_interval": "300ms", "partial_timeout": "1h"}
	for k, v := range options {
		m[k] = v
	}
	abs := []string{}
	for _, p := range paths {
		abs = append(abs, filepath.Join(r.dir, p))
	}
	m["paths"] = abs
	in, err := plugin.Manager.Create(common.MustNewConfigFrom(m))
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- in.Run(v2.Context{Logger: logp.NewLogger("test"), ID: "test", Cancelation: ctx}, r.sink)
	}()
	r.stop = func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				r.t.Errorf("Run returned %v", err)
			}
		case <-time.After(testPatience):
			r.t.Fatal("Run did not end")
		}
		r.stop = func() {}
	}
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

// write appends text to a file, which it makes with its directories where it is not there.
func (r *rig) write(name, text string) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(r.path(name)), 0o755); err != nil {
		r.t.Fatal(err)
	}
	f, err := os.OpenFile(r.path(name), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		r.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) do(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// numbered are the lines from to up to, not including, to.
func numbered(from, to int) string {
	var b []byte
	for i := from; i < to; i++ {
		b = fmt.Appendf(b, "line %06d of the application's own log\n", i)
	}
	return string(b)
}

// wantNumbered checks that the events are the numbered lines 0 to n-1, each once, in order within each source, and that the
// positions leave no hole.
func wantNumbered(t *testing.T, es []beat.Event, n int) {
	t.Helper()
	seen := make([]int, n)
	last := map[string]int{}
	for _, e := range es {
		var i int
		if _, err := fmt.Sscanf(message(e), "line %d of", &i); err != nil || i < 0 || i >= n {
			t.Fatalf("message %q", message(e))
		}
		seen[i]++
		src := position(e).Source
		if p, ok := last[src]; ok && p >= i {
			t.Errorf("source %s: line %d after %d", src, i, p)
		}
		last[src] = i
	}
	for i, k := range seen {
		if k != 1 {
			t.Fatalf("line %d came %d times", i, k)
		}
	}
	wantWhole(t, es)
}

// wantWhole checks that in each source every event begins where the one before ends, but for what it says was skipped. It
// returns the ends of the sources.
func wantWhole(t *testing.T, es []beat.Event) map[string]int64 {
	t.Helper()
	at := map[string]int64{}
	for _, e := range es {
		p := position(e)
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		if p.From-p.Skipped != at[p.Source] {
			t.Fatalf("%s: %q has [%d, %d) skipped %d after %d", p.Source, message(e), p.From, p.To, p.Skipped, at[p.Source])
		}
		at[p.Source] = p.To
	}
	return at
}

// waitRecord waits until a record of the registry is as f wants it.
func (r *rig) waitRecord(what string, f func(record) bool) {
	r.t.Helper()
	for deadline := time.Now().Add(testPatience); ; time.Sleep(5 * time.Millisecond) {
		found := false
		r.do(r.store.Range(keyPrefix, func(key string, _ []byte) error {
			var rec record
			_, err := r.store.Get(key, &rec)
			found = found || f(rec)
			return err
		}))
		if found {
			return
		}
		if time.Now().After(deadline) {
			r.store.Range(keyPrefix, func(k string, raw []byte) error { r.t.Log(k, string(raw)); return nil })
			r.t.Fatalf("no record of the registry has %s", what)
		}
	}
}
