package routed

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/intake"
	"github.com/tallylog/tally/server/record"
)

// UnknownTag marks an event whose tenant does not exist; it stays where it came from.
const UnknownTag = "_route_unknown_tenant"

// Router is an intake.Admitter before another.
type Router struct {
	Admitter intake.Admitter
	// Tenant gives the number of a tenant.
	Tenant func(name string) (number uint32, ok bool)
}

var _ intake.Admitter = (*Router)(nil)

// Admit implements intake.Admitter.
func (r *Router) Admit(ctx context.Context, b *record.Batch) (admit.Result, error) {
	if !slices.ContainsFunc(b.Events, func(e event.Event) bool { return e.Tenant != "" }) {
		return r.Admitter.Admit(ctx, b)
	}
	parts := r.split(b)
	var sum admit.Result
	all := make([]event.Event, len(b.Events)) // by their place in b; without an id those that were known
	for _, p := range parts {
		if len(p.batch.Events) == 0 && len(p.batch.Notes) == 0 && len(p.batch.Rejected) == 0 {
			continue
		}
		res, err := r.Admitter.Admit(ctx, p.batch)
		if err != nil {
			return admit.Result{}, err
		}
		sum.Accepted += res.Accepted
		sum.Duplicates += res.Duplicates
		left := p.batch.Events // those that were not known, in their order
		for i, at := range p.places {
			if _, known := slices.BinarySearch(res.Known, i); known {
				sum.Known = append(sum.Known, at)
				continue
			}
			all[at], left = left[0], left[1:]
		}
	}
	slices.Sort(sum.Known)
	b.Events = slices.DeleteFunc(all, func(e event.Event) bool { return e.ID == "" })
	return sum, nil
}

// part is the batch of one tenant, and where its events stood in the one that came.
type part struct {
	batch  *record.Batch
	places []int
}

// split gives the batches of the other tenants and, last, that of the sender.
func (r *Router) split(b *record.Batch) []*part {
	own := *b
	own.Events = make([]event.Event, 0, len(b.Events))
	home := &part{batch: &own}
	others := map[uint32]*part{}
	var parts []*part
	for i := range b.Events {
		e := b.Events[i]
		name := e.Tenant
		e.Tenant = ""
		to := b.Tenant
		if name != "" {
			if number, ok := r.Tenant(name); ok {
				to = number
			} else {
				e.AddTag(UnknownTag)
			}
		}
		if to == b.Tenant {
			home.batch.Events = append(home.batch.Events, e)
			home.places = append(home.places, i)
			continue
		}
		p := others[to]
		if p == nil {
			p = &part{batch: &record.Batch{Tenant: to, Client: b.Client, Received: b.Received}}
			others[to] = p
			parts = append(parts, p)
		}
		if e.HasPosition() {
			home.batch.Skip(&e.Position, true, "handed over to the tenant "+name)
			e.Identity = identity(b, &e)
			e.Position = ledger.Position{}
		} else if e.Identity != "" {
			e.Identity = identity(b, &e)
		}
		p.batch.Events = append(p.batch.Events, e)
		p.places = append(p.places, i)
	}
	return append(parts, home)
}

// identity makes of what the event is at its sender's what it is elsewhere. It is a hash, so that nobody there can claim it before
// without having the line.
func identity(b *record.Batch, e *event.Event) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%d\x00%s\x00%s\x00%s\x00%d\x00%d\x00%d\x00%s",
		b.Tenant, b.Client, e.Position.ID(), e.Identity, e.Position.From, e.Position.To, e.Position.Part, e.Position.Sum))
	return fmt.Sprintf("routed:%x", h[:16])
}
