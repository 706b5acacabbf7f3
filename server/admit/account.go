package admit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/record"
)

// key names an account. The client is part of it, so that nobody can claim ranges of another's source.
type key struct {
	tenant uint32
	client string
	source string
}

// loss is a range that will never come. To 0 means that its end is not known. The reason is one of event.Reasons, or
// "missing: " and a text of the client.
type loss struct {
	ledger.Range
	reason string
}

// maxLosses bounds the losses kept of a source. Beyond, the oldest reason is forgotten: its range is missing then, still a gap.
const maxLosses = 1000

// state is what is known of a source at one point of the record sequence.
type state struct {
	name       string
	attrs      Attributes
	stored     ledger.Set
	skipped    ledger.Set
	lost       []loss
	filtered   []loss // of what was skipped: what the server's pipelines took away, and which of them
	end        int64  // where the source ended, 0 while it goes on
	events     int64
	duplicates int64
	conflicts  int64
	updated    int64 // when the newest batch was received, nanoseconds
}

// account is one source of one client.
type account struct {
	key
	id  string // of the API
	now state  // all that was acknowledged; guarded by Admission.mu
	fed state  // all that the store has; the feeder's own
	// refused are ranges that the store has rejected and that no record fed since has stored; the feeder's own. See letters.go.
	refused ledger.Set
	// elsewhere is what other servers have stored of the source, as known when this one came to admit it; learned is when they did.
	elsewhere ledger.Set
	learned   int64
	// claims are the ranges of batches on their way into the buffer.
	claims map[*ticket]*ledger.Set
}

// claimedBy returns a ticket other than t that has claimed any of p's units.
func (a *account) claimedBy(t *ticket, p *ledger.Position) *ticket {
	for other, set := range a.claims {
		if other == t {
			continue
		}
		if _, some := coverage(set, p); some {
			return other
		}
	}
	return nil
}

// coverage tells whether all, and whether any, units of p are in s.
func coverage(s *ledger.Set, p *ledger.Position) (all, some bool) {
	all = true
	p.Pieces(func(r ledger.Range) {
		if s.Contains(r) {
			some = true
			return
		}
		all = false
		some = some || s.Overlaps(r)
	})
	return all, some
}

// lookup finds the account of a source, making it at first sight. It returns nil for a new source of a tenant that has too many:
// its lines are stored without an account. The caller holds mu.
func (a *Admission) lookup(k key) *account {
	acct := a.accounts[k]
	if acct == nil {
		if a.count[k.tenant] >= a.o.MaxSources {
			return nil
		}
		acct = newAccount(k)
		a.accounts[acct.key] = acct
		a.count[k.tenant]++
	}
	return acct
}

// newAccount copies the texts of k, for those of a record live in its payload, which a replay overwrites.
func newAccount(k key) *account {
	k.client, k.source = strings.Clone(k.client), strings.Clone(k.source)
	h := sha256.Sum256(fmt.Appendf(nil, "%d\x00%s\x00%s", k.tenant, k.client, k.source))
	return &account{key: k, id: hex.EncodeToString(h[:8])}
}

// apply enters a record into one view of the accounts: view picks it. The caller holds mu.
func (a *Admission) apply(b *record.Batch, view func(*account) *state) {
	var last string
	var s *state // nil for a source without an account
	of := func(source string) *state {
		if last == "" || source != last {
			s, last = nil, source
			if acct := a.lookup(key{b.Tenant, b.Client, source}); acct != nil {
				s = view(acct)
				s.updated = max(s.updated, b.Received)
			}
		}
		return s
	}
	for i := range b.Events {
		e := &b.Events[i]
		if !e.HasPosition() {
			continue
		}
		if s := of(e.Position.Source); s != nil {
			s.add(e)
		}
	}
	for i := range b.Notes {
		n := &b.Notes[i]
		if n.Kind == record.Status {
			a.reported(key{b.Tenant, b.Client, n.Source}, n.Text, b.Received)
		} else if s := of(n.Source); s != nil {
			s.note(n)
		}
	}
}

func (s *state) add(e *event.Event) {
	p := &e.Position
	s.events++
	p.Pieces(func(r ledger.Range) { s.stored.Add(r) })
	if p.Skipped > 0 {
		s.skipped.Add(ledger.Range{From: p.From - p.Skipped, To: p.From})
	}
}

func (s *state) note(n *record.Note) {
	switch n.Kind {
	case record.Skipped:
		s.skipped.Add(n.Range)
		if n.Text != "" {
			s.filter(n.Range, n.Text)
		}
	case record.Lost:
		s.lose(loss{n.Range, strings.Clone(n.Text)})
	case record.Complete:
		s.end = n.Range.To
	case record.Conflicts:
		s.conflicts += n.Count
	case record.Name:
		s.name = strings.Clone(n.Text)
	case record.Attributes:
		if s.attrs == (Attributes{}) {
			_ = json.Unmarshal([]byte(n.Text), &s.attrs) // written by Attributes.Text
		}
	}
}

// maxFiltered bounds what is kept of who filtered what. Beyond, the oldest is forgotten: its range is skipped, and nobody knows by whom.
const maxFiltered = 256

// filter enters what took a range away. One that follows another lengthens that.
func (s *state) filter(r ledger.Range, by string) {
	for i := len(s.filtered) - 1; i >= max(0, len(s.filtered)-8); i-- {
		if o := &s.filtered[i]; o.reason == by && o.From <= r.From && r.From <= o.To {
			o.To = max(o.To, r.To)
			return
		}
	}
	if len(s.filtered) >= maxFiltered {
		s.filtered = slices.Delete(s.filtered, 0, 1)
	}
	s.filtered = append(s.filtered, loss{r, strings.Clone(by)})
}

// lose enters a loss that is not known yet. One that follows another of its reason lengthens that.
func (s *state) lose(l loss) {
	for i := range s.lost {
		o := &s.lost[i]
		if o.reason != l.reason {
			continue
		}
		if o.From <= l.From && (o.To == 0 || l.To != 0 && l.To <= o.To) {
			return
		}
		if o.To != 0 && o.From <= l.From && l.From <= o.To {
			o.To = l.To
			return
		}
	}
	if len(s.lost) >= maxLosses {
		s.lost = slices.DeleteFunc(s.lost, func(o loss) bool { return o.To != 0 && s.stored.Contains(o.Range) }) // they came after all
	}
	if len(s.lost) >= maxLosses {
		s.lost = slices.Delete(s.lost, 0, 1)
	}
	s.lost = append(s.lost, l)
}

func now(a *account) *state { return &a.now }
func fed(a *account) *state { return &a.fed }
