package admit

import (
	"time"

	"github.com/tallylog/tally/ledger"
)

// The states that a unit of a source can be in.
const (
	StateStored   = "stored"
	StateSkipped  = "skipped"   // read and deliberately not shipped
	StateLost     = "lost"      // will never come; the reason is known
	StateInFlight = "in_flight" // may still be on its way
	StateMissing  = "missing"   // did not come, though what lies behind it has
	StateNotRead  = "not_read"  // nothing from there on has come yet
)

// Fate is what became of one unit of a source, as far as the account knows.
type Fate struct {
	State          string
	Reason, Detail string // of StateLost; of StateSkipped the Detail is what filtered it on the server, empty if it was the agent
}

// Fate tells what became of the unit at of a source, by the id of its account. ok is false where there is no such account.
func (a *Admission) Fate(tenant uint32, id string, unit int64, at time.Time) (src Source, f Fate, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	want := Filter{Tenant: tenant, ID: id}
	for _, acct := range a.accounts {
		if want.keeps(acct) {
			src = acct.describe(at)
			return src, acct.now.fate(&src, unit), true
		}
	}
	return src, f, false
}

func (s *state) fate(src *Source, unit int64) Fate {
	r := ledger.Range{From: unit, To: unit + 1}
	switch {
	case s.stored.Contains(r):
		return Fate{State: StateStored}
	case s.skipped.Contains(r):
		for _, f := range s.filtered {
			if f.From <= unit && unit < f.To {
				return Fate{State: StateSkipped, Detail: f.reason}
			}
		}
		return Fate{State: StateSkipped}
	}
	for _, g := range src.Gaps {
		if g.From <= unit && (g.To == nil || unit < *g.To) {
			if g.Reason == StateMissing && g.Detail == "" {
				return Fate{State: StateMissing}
			}
			return Fate{StateLost, g.Reason, g.Detail}
		}
	}
	for _, g := range src.InFlight {
		if g.From <= unit && unit < *g.To {
			return Fate{State: StateInFlight}
		}
	}
	return Fate{State: StateNotRead}
}
