package elasticsearch

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/storage"
)

// TestOverMidnight holds that an event which reaches two servers on two days is stored once, whatever it brings, and that what belongs to others
// is not taken for it.
func TestOverMidnight(t *testing.T) {
	o := options(t.TempDir())
	o.Server = "a"
	a := open(t, o)
	o.Server = "b"
	b := open(t, o)
	day := time.Date(2026, 3, 9, 23, 59, 59, 0, time.UTC)
	late, early := day.UnixNano(), day.Add(2*time.Second).UnixNano()
	serie := 0
	// batch is what admission would make of three events without a time of their own, one with, and one from the future.
	batch := func(received int64, client string) *storage.Batch {
		serie++
		x := &storage.Batch{Seq: uint64(serie), Received: received}
		add := func(at int64, e event.Event) {
			e.Time = at
			e.Put("message", "a line")
			e.Put(storage.ClientField, client)
			x.Events = append(x.Events, e)
		}
		for i := range int64(2) {
			p := ledger.Position{Source: "s", From: i, To: i + 1}
			add(received+i, event.Event{ID: p.ID(), Position: p})
		}
		add(received+2, event.Event{ID: ledger.IdentityID(0, "", "own"), Identity: "own"})
		p := ledger.Position{Source: "s", From: 7, To: 8}
		add(day.Add(-time.Hour).UnixNano(), event.Event{ID: p.ID(), Position: p})
		p = ledger.Position{Source: "s", From: 8, To: 9}
		add(day.Add(20*time.Hour).UnixNano(), event.Event{ID: p.ID(), Position: p})
		return x
	}
	f := func(s *Store, x *storage.Batch, want int64) {
		t.Helper()
		if err := s.Append(t.Context(), x); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Count(t.Context(), storage.Search{}); err != nil || n != want {
			t.Errorf("%d events, %v; want %d", n, err, want)
		}
	}
	f(a, batch(late, "one"), 5)
	f(b, batch(early, "one"), 5)
	f(a, batch(early, "one"), 5)
	f(b, batch(late, "one"), 5)
	f(b, batch(early, "two"), 9) // its sources are others, the identity is not
	f(a, batch(late, "two"), 9)
	has, err := b.Has(t.Context(), 0, []string{ledger.IdentityID(0, "", "own"), "no"})
	if err != nil || len(has) != 1 {
		t.Errorf("%v, %v", has, err)
	}
}

func TestDocuments(t *testing.T) {
	d, err := OpenDocuments(options(t.TempDir()), fmt.Sprintf("test-%d", time.Now().UnixNano()))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if doc, err := d.Get(ctx, "x/y"); err != nil || doc.Version != (Version{}) || doc.Body != nil {
		t.Fatalf("%+v, %v", doc, err)
	}
	v, err := d.Put(ctx, "x/y", []byte(`{"n":1}`), Version{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Put(ctx, "x/y", []byte(`{"n":2}`), Version{}); !errors.Is(err, ErrChanged) {
		t.Errorf("made twice: %v", err)
	}
	v2, err := d.Put(ctx, "x/y", []byte(`{"n":3}`), v)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Put(ctx, "x/y", []byte(`{"n":4}`), v); !errors.Is(err, ErrChanged) {
		t.Errorf("an old version is replaced: %v", err)
	}
	if doc, err := d.Get(ctx, "x/y"); err != nil || doc.Version != v2 || string(doc.Body) != `{"n":3}` {
		t.Errorf("%+v, %v", doc, err)
	}
	if err := d.Set(ctx, "z", []byte(`{"at":5}`)); err != nil {
		t.Fatal(err)
	}
	changes := func(after int64) (ids []string) {
		t.Helper()
		if err := d.Changes(ctx, after, func(d Document) error { ids = append(ids, d.ID); return nil }); err != nil {
			t.Fatal(err)
		}
		return ids
	}
	if all, some := changes(-1), changes(v2.Seq); !slices.Equal(all, []string{"x/y", "z"}) || !slices.Equal(some, []string{"z"}) {
		t.Errorf("changes %v, behind the first %v", all, some)
	}
	bodies, err := d.CreateAll(ctx, []string{"z", "new"}, [][]byte{[]byte(`{"at":6}`), []byte(`{"at":7}`)})
	if err != nil || !slices.EqualFunc(bodies, []string{`{"at":5}`, `{"at":7}`}, func(a json.RawMessage, b string) bool { return string(a) == b }) {
		t.Errorf("%s, %v", bodies, err)
	}
	if err := d.Prune(ctx, 6); err != nil {
		t.Fatal(err)
	}
	if all := changes(-1); !slices.Equal(all, []string{"x/y", "new"}) {
		t.Errorf("left are %v", all)
	}
}

// TestSystemHidden holds that system indices are not searched, whatever the template of the events matches.
func TestSystemHidden(t *testing.T) {
	o := options(t.TempDir())
	o.Index = "tally-%{[host.name]}-%{+yyyy.MM.dd}" // matches tally-system~… too
	s := open(t, o)
	e := event.Event{ID: "0123456789abcdefghij", Time: time.Now().UnixNano()}
	e.Put("host.name", "system")
	if err := s.Append(t.Context(), &storage.Batch{Seq: 1, Events: []event.Event{e}}); err != nil {
		t.Fatal(err)
	}
	d, err := OpenDocuments(o, fmt.Sprintf("hidden-%d", time.Now().UnixNano()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Put(t.Context(), "a", []byte(`{"any":"thing"}`), Version{}); err != nil {
		t.Fatal(err)
	}
	list, err := s.Partitions(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range list {
		if x.Name == d.index {
			t.Errorf("%s is one of the indices of events", x.Name)
		}
	}
	if len(list) == 0 {
		t.Error("the index of events is missing")
	}
}
