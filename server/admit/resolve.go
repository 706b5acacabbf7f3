package admit

import (
	"context"
	"fmt"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/record"
	"github.com/tallylog/tally/server/storage"
)

// noteSkipped keeps the skip that a refused event brought, when the account does not have it.
func (a *Admission) noteSkipped(b *record.Batch, p *ledger.Position) {
	if p.Skipped == 0 {
		return
	}
	r := ledger.Range{From: p.From - p.Skipped, To: p.From}
	a.mu.Lock()
	acct := a.lookup(key{b.Tenant, b.Client, p.Source})
	has := acct == nil || acct.now.skipped.Contains(r)
	a.mu.Unlock()
	if !has {
		b.Notes = append(b.Notes, record.Note{Kind: record.Skipped, Source: p.Source, Range: r})
	}
}

// nameSources notes the name and the attributes of each source that has none. The account gets them with the record that holds
// the note, so that a failed write leaves the source unnamed here and on disk alike.
func (a *Admission) nameSources(b *record.Batch) {
	n := namer{a: a, b: b}
	for i := range b.Events {
		n.note(&b.Events[i])
	}
	for i := range b.Rejected {
		n.note(&b.Rejected[i].Event)
	}
}

type namer struct {
	a     *Admission
	b     *record.Batch
	last  string
	noted map[string]bool
}

func (n *namer) note(e *event.Event) {
	source := e.Position.Source
	if source == "" || source == n.last {
		return
	}
	n.last = source
	n.a.mu.Lock()
	acct := n.a.lookup(key{n.b.Tenant, n.b.Client, source})
	unnamed := acct != nil && acct.now.name == ""
	n.a.mu.Unlock()
	if !unnamed || n.noted[source] {
		return
	}
	if n.noted == nil {
		n.noted = make(map[string]bool)
	}
	n.noted[source] = true
	n.b.Notes = append(n.b.Notes, record.Note{Kind: record.Name, Source: source, Text: sourceName(e)})
	if text := AttributesOf(e, source).Text(); text != "" {
		n.b.Notes = append(n.b.Notes, record.Note{Kind: record.Attributes, Source: source, Text: text})
	}
}

// sourceName is what people know a source by.
func sourceName(e *event.Event) string {
	if path, ok := e.Get("log.file.path"); ok && path != "" {
		return path
	}
	if host, ok := e.Get("host.name"); ok && kind(e.Position.Source) == "journal" {
		return "journal of " + host
	}
	return e.Position.Source
}

// resolve asks the store which candidates are really there. It waits until the store has every record written so far.
func (a *Admission) resolve(ctx context.Context, t *ticket, b *record.Batch, fates []fate) error {
	if err := a.feeder.barrier(ctx); err != nil {
		return err
	}
	has, err := a.store.Has(ctx, b.Tenant, t.ids)
	if err != nil {
		return fmt.Errorf("cannot look up %d ids: %w", len(t.ids), err)
	}
	for i, f := range fates {
		if f != candidate {
			continue
		}
		e := &b.Events[i]
		switch {
		case has[e.ID], e.HasPosition() && e.Time < a.horizon(b.Tenant, e):
			fates[i] = known
		case e.HasPosition() && e.Position.Part == 0:
			fates[i] = conflict
		default:
			fates[i] = fresh
		}
	}
	return nil
}

// horizon is the time before which the store has removed events, or is about to, in nanoseconds.
func (a *Admission) horizon(tenant uint32, e *event.Event) int64 {
	if p, ok := a.store.(storage.Partitioned); ok {
		return p.Horizon(tenant, e)
	}
	if a.o.Retention > 0 {
		return time.Now().Add(-a.o.Retention).UnixNano()
	}
	return 0
}
