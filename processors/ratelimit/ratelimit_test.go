package ratelimit

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processortest"
)

func TestKit(t *testing.T) { processortest.Check(t, "rate_limit", New) }

func TestProcess(t *testing.T) {
	p := processortest.Make(t, New, `{limit: 120/m, fields: [app], algorithm: {token_bucket: {burst_multiplier: 1}}}`)
	now := time.Unix(1e9, 0)
	p.now = func() time.Time { return now }
	send := func(app string, n int) (passed int, dropped string) {
		for range n {
			e := event.Event{Fields: []event.Field{{Name: "app", Value: app}}}
			if keep, err := p.Process(&e); keep && err == nil {
				passed++
				if d, ok := e.Get(DroppedField); ok {
					dropped += d
				}
			}
		}
		return passed, dropped
	}
	f := func(app string, n, want int, wantDropped string) {
		t.Helper()
		if got, dropped := send(app, n); got != want || dropped != wantDropped {
			t.Errorf("%s: %d pass, want %d; dropped %q, want %q", app, got, want, dropped, wantDropped)
		}
	}
	f("a", 150, 120, "")
	f("b", 1, 1, "")
	now = now.Add(time.Second)
	f("a", 5, 2, "30")
	now = now.Add(time.Hour)
	f("a", 200, 120, "3")
	for i := range 2*maxKeys + 10 {
		send(fmt.Sprint(i), 1)
	}
	if len(p.buckets) > maxKeys {
		t.Errorf("%d keys are kept", len(p.buckets))
	}
}

// TestConcurrent: several connections together get no more than the limit.
func TestConcurrent(t *testing.T) {
	p := processortest.Make(t, New, `{limit: 1000/h, fields: [app]}`)
	now := time.Unix(1e9, 0)
	p.now = func() time.Time { return now }
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 1000 {
				e := event.Event{Fields: []event.Field{{Name: "app", Value: "a"}}}
				if keep, err := p.Process(&e); keep && err == nil {
					passed.Add(1)
				}
			}
		})
	}
	all.Wait()
	if passed.Load() != 1000 {
		t.Errorf("%d pass, want 1000", passed.Load())
	}
}

func TestRefused(t *testing.T) {
	f := processortest.Refused(t, New)
	f("{}\n", "the key limit is missing")
	f("limit: 10/d\n", "is no limit like")
	f("limit: -1/s\n", "is no limit like")
	f("{limit: 1/s, algorithm: {token_bucket: {burst_multiplier: 0}}}\n", "is 1 or more")
}

func BenchmarkProcess(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `{limit: 1000000/s, fields: [message]}`), `{"message":"m"}`)
}
