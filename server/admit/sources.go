package admit

import (
	"strings"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
)

// grace is how long a hole counts as in flight: an agent sends over several connections at once, so batches of one source
// overtake each other.
const grace = time.Minute

// Gap is a range that is not accounted for. To is nil when its end is not known.
type Gap struct {
	From   int64  `json:"from"`
	To     *int64 `json:"to"`
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"` // what the client said, where it is none of the reasons
}

// Source is the account of one source, as the API shows it.
type Source struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Kind   string `json:"kind"` // file, journal, push
	Source string `json:"source"`
	Client string `json:"client"`
	Tenant uint32 `json:"-"`
	Attributes
	// Ranges are stored or skipped, half-open, in ascending order.
	Ranges [][2]int64 `json:"ranges"`
	Gaps   []Gap      `json:"gaps"`
	// InFlight are holes so young that their batches may still be on the way.
	InFlight   []Gap  `json:"in_flight"`
	Contiguous int64  `json:"contiguous_up_to"` // everything before is accounted for
	Events     int64  `json:"events"`
	Duplicates int64  `json:"duplicates"`
	Conflicts  int64  `json:"conflicts"`
	Complete   bool   `json:"complete"`
	Updated    string `json:"updated,omitempty"` // RFC 3339, when the newest batch came
}

// Filter chooses sources of a tenant; an empty text chooses all.
type Filter struct {
	Tenant                                                   uint32
	ID, Source, Name, Kind, Client, Host, Cluster, Namespace string
	Pod                                                      string // its name or its uid
}

func (f *Filter) keeps(a *account) bool {
	s := &a.now
	if a.tenant != f.Tenant || s.updated == 0 || f.Pod != "" && f.Pod != s.attrs.Pod && f.Pod != s.attrs.PodUID {
		return false
	}
	for _, p := range [][2]string{
		{f.ID, a.id}, {f.Source, a.source}, {f.Name, a.name()}, {f.Client, a.client}, {f.Host, s.attrs.Host},
		{f.Cluster, s.attrs.Cluster}, {f.Namespace, s.attrs.Namespace},
	} {
		if p[0] != "" && p[0] != p[1] {
			return false
		}
	}
	return f.Kind == "" || f.Kind == kind(a.source)
}

// name is what people know the source by.
func (a *account) name() string {
	if a.now.name == "" {
		return a.source
	}
	return a.now.name
}

// Sources lists the accounts that f chooses, ordered by name.
func (a *Admission) Sources(at time.Time, f Filter) []Source {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := []Source{}
	for _, acct := range a.accounts {
		if f.keeps(acct) {
			out = append(out, acct.describe(at))
		}
	}
	byName(out)
	return out
}

func (a *account) describe(at time.Time) Source {
	s := &a.now
	d := Source{
		ID: a.id, Name: a.name(), Kind: kind(a.source), Source: a.source, Client: a.client, Tenant: a.tenant, Attributes: s.attrs,
		Events: s.events, Duplicates: s.duplicates, Conflicts: s.conflicts, Ranges: [][2]int64{}, Gaps: []Gap{}, InFlight: []Gap{},
	}
	if s.updated > 0 {
		d.Updated = time.Unix(0, s.updated).UTC().Format(time.RFC3339)
	}
	accounted := s.stored.Clone()
	accounted.AddAll(&s.skipped)
	accounted.AddAll(&a.elsewhere)
	young := d.Kind != "push" && at.Sub(time.Unix(0, s.updated)) < grace
	end := int64(0)
	accounted.All(func(r ledger.Range) bool {
		if end == 0 && r.From == 0 {
			d.Contiguous = r.To
		}
		if r.From > end {
			d.hole(s, ledger.Range{From: end, To: r.From}, young)
		}
		d.Ranges = append(d.Ranges, [2]int64{r.From, r.To})
		end = r.To
		return true
	})
	for _, l := range s.lost { // those behind the last range
		if l.To == 0 && s.end > 0 && l.From <= s.end && end >= s.end {
			continue // its rest was found after all, and read to the end
		}
		if l.To == 0 || l.To > end {
			g := l.gap(max(l.From, end))
			if l.To > 0 {
				g.To = &l.To
			}
			d.Gaps = append(d.Gaps, g)
		}
	}
	d.Complete = s.end > 0 && len(d.Ranges) == 1 && d.Contiguous >= s.end && len(d.Gaps) == 0
	return d
}

// hole enters a range between two accounted ones: with the reason of each loss that covers part of it, the rest as missing or,
// while it is young, as in flight.
func (d *Source) hole(s *state, r ledger.Range, young bool) {
	var rest ledger.Set
	rest.Add(r)
	for _, l := range s.lost {
		from, to := max(l.From, r.From), r.To
		if l.To > 0 {
			to = min(l.To, r.To)
		}
		if from < to {
			g := l.gap(from)
			g.To = &to
			d.Gaps = append(d.Gaps, g)
			left := ledger.Set{}
			rest.All(func(x ledger.Range) bool {
				left.Add(ledger.Range{From: x.From, To: min(x.To, from)})
				left.Add(ledger.Range{From: max(x.From, to), To: x.To})
				return true
			})
			rest = left
		}
	}
	rest.All(func(x ledger.Range) bool {
		g := Gap{From: x.From, To: &x.To, Reason: event.ReasonMissing}
		if young {
			g.Reason = "in_flight"
			d.InFlight = append(d.InFlight, g)
		} else {
			d.Gaps = append(d.Gaps, g)
		}
		return true
	})
}

func (l *loss) gap(from int64) Gap {
	reason, detail, _ := strings.Cut(l.reason, ": ")
	return Gap{From: from, Reason: reason, Detail: detail}
}

func kind(source string) string {
	for _, k := range []string{"file", "journal"} {
		if strings.HasPrefix(source, k+":") {
			return k
		}
	}
	return "push"
}
