package retention

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/storage"
)

type partitions struct {
	list []storage.Partition
	fail error
}

func (p *partitions) Partitions(context.Context, bool) ([]storage.Partition, error) {
	return slices.Clone(p.list), nil
}

func (p *partitions) Remove(_ context.Context, name string) error {
	if p.fail != nil {
		return p.fail
	}
	p.list = slices.DeleteFunc(p.list, func(x storage.Partition) bool { return x.Name == name })
	return nil
}

func (p *partitions) Horizon(uint32, *event.Event) int64 { return 0 }

// What Keep removes is what the plan said before, and is told after, also after a restart.
func TestKeep(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	p := &partitions{list: []storage.Partition{
		{Name: "a", Class: Default, Day: "2026-03-01", Rows: 5, Bytes: 50}, {Name: "b", Class: Default, Day: "2026-03-08", Rows: 6, Bytes: 60},
		{Name: "c", Class: "x", Day: "2026-01-01", Rows: 7, Bytes: 70},
	}}
	file := filepath.Join(t.TempDir(), "removed.json")
	k := &Keeper{Store: p, File: file, Log: slog.New(slog.DiscardHandler), Limits: func() map[string]Limit {
		return map[string]Limit{Default: {Age: 48 * time.Hour}}
	}}
	k.Load()
	if plan := Plan(p.list, k.Limits(), now, now); len(plan) != 1 || plan[0].Name != "a" {
		t.Fatalf("plan %+v", plan)
	}
	p.fail = errors.New("disk")
	if err := k.Keep(t.Context(), now); !errors.Is(err, p.fail) || len(k.History()) != 0 {
		t.Errorf("a removal that failed: %v, history %v", err, k.History())
	}
	p.fail = nil
	for range 2 {
		if err := k.Keep(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.list) != 2 || k.Count.Load() != 1 || k.Rows.Load() != 5 {
		t.Errorf("left %+v, %d partitions and %d rows removed", p.list, k.Count.Load(), k.Rows.Load())
	}
	again := &Keeper{File: file, Log: k.Log}
	again.Load()
	if h := again.History(); len(h) != 1 || h[0] != (Removed{"a", Default, "2026-03-01", ReasonAge, now, 5, 50, false}) {
		t.Errorf("history %+v", h)
	}
}

// A removal that was under way when the process ended is in the history where it was done, and only there.
func TestKeepAfterCrash(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	for _, gone := range []bool{true, false} {
		part := storage.Partition{Name: "a", Class: Default, Day: "2026-03-01", Rows: 5}
		p := &crashing{partitions: partitions{list: []storage.Partition{part}}, gone: gone}
		k := &Keeper{Store: p, File: filepath.Join(t.TempDir(), "removed.json"), Log: slog.New(slog.DiscardHandler), Limits: func() map[string]Limit {
			return map[string]Limit{Default: {Age: 48 * time.Hour}}
		}}
		func() {
			defer func() { _ = recover() }()
			_ = k.Keep(t.Context(), now)
		}()
		again := &Keeper{Store: p, File: k.File, Log: k.Log, Limits: k.Limits}
		again.Load()
		if h := again.History(); len(h) != 0 {
			t.Errorf("before the next look the history has %+v", h)
		}
		p.crashed = true
		for range 2 {
			if err := again.Keep(t.Context(), now); err != nil {
				t.Fatal(err)
			}
		}
		if h := again.History(); len(h) != 1 || h[0].Name != "a" || h[0].Rows != 5 || again.Count.Load() != 1 || len(p.list) != 0 {
			t.Errorf("gone %v: history %+v, %d counted, left %+v", gone, h, again.Count.Load(), p.list)
		}
	}
}

// crashing is a store whose process ends in its first removal, before or behind what is done.
type crashing struct {
	partitions
	gone, crashed bool
}

func (c *crashing) Remove(ctx context.Context, name string) error {
	if c.crashed || c.gone {
		if err := c.partitions.Remove(ctx, name); err != nil {
			return err
		}
	}
	if !c.crashed {
		panic("killed")
	}
	return nil
}

// paper is a history that several keepers share.
type paper struct {
	b    []byte
	fail error
}

func (p *paper) Read(context.Context) ([]byte, error) { return p.b, p.fail }

func (p *paper) Write(_ context.Context, b []byte) error {
	if p.fail == nil {
		p.b = b
	}
	return p.fail
}

// cut is a store whose server is killed while it removes something.
type cut struct{ *partitions }

func (c cut) Remove(ctx context.Context, name string) error {
	if err := c.partitions.Remove(ctx, name); err != nil {
		return err
	}
	panic("killed")
}

// Of several keepers the one that may removes, and all tell of it, once, also where one was killed in the middle.
func TestKeepTogether(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	p := &partitions{list: []storage.Partition{{Name: "a", Class: Default, Day: "2026-03-01", Rows: 5}, {Name: "b", Class: Default, Day: "2026-03-02", Rows: 6}}}
	shelf := &paper{}
	leads := ""
	keeper := func(name string, s storage.Partitioned) *Keeper {
		return &Keeper{Store: s, Shared: shelf, Log: slog.New(slog.DiscardHandler), May: func() bool { return leads == name }, Limits: func() map[string]Limit {
			return map[string]Limit{Default: {Age: 48 * time.Hour}}
		}}
	}
	one, two := keeper("one", cut{p}), keeper("two", p)
	keep := func(k *Keeper) {
		t.Helper()
		if err := k.Keep(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	keep(one)
	keep(two)
	if len(p.list) != 2 || len(one.History()) != 0 {
		t.Fatalf("removed by nobody's leave: %v", one.History())
	}
	leads = "one"
	func() {
		defer func() { recover() }()
		keep(one)
	}()
	leads = "two"
	keep(one)
	now = now.Add(time.Minute)
	keep(two)
	if len(p.list) != 0 || two.Count.Load() != 2 {
		t.Errorf("left %+v; the second removed %d", p.list, two.Count.Load())
	}
	for _, k := range []*Keeper{one, two} {
		if h := k.History(); len(h) != 2 || h[0].Name != "b" || h[1].Name != "a" {
			t.Errorf("history %+v", h)
		}
	}
	shelf.fail = errors.New("away")
	if h := one.History(); len(h) != 2 {
		t.Errorf("while it cannot be read the history is %+v", h)
	}
	p.list = []storage.Partition{{Name: "c", Class: Default, Day: "2026-03-01"}}
	if err := two.Keep(t.Context(), now); !errors.Is(err, shelf.fail) || len(p.list) != 1 {
		t.Errorf("removed what cannot be told: %v", err)
	}
}
