package admit

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tallylog/tally/ledger"
)

const (
	// quiet is how long a source that has ended keeps apart what was stored and what was skipped.
	quiet = 24 * time.Hour
	// maxAgents bounds the agents of a tenant whose status is kept.
	maxAgents = 10_000
)

// tidy drops the accounts, and the agents, that were not heard of for longer than the retention of the ledger, and reduces those
// of sources that have ended to their ranges. The caller holds mu.
func (a *Admission) tidy(at time.Time) {
	old, ended := int64(0), at.Add(-quiet).UnixNano()
	if a.o.LedgerRetention > 0 {
		old = at.Add(-a.o.LedgerRetention).UnixNano()
	}
	for k, acct := range a.accounts {
		updated := max(acct.now.updated, acct.fed.updated, acct.learned)
		switch {
		case len(acct.claims) > 0:
		case updated == 0:
			// Of a batch whose write failed; nothing was ever acknowledged. When it is tried again it gets a new account.
			a.forget(k)
		case updated < old:
			a.forget(k)
		case acct.now.end > 0 && updated < ended && acct.now.updated == acct.fed.updated:
			acct.now.reduce()
			acct.fed.reduce()
		}
	}
	for k, s := range a.agents {
		if s.updated < old {
			delete(a.agents, k)
		}
	}
}

func (a *Admission) forget(k key) {
	delete(a.accounts, k)
	if a.count[k.tenant]--; a.count[k.tenant] == 0 {
		delete(a.count, k.tenant)
	}
}

// reduce joins what was skipped to what was stored: many ranges in turns become one. Should a line of a skipped range come after
// all, it is looked up by its id, not found, and stored.
func (s *state) reduce() {
	if s.skipped.Len() > 0 {
		s.stored.AddAll(&s.skipped)
		s.skipped = ledger.Set{}
	}
}

// status is what an agent told of itself last.
type status struct {
	text    string // a JSON object
	updated int64  // nanoseconds
}

// reported keeps the newest status of an agent. The caller holds mu.
func (a *Admission) reported(k key, text string, at int64) {
	old, ok := a.agents[k]
	if !ok {
		n := 0
		for o := range a.agents {
			if o.tenant == k.tenant {
				n++
			}
		}
		if n >= maxAgents {
			return
		}
	}
	if at >= old.updated {
		k.client, k.source = strings.Clone(k.client), strings.Clone(k.source)
		a.agents[k] = status{strings.Clone(text), at}
	}
}

// Agent is what an agent told of itself last.
type Agent struct {
	ID      string          `json:"id"`
	Client  string          `json:"client"`
	Updated string          `json:"updated"` // RFC 3339, when it told
	Status  json.RawMessage `json:"status"`  // an object, as the agent sent it
}

// Agents lists the agents of a tenant that have told how they are, ordered by id.
func (a *Admission) Agents(tenant uint32) []Agent {
	a.mu.Lock()
	defer a.mu.Unlock()
	return listAgents(a.agents, tenant)
}

func listAgents(agents map[key]status, tenant uint32) []Agent {
	out := []Agent{}
	for k, s := range agents {
		if k.tenant == tenant {
			out = append(out, Agent{k.source, k.client, time.Unix(0, s.updated).UTC().Format(time.RFC3339), json.RawMessage(s.text)})
		}
	}
	slices.SortFunc(out, func(x, y Agent) int { return strings.Compare(x.ID+"\x00"+x.Client, y.ID+"\x00"+y.Client) })
	return out
}
