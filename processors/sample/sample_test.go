package sample

import (
	"fmt"
	"testing"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/processors/processortest"
)

func TestKit(t *testing.T) { processortest.Check(t, "sample", New) }

func TestProcess(t *testing.T) {
	share := func(config string, make func(i int) event.Event) float64 {
		p := processortest.Make(t, New, config)
		n := 0
		for i := range 20000 {
			e := make(i)
			again := make(i)
			keep, _ := p.Process(&e)
			if keep {
				n++
				if rate, ok := e.Get(RateField); !ok || rate != fmt.Sprint(p.c.Rate) {
					t.Fatalf("the rate is %q", rate)
				}
			}
			if e.HasPosition() {
				if k, _ := p.Process(&again); k != keep {
					t.Fatal("the same event has two fates")
				}
			}
		}
		return float64(n) / 20000
	}
	near := func(got, want float64) {
		t.Helper()
		if got < want-0.02 || got > want+0.02 {
			t.Errorf("the share is %v, want %v", got, want)
		}
	}
	near(share(`rate: 0.1`, func(i int) event.Event {
		return event.Event{Position: ledger.Position{Source: "s", From: int64(i), To: int64(i + 1)}}
	}), 0.1)
	near(share(`rate: 0.25`, func(int) event.Event { return event.Event{} }), 0.25)
	near(share(`{rate: 0.5, key: trace.id}`, func(i int) event.Event {
		return event.Event{Fields: []event.Field{{Name: "trace.id", Value: fmt.Sprint(i)}}}
	}), 0.5)
	p := processortest.Make(t, New, `{rate: 0.5, key: trace.id}`)
	for i := range 100 {
		first, second := event.Event{}, event.Event{}
		first.Put("trace.id", fmt.Sprint(i))
		second.Put("trace.id", fmt.Sprint(i))
		a, _ := p.Process(&first)
		b, _ := p.Process(&second)
		if a != b {
			t.Fatal("events of one key have two fates")
		}
	}
	processortest.Rows(t, New)(`rate: 1`, `{"a":"x"}`, `{"a":"x"}`)
	processortest.Refused(t, New)("{}\n", "the key rate is missing")
	processortest.Refused(t, New)("rate: 10\n", "a share above 0")
	processortest.Refused(t, New)("rate: .nan\n", "a share above 0")
}

func BenchmarkProcess(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `{rate: 0.5, key: message}`), `{"message":"m"}`)
}
