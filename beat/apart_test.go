package beat

import (
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common/acker"
	"github.com/elastic/beats/v7/libbeat/publisher/pipetool"
)

// handlers is a pipeline that keeps the ACKers of its clients.
type handlers struct{ got []beat.ACKer }

func (h *handlers) Connect() (beat.Client, error) { return h.ConnectWith(beat.ClientConfig{}) }
func (h *handlers) ConnectWith(cfg beat.ClientConfig) (beat.Client, error) {
	h.got = append(h.got, cfg.ACKHandler)
	return nil, nil
}

// An input's events are reported when they are acknowledged themselves, whatever was published before them by others; what was
// dropped is reported in its place.
func TestApart(t *testing.T) {
	var reported []any
	one := acker.EventPrivateReporter(func(_ int, data []any) { reported = append(reported, data...) })
	h := &handlers{}
	p := pipetool.WithACKer(&apart{PipelineConnector: h}, one)
	if _, err := p.Connect(); err != nil {
		t.Fatal(err)
	}
	var atOnce []any
	if _, err := p.ConnectWith(beat.ClientConfig{ACKHandler: listens(func(private any) { atOnce = append(atOnce, private) })}); err != nil {
		t.Fatal(err)
	}
	a, b := h.got[0], h.got[1]
	want := func(wanted ...any) {
		t.Helper()
		if !reflect.DeepEqual(reported, wanted) {
			t.Errorf("reported %v, want %v", reported, wanted)
		}
		reported = nil
	}
	a.AddEvent(beat.Event{Private: "a0"}, false)
	want("a0")
	a.AddEvent(beat.Event{Private: "a1"}, true)
	b.AddEvent(beat.Event{Private: "b1"}, true)
	b.AddEvent(beat.Event{Private: "b2"}, false)
	b.AddEvent(beat.Event{Private: "b3"}, true)
	b.AddEvent(beat.Event{Private: "b4"}, false)
	if want := []any{"b1", "b2", "b3", "b4"}; !reflect.DeepEqual(atOnce, want) {
		t.Errorf("the input was told of %v at once, want %v", atOnce, want)
	}
	b.ACKEvents(1)
	want("b1", "b2")
	a.AddEvent(beat.Event{Private: "a2"}, false)
	a.AddEvent(beat.Event{Private: "a3"}, true)
	b.ACKEvents(1)
	want("b3", "b4")
	a.ACKEvents(2)
	want("a1", "a2", "a3")
	b.AddEvent(beat.Event{Private: "b5"}, false)
	want("b5")
	a.Close()
	b.Close()
}

// listens is an input's own ACKer.
type listens func(private any)

func (l listens) AddEvent(e beat.Event, _ bool) { l(e.Private) }
func (l listens) ACKEvents(int)                 {}
func (l listens) Close()                        {}

// Many clients at once: each one's events are reported once, in its order, and never before they are acknowledged.
func TestApartConcurrently(t *testing.T) {
	const clients, events = 4, 5000
	type place struct{ client, n, rank int } // rank: among the published; -1 for a dropped one
	var mu sync.Mutex
	next, acked := [clients]int{}, [clients]int{}
	one := acker.EventPrivateReporter(func(_ int, data []any) {
		mu.Lock()
		defer mu.Unlock()
		for _, d := range data {
			at := d.(place)
			if at.n != next[at.client] || at.rank >= acked[at.client] {
				t.Errorf("%+v is reported after %d events, when %d are acknowledged", at, next[at.client], acked[at.client])
			}
			next[at.client]++
		}
	})
	h := &handlers{}
	p := pipetool.WithACKer(&apart{PipelineConnector: h}, one)
	var all sync.WaitGroup
	for c := range clients {
		if _, err := p.Connect(); err != nil {
			t.Fatal(err)
		}
		a, r, queue := h.got[c], rand.New(rand.NewPCG(uint64(c), 1)), make(chan struct{}, events)
		all.Go(func() {
			defer close(queue)
			rank := 0
			for n := range events {
				if r.IntN(4) == 0 {
					a.AddEvent(beat.Event{Private: place{c, n, -1}}, false)
					continue
				}
				a.AddEvent(beat.Event{Private: place{c, n, rank}}, true)
				rank++
				queue <- struct{}{}
			}
		})
		all.Go(func() {
			for range queue {
				n := 1
				for range min(len(queue), 100) {
					<-queue
					n++
				}
				mu.Lock()
				acked[c] += n
				mu.Unlock()
				a.ACKEvents(n)
			}
		})
	}
	all.Wait()
	for c := range clients {
		if next[c] != events {
			t.Errorf("client %d: %d events of %d were reported", c, next[c], events)
		}
	}
}
