package admit

import (
	"cmp"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/tallylog/tally/ledger"
)

// Several servers keep an account each, of what they have admitted themselves. The account of all is the union: sets of ranges are joined,
// counts are summed. It does not matter who asks, nor that a server is away whose account is known as of its last checkpoint.

// Union is the account of several servers.
type Union struct {
	Own *Admission
	// Others returns what Export of each other server says for a filter. A server that cannot be asked is left out.
	Others func(f Filter) [][]byte
}

// Export encodes the accounts of this server that f chooses by tenant, id, source and client, and the agents of the tenant. What else is in f may be
// known to another server only.
func (a *Admission) Export(f Filter) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	f = Filter{Tenant: f.Tenant, ID: f.ID, Source: f.Source, Client: f.Client}
	var accounts []*account
	agents := map[key]status{}
	for _, acct := range a.accounts {
		if f.keeps(acct) {
			accounts = append(accounts, acct)
		}
	}
	for k, s := range a.agents {
		if k.tenant == f.Tenant {
			agents[k] = s
		}
	}
	return encodeAccounts(0, accounts, agents, now)
}

// ExportParts encodes all accounts as the last record fed left them, in the parts that of divides sources into: the same bytes as long as nothing
// changes. Agents, which are in no part of their own, go by their id.
func (a *Admission) ExportParts(of func(tenant uint32, client, source string) int) map[int][]byte {
	type part struct {
		accounts []*account
		agents   map[key]status
	}
	parts := map[int]*part{}
	at := func(k key) *part {
		x := of(k.tenant, k.client, k.source)
		if parts[x] == nil {
			parts[x] = &part{agents: map[key]status{}}
		}
		return parts[x]
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for k, acct := range a.accounts {
		if acct.fed.updated > 0 {
			p := at(k)
			p.accounts = append(p.accounts, acct)
		}
	}
	for k, s := range a.agents {
		at(k).agents[k] = s
	}
	out := make(map[int][]byte, len(parts))
	for x, p := range parts {
		slices.SortFunc(p.accounts, func(a, b *account) int { return compare(a.key, b.key) })
		out[x] = encodeAccounts(0, p.accounts, p.agents, fed)
	}
	return out
}

// Learn enters what another server has stored: its ranges make candidates here. chosen says which sources; the rest of the export is ignored.
func (a *Admission) Learn(export []byte, chosen func(tenant uint32, client, source string) bool) error {
	cp, err := decodeCheckpoint(export)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for k, other := range cp.accounts {
		if !chosen(k.tenant, k.client, k.source) {
			continue
		}
		if acct := a.lookup(k); acct != nil {
			acct.elsewhere.AddAll(&other.now.stored)
			acct.learned = max(acct.learned, other.now.updated)
		}
	}
	return nil
}

// covered is coverage by what is stored here or by other servers.
func (a *account) covered(p *ledger.Position) (all, some bool) {
	all, some = coverage(&a.now.stored, p)
	if !all && a.elsewhere.Len() > 0 {
		there, any := coverage(&a.elsewhere, p)
		all, some = all || there, some || any
	}
	return all, some
}

// join enters what another server has of the same source.
func (s *state) join(o *state) {
	s.stored.AddAll(&o.stored)
	s.skipped.AddAll(&o.skipped)
	for _, l := range o.lost {
		s.lose(l)
	}
	for _, l := range o.filtered {
		s.filter(l.Range, l.reason)
	}
	if s.name == "" {
		s.name = o.name
	}
	if s.attrs == (Attributes{}) {
		s.attrs = o.attrs
	}
	s.end, s.updated = max(s.end, o.end), max(s.updated, o.updated)
	s.events += o.events
	s.duplicates += o.duplicates
	s.conflicts += o.conflicts
}

// accounts joins what all servers have of the sources that f chooses, and of the agents.
func (u *Union) accounts(f Filter) (map[key]*account, map[key]status) {
	all, agents := map[key]*account{}, map[key]status{}
	for _, b := range append(u.Others(f), u.Own.Export(f)) {
		cp, err := decodeCheckpoint(b)
		if err != nil {
			u.Own.o.Log.Error("cannot read the account of another server", "error", err)
			continue
		}
		for k, acct := range cp.accounts {
			if have := all[k]; have != nil {
				have.now.join(&acct.now)
			} else {
				all[k] = acct
			}
		}
		for k, s := range cp.agents {
			if s.updated > agents[k].updated && k.tenant == f.Tenant {
				agents[k] = s
			}
		}
	}
	maps.DeleteFunc(all, func(_ key, acct *account) bool { return !f.keeps(acct) })
	return all, agents
}

// Sources is that of Admission, for all servers.
func (u *Union) Sources(at time.Time, f Filter) []Source {
	out := []Source{}
	all, _ := u.accounts(f)
	for _, acct := range all {
		out = append(out, acct.describe(at))
	}
	byName(out)
	return out
}

func byName(list []Source) {
	sort.Slice(list, func(i, j int) bool {
		if list[i].Name != list[j].Name {
			return list[i].Name < list[j].Name
		}
		return list[i].ID < list[j].ID
	})
}

// Fate is that of Admission, for all servers.
func (u *Union) Fate(tenant uint32, id string, unit int64, at time.Time) (src Source, f Fate, ok bool) {
	all, _ := u.accounts(Filter{Tenant: tenant, ID: id})
	for _, acct := range all {
		src = acct.describe(at)
		return src, acct.now.fate(&src, unit), true
	}
	return src, f, false
}

// Agents is that of Admission, for all servers.
func (u *Union) Agents(tenant uint32) []Agent {
	_, agents := u.accounts(Filter{Tenant: tenant, ID: "none"})
	return listAgents(agents, tenant)
}

func sortedKeys[V any](m map[key]V) []key { return slices.SortedFunc(maps.Keys(m), compare) }

func compare(x, y key) int {
	return cmp.Or(cmp.Compare(x.tenant, y.tenant), strings.Compare(x.client, y.client), strings.Compare(x.source, y.source))
}
