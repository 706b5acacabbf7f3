package intake

import (
	"strconv"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/record"
)

// A request is admitted in batches of at most this many events and bytes.
const (
	batchEvents = 20_000
	batchBytes  = 8 << 20
)

// Batcher admits the events of a request in batches. What it has counted is durable.
type Batcher struct {
	// Fate, when set, is called once a batch is durable, for each event that was given to Add: with its item, whether it was
	// known already, and otherwise its event id, which is empty for an event that Clean has dropped.
	Fate func(item int, known bool, id string)

	Accepted, Duplicates int

	q     *Request
	batch *record.Batch
	items []int
	size  int
}

// Batcher begins the first batch.
func (q *Request) Batcher() *Batcher {
	b := &Batcher{q: q}
	b.begin()
	return b
}

// Add adds an event of about size bytes, which the principal must be allowed to write (InScope). item is for Fate.
func (b *Batcher) Add(e event.Event, size, item int) error {
	b.batch.Events = append(b.batch.Events, e)
	if b.Fate != nil {
		b.items = append(b.items, item)
	}
	b.size += size
	if len(b.batch.Events) >= batchEvents || b.size >= batchBytes {
		return b.Flush()
	}
	return nil
}

// Note adds a note for the account.
func (b *Batcher) Note(n record.Note) { b.batch.Notes = append(b.batch.Notes, n) }

func (b *Batcher) begin() {
	p := b.q.Principal
	b.batch = &record.Batch{Tenant: p.TenantID, Client: p.Name, Received: time.Now().UnixNano()}
	b.items = b.items[:0]
	b.size = 0
}

// Flush admits what is there; after an error that must not be acknowledged.
func (b *Batcher) Flush() error {
	if len(b.batch.Events) == 0 && len(b.batch.Notes) == 0 {
		return nil
	}
	g := b.q.gate
	share := g.Budget.Share()
	defer share.Release()
	if err := share.Grow(b.q.ctx, int64(b.size)); err != nil {
		return err
	}
	items, dropped := b.items, []int(nil)
	if g.Clean != nil {
		items, dropped = b.clean(g.Clean)
		b.confine()
	}
	res, err := g.Admit.Admit(b.q.ctx, b.batch)
	if err != nil {
		return err
	}
	b.Accepted += res.Accepted
	b.Duplicates += res.Duplicates
	if b.Fate != nil {
		b.tell(items, res.Known)
		for _, item := range dropped {
			b.Fate(item, false, "")
		}
	}
	b.begin()
	return nil
}

// confine keeps the events of the batch within the scope of the principal.
func (b *Batcher) confine() {
	p := b.q.Principal
	if !p.Scoped() {
		return
	}
	for i := range b.batch.Events {
		confine(p, &b.batch.Events[i])
	}
	for i := range b.batch.Rejected {
		b.batch.Rejected[i].Confined = true
	}
}

// clean cleans the batch and gives the items of the events that are left, and of those that are not. To know them again each
// event carries its number as its ID, which is nobody's until admission.
func (b *Batcher) clean(f func(*record.Batch)) (left, dropped []int) {
	if b.Fate == nil {
		f(b.batch)
		return nil, nil
	}
	for i := range b.batch.Events {
		b.batch.Events[i].ID = strconv.Itoa(i)
	}
	f(b.batch)
	left = make([]int, len(b.batch.Events))
	is := make([]bool, len(b.items))
	for i := range b.batch.Events {
		e := &b.batch.Events[i]
		left[i] = -1 // an event that Clean has made
		if n, err := strconv.Atoi(e.ID); err == nil && n >= 0 && n < len(is) && !is[n] {
			left[i], is[n] = b.items[n], true
		}
		e.ID = ""
	}
	for n, item := range b.items {
		if !is[n] {
			dropped = append(dropped, item)
		}
	}
	return left, dropped
}

// tell tells the fate of each item. The batch holds, after Admit, the events that were not known, in their order.
func (b *Batcher) tell(items, known []int) {
	at := 0
	for i, item := range items {
		if len(known) > 0 && known[0] == i {
			known = known[1:]
			if item >= 0 {
				b.Fate(item, true, "")
			}
			continue
		}
		if item >= 0 {
			b.Fate(item, false, b.batch.Events[at].ID)
		}
		at++
	}
}
