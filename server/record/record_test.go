package record

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
)

func sample(n int) *Batch {
	b := &Batch{Tenant: 3, Client: "token:t1", Received: 1_700_000_000_000_000_000, Notes: []Note{
		{Kind: Skipped, Source: "s", Range: ledger.Range{From: 0, To: 5}},
		{Kind: Lost, Source: "s2", Range: ledger.Range{From: 7}, Text: "truncated"},
		{Kind: Conflicts, Source: "s", Count: 4},
	}}
	for i := range n {
		e := event.Event{ID: fmt.Sprintf("%020d", i), Time: b.Received - int64(i), Position: ledger.Position{Source: "s", From: int64(i * 10), To: int64(i*10 + 10), Sum: "ab"}}
		switch i % 4 {
		case 1:
			e.Position = ledger.Position{}
			e.Identity = "mine"
		case 2:
			e.Position.Ranges = []ledger.Range{{From: int64(i * 10), To: int64(i*10 + 2)}, {From: int64(i*10 + 5), To: int64(i*10 + 10)}}
			e.Position.Part, e.Position.Skipped = 2, 1
		}
		e.Fields = []event.Field{{Name: "message", Value: fmt.Sprint("line ", i)}, {Name: "n", Value: "1.5", Kind: event.Number}, {Name: "empty"}}
		b.Events = append(b.Events, e)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 7, 500} {
		want := sample(n)
		got, err := Decode(Append(nil, want))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%d events:\n got %+v\nwant %+v", n, got, want)
		}
	}
}

func TestDecodeCut(t *testing.T) {
	whole := Append(nil, sample(5))
	for i := range whole {
		if _, err := Decode(whole[:i]); err == nil {
			t.Errorf("the first %d of %d bytes are taken for a batch", i, len(whole))
		}
	}
	if _, err := Decode(append(whole, 0)); err == nil {
		t.Error("a batch with a byte more is taken for a batch")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Append(nil, sample(5)))
	f.Add(Append(nil, &Batch{}))
	f.Fuzz(func(t *testing.T, p []byte) {
		b, err := Decode(p)
		if err != nil {
			return
		}
		again, err := Decode(Append(nil, b))
		if err != nil || !reflect.DeepEqual(again, b) {
			t.Fatalf("%v: %+v became %+v", err, b, again)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	s := sample(1000)
	var buf []byte
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		buf = Append(buf[:0], s)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
}
