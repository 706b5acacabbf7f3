package siblings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/record"
)

const callAdmit = "admit"

// errElsewhere means that another server admits the source.
var errElsewhere = errors.New("another server admits the source, or will soon")

// nobody is the bucket of events without identity.
const nobody = -1

// Admit makes a batch durable: each part of it where its source is admitted. It waits while nobody admits one, or its server does not
// answer, for two leases at most.
func (g *Group) Admit(ctx context.Context, b *record.Batch) (admit.Result, error) {
	if len(b.Rejected) > 0 {
		if err := g.admission.PutRejected(ctx, b); err != nil {
			return admit.Result{}, err
		}
	}
	return g.admit(ctx, b, time.Now().Add(2*g.leases.ttl))
}

func (g *Group) admit(ctx context.Context, b *record.Batch, end time.Time) (admit.Result, error) {
	for {
		list := bucketsOf(b)
		if terms, ok := g.leases.begin(list); ok || len(list) == 0 {
			res, err := g.admission.Admit(ctx, b)
			if lerr := g.leases.done(list, terms); err == nil && len(list) > 0 && lerr != nil {
				err = g.unavailable(lerr)
			}
			return res, err
		}
		holders := map[string][]int{}
		var changed <-chan struct{}
		var secret []byte
		for _, x := range list {
			var id string
			id, _, secret, changed = g.leases.holder(x)
			holders[id] = append(holders[id], x)
		}
		if hasNobody(b) {
			holders[g.leases.id] = append(holders[g.leases.id], nobody)
		}
		if len(holders) > 1 {
			return g.parts(ctx, b, holders, end)
		}
		why := errElsewhere
		for id := range holders { // the only one
			if id == "" || id == g.leases.id || secret == nil {
				break
			}
			res, err := g.whileHolder(ctx, id, list, b)
			if err == nil {
				return res, nil
			}
			why = err
		}
		if time.Now().After(end) {
			return admit.Result{}, g.unavailable(why)
		}
		select {
		case <-changed:
		case <-time.After(min(200*time.Millisecond, g.leases.ttl/10)):
		case <-ctx.Done():
			return admit.Result{}, fmt.Errorf("%w: %w", ctx.Err(), why)
		}
	}
}

// whileHolder forwards a batch, but waits for the answer only while the others do not take the server for gone.
func (g *Group) whileHolder(ctx context.Context, id string, list []int, b *record.Batch) (admit.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for {
			holder, _, _, changed := g.leases.holder(list[0])
			if holder != id {
				cancel()
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return g.forward(ctx, id, b)
}

func (g *Group) unavailable(why error) error {
	g.log.Warn("a batch is not acknowledged; its client will send it again", "error", why)
	return &answer.Error{Status: http.StatusServiceUnavailable, Code: "no_holder", RetryAfter: 1, Message: "the servers do not agree at present on who admits this source; send the same request again"}
}

// bucketsOf lists the buckets of what is in b, each once.
func bucketsOf(b *record.Batch) (list []int) {
	var seen [buckets]bool
	s := sorter{b: b}
	add := func(x int) {
		if x != nobody && !seen[x] {
			seen[x] = true
			list = append(list, x)
		}
	}
	for i := range b.Events {
		add(s.event(&b.Events[i]))
	}
	for i := range b.Notes {
		add(s.source(b.Notes[i].Source))
	}
	return list
}

func hasNobody(b *record.Batch) bool {
	return slices.ContainsFunc(b.Events, func(e event.Event) bool { return !e.HasPosition() && e.Identity == "" })
}

// sorter finds buckets. Neighbours mostly have the same source.
type sorter struct {
	b    *record.Batch
	last string
	is   int
}

func (s *sorter) event(e *event.Event) int {
	switch {
	case e.HasPosition():
		return s.source(e.Position.Source)
	case e.Identity != "":
		return bucketOf(s.b.Tenant, s.b.Client, "", e.Identity)
	}
	return nobody
}

func (s *sorter) source(name string) int {
	if s.last == "" || s.last != name {
		s.last, s.is = name, bucketOf(s.b.Tenant, s.b.Client, name, "")
	}
	return s.is
}

// part is what of a batch one server admits, and where its events stood.
type part struct {
	batch  *record.Batch
	places []int
	res    admit.Result
	err    error
}

// parts admits each holder's part, at once.
func (g *Group) parts(ctx context.Context, b *record.Batch, holders map[string][]int, end time.Time) (sum admit.Result, err error) {
	of := map[int]*part{}
	var all []*part
	for _, list := range holders {
		p := &part{batch: &record.Batch{Tenant: b.Tenant, Client: b.Client, Received: b.Received}}
		all = append(all, p)
		for _, x := range list {
			of[x] = p
		}
	}
	s := sorter{b: b}
	for i := range b.Events {
		p := of[s.event(&b.Events[i])]
		p.batch.Events = append(p.batch.Events, b.Events[i])
		p.places = append(p.places, i)
	}
	for _, n := range b.Notes {
		p := of[s.source(n.Source)]
		p.batch.Notes = append(p.batch.Notes, n)
	}
	var group sync.WaitGroup
	for _, p := range all {
		group.Go(func() { p.res, p.err = g.admit(ctx, p.batch, end) })
	}
	group.Wait()
	stored := make([]*event.Event, len(b.Events))
	for _, p := range all {
		if p.err != nil {
			return admit.Result{}, p.err
		}
		sum.Accepted += p.res.Accepted
		sum.Duplicates += p.res.Duplicates
		left := p.batch.Events
		for i, at := range p.places {
			if _, known := slices.BinarySearch(p.res.Known, i); known {
				sum.Known = append(sum.Known, at)
				continue
			}
			stored[at], left = &left[0], left[1:]
		}
	}
	slices.Sort(sum.Known)
	kept := make([]event.Event, 0, sum.Accepted)
	for _, e := range stored {
		if e != nil {
			kept = append(kept, *e)
		}
	}
	b.Events = kept
	return sum, nil
}

// forward hands a batch to the server that admits it. After an error the batch is as it was.
func (g *Group) forward(ctx context.Context, id string, b *record.Batch) (res admit.Result, err error) {
	out, err := g.Call(ctx, id, callAdmit, record.Append(nil, b))
	if err != nil {
		return res, err
	}
	if err := json.Unmarshal(out, &res); err != nil || res.Accepted+len(res.Known) != len(b.Events) {
		return res, fmt.Errorf("cannot understand what became of %d events at another server: %.200s", len(b.Events), out)
	}
	kept := b.Events[:0]
	for i := range b.Events {
		e := &b.Events[i]
		if _, known := slices.BinarySearch(res.Known, i); !known {
			e.ID = admit.EventID(b.Tenant, e)
			kept = append(kept, *e)
		}
	}
	clear(b.Events[len(kept):])
	b.Events = kept
	return res, nil
}

// admitForOther admits what another server was sent.
func (g *Group) admitForOther(ctx context.Context, body []byte) ([]byte, error) {
	b, err := record.Decode(body)
	if err != nil {
		return nil, err
	}
	list := bucketsOf(b)
	terms, ok := g.leases.begin(list)
	if !ok {
		return nil, errElsewhere
	}
	res, err := g.admission.Admit(ctx, b)
	if lerr := g.leases.done(list, terms); err == nil {
		err = lerr
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(res)
}
