package admit

import (
	"sync"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
)

// Totals are sums over all accounts.
type Totals struct {
	Sources  int
	InFlight int64 // units in young holes
	Missing  int64 // units in older holes that nobody has given a reason for
	// MissingLines is how many lines these are at least: entries and lines are units of their own, of the bytes of a file a hole
	// holds one line or more.
	MissingLines int64
	// Lost are the units in holes with a reason, by reason. A loss whose end is not known counts as one unit.
	Lost map[string]int64
}

// totals keeps the last answer: to go through a million accounts at each question would hold up admission.
type totals struct {
	mu   sync.Mutex
	at   time.Time
	last Totals
}

const (
	totalsAge  = 10 * time.Second
	totalsStep = 256 // accounts looked at without letting others in
)

// Totals returns the sums, at most ten seconds old.
func (a *Admission) Totals(at time.Time) Totals {
	c := &a.totals
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() || at.Sub(c.at) >= totalsAge {
		c.at, c.last = at, a.sum(at)
	}
	return c.last
}

func (a *Admission) sum(at time.Time) Totals {
	a.mu.Lock()
	all := make([]*account, 0, len(a.accounts))
	for _, acct := range a.accounts {
		all = append(all, acct)
	}
	a.mu.Unlock()
	t := Totals{Lost: map[string]int64{}}
	for _, r := range event.Reasons() {
		t.Lost[r] = 0
	}
	for len(all) > 0 {
		n := min(len(all), totalsStep)
		a.mu.Lock()
		for _, acct := range all[:n] {
			t.add(acct, at)
		}
		a.mu.Unlock()
		all = all[n:]
	}
	t.Missing = t.Lost[event.ReasonMissing]
	delete(t.Lost, event.ReasonMissing)
	return t
}

func (t *Totals) add(acct *account, at time.Time) {
	s := &acct.now
	if s.updated == 0 {
		return
	}
	t.Sources++
	if len(s.lost) == 0 && s.skipped.Len() == 0 && s.stored.Len() == 1 && s.stored.Contains(ledger.Range{From: 0, To: 1}) {
		return // the usual case: all from the beginning
	}
	d := acct.describe(at)
	for _, g := range d.InFlight {
		t.InFlight += *g.To - g.From
	}
	for _, g := range d.Gaps {
		if g.Reason == event.ReasonMissing && (g.To == nil || d.Kind == "file") {
			t.MissingLines++
		} else if g.Reason == event.ReasonMissing {
			t.MissingLines += *g.To - g.From
		}
		if g.To == nil {
			t.Lost[g.Reason]++
		} else {
			t.Lost[g.Reason] += *g.To - g.From
		}
	}
}
