package routed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/record"
)

// admitter stands for admission: it knows events by identity or position within a tenant, and refuses the tenant that is full.
type admitter struct {
	known map[string]bool
	full  uint32
	notes []string
}

func (a *admitter) Admit(_ context.Context, b *record.Batch) (res admit.Result, err error) {
	if a.full == b.Tenant && a.full != 0 {
		return res, errors.New("full")
	}
	var kept []event.Event
	for i := range b.Events {
		e := &b.Events[i]
		if e.Tenant != "" {
			return res, fmt.Errorf("event %d still names the tenant %q", i, e.Tenant)
		}
		e.ID = fmt.Sprint(b.Tenant, "/", e.Position.From, e.Identity)
		if e.HasPosition() || e.Identity != "" {
			if a.known[e.ID] {
				res.Known = append(res.Known, i)
				continue
			}
			a.known[e.ID] = true
		}
		kept = append(kept, *e)
	}
	for _, n := range b.Notes {
		a.notes = append(a.notes, fmt.Sprint(b.Tenant, n.Source, n.Range))
	}
	b.Events = kept
	res.Accepted, res.Duplicates = len(kept), len(res.Known)
	return res, nil
}

func TestRouter(t *testing.T) {
	inner := &admitter{known: map[string]bool{}}
	r := &Router{inner, func(name string) (uint32, bool) { n, ok := map[string]uint32{"a": 1, "b": 2}[name]; return n, ok }}
	batch := func(tenants string) *record.Batch {
		b := &record.Batch{Client: "c"}
		for i, name := range strings.Split(tenants, " ") {
			e := event.Event{Tenant: strings.Trim(name, "-"), Position: ledger.Position{Source: "s", From: int64(i), To: int64(i + 1)}}
			e.Put(event.Message, fmt.Sprint(i))
			b.Events = append(b.Events, e)
		}
		return b
	}
	f := func(tenants, accepted, left, known, notes string) {
		t.Helper()
		inner.notes = nil
		b := batch(tenants)
		res, err := r.Admit(t.Context(), b)
		var messages []string
		for _, e := range b.Events {
			m, _ := e.Get(event.Message)
			messages = append(messages, m)
		}
		if err != nil || fmt.Sprint(res.Accepted) != accepted || strings.Join(messages, " ") != left || fmt.Sprint(res.Known) != known || strings.Join(inner.notes, " ") != notes || res.Duplicates != len(res.Known) {
			t.Errorf("%s: %+v left %v notes %v, %v", tenants, res, messages, inner.notes, err)
		}
	}
	f("- - -", "3", "0 1 2", "[]", "")
	f("- a b - a", "4", "1 2 3 4", "[0]", "0s{1 2} 0s{2 3} 0s{4 5}") // 0 was there, and what was 1 and 2 is somebody else's now
	f("- a b - a", "0", "", "[0 1 2 3 4]", "0s{1 2} 0s{2 3} 0s{4 5}")
	inner.full = 2
	if _, err := r.Admit(t.Context(), batch("- b")); err == nil {
		t.Error("a batch of which a part is refused is acknowledged")
	}
}

func TestUnknownTenantStays(t *testing.T) {
	inner := &admitter{known: map[string]bool{}}
	r := &Router{inner, func(string) (uint32, bool) { return 0, false }}
	b := &record.Batch{Tenant: 3, Events: []event.Event{{Tenant: "nobody"}, {}}}
	if res, err := r.Admit(t.Context(), b); err != nil || res.Accepted != 2 || !strings.HasPrefix(b.Events[0].ID, "3/") {
		t.Errorf("%+v, %v", res, err)
	}
	if tags, _ := b.Events[0].Get(event.Tags); !strings.Contains(tags, UnknownTag) {
		t.Errorf("tags %s", tags)
	}
}

// What tells two lines apart where they come from tells them apart where they go.
func TestIdentity(t *testing.T) {
	var seen []string
	for _, c := range []string{"x", "y"} {
		for _, p := range []ledger.Position{{Source: "s", From: 1, To: 2}, {Source: "s", From: 1, To: 3}, {Source: "s", From: 1, To: 2, Part: 1}, {Source: "s", From: 1, To: 2, Sum: "z"}, {Source: "r", From: 1, To: 2}} {
			seen = append(seen, identity(&record.Batch{Client: c}, &event.Event{Position: p}))
		}
		seen = append(seen, identity(&record.Batch{Client: c}, &event.Event{Identity: "own"}), identity(&record.Batch{Client: c, Tenant: 1}, &event.Event{Identity: "own"}))
	}
	n := len(seen)
	slices.Sort(seen)
	if got := len(slices.Compact(seen)); got != n {
		t.Errorf("%d identities of %d", got, n)
	}
}
