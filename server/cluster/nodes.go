package cluster

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tallylog/tally/server/admit"
)

const (
	// silentAfter is how long an agent may be quiet. It tells of itself every half minute.
	silentAfter = 3 * time.Minute
	// goneAfter is how long a node that brings nothing, and that no agent names, is still looked for.
	goneAfter = 7 * 24 * time.Hour
)

// Cluster is a cluster as the API shows it.
type Cluster struct {
	ID         string     `json:"id,omitempty"`
	Name       string     `json:"name"`
	Registered bool       `json:"registered"`
	Token      string     `json:"token,omitempty"` // id
	Created    *time.Time `json:"created,omitempty"`
	CreatedBy  string     `json:"created_by,omitempty"`
	Codes      []Code     `json:"codes"`
	Agents     []Agent    `json:"agents"`
	Nodes      []Node     `json:"nodes"`
	// Configurations counts the agents by the hash of their configuration: more than one means that they differ.
	Configurations map[string]int `json:"configurations"`
	// Missing are the nodes without an agent that tells of itself now.
	Missing []string `json:"missing"`
	Events  int64    `json:"events"` // accounted for in its sources
	Gaps    int      `json:"gaps"`
}

// Agent is what an agent told of itself last. Lag is in units of its sources; Status all that it told.
type Agent struct {
	ID      string          `json:"id"`
	Node    string          `json:"node"`
	Version string          `json:"version"`
	Config  string          `json:"config"`
	AgentID string          `json:"agent_id"`
	Updated string          `json:"updated"` // RFC 3339
	Lag     int64           `json:"lag"`
	Open    int64           `json:"open"`
	Errors  int64           `json:"errors"`
	Silent  bool            `json:"silent"` // has not told anything for some minutes
	Status  json.RawMessage `json:"status"`

	at time.Time
}

// Node is a node of a cluster. State is "agent", "silent" (it had one), or "none".
type Node struct {
	Name    string `json:"name"`
	State   string `json:"state"`
	Updated string `json:"updated,omitempty"` // when something last came from it
}

// told is the part of a status that is looked at; docs/wire.md has all of it.
type told struct {
	Version string `json:"version"`
	Node    string `json:"node"`
	AgentID string `json:"agent_id"`
	Config  string `json:"config"`
	Lag     int64  `json:"lag"`
	Open    int64  `json:"open"`
	Errors  int64  `json:"errors"`
	Nodes   struct {
		Names []string `json:"names"`
	} `json:"nodes"`
}

// view is what is known of the agents and sources of a tenant at one moment.
type view struct {
	agents  []admit.Agent
	sources map[string][]admit.Source // by cluster
}

func (r *Register) look(tenant uint32) *view {
	v := &view{agents: r.o.Accounts.Agents(tenant), sources: map[string][]admit.Source{}}
	for _, s := range r.o.Accounts.Sources(r.o.Now(), admit.Filter{Tenant: tenant}) {
		if s.Cluster != "" {
			v.sources[s.Cluster] = append(v.sources[s.Cluster], s)
		}
	}
	return v
}

// cluster gathers what is known of a cluster: its agents are those that push with its token; client is empty for a cluster that
// is not registered, whose agents are those of its sources' clients.
func (v *view) cluster(name, client string) *Cluster {
	c := &Cluster{Name: name, Codes: []Code{}, Agents: []Agent{}, Nodes: []Node{}, Configurations: map[string]int{}, Missing: []string{}}
	seen := map[string]string{} // node -> when something last came from it
	hosts, clients := map[string]bool{}, map[string]bool{}
	for _, s := range v.sources[name] {
		c.Events += s.Events
		c.Gaps += len(s.Gaps)
		clients[s.Client], hosts[s.Host] = true, true
		if s.Host != "" && s.Updated > seen[s.Host] {
			seen[s.Host] = s.Updated
		}
	}
	for _, a := range v.agents {
		var t told
		if err := json.Unmarshal(a.Status, &t); err != nil {
			t = told{} // a status of another shape still is a sign of life
		}
		// Over Lumberjack many clusters may share one client; there the node decides.
		if client != "" && a.Client != client && !(clients[a.Client] && hosts[t.Node]) || client == "" && !(clients[a.Client] && hosts[t.Node]) {
			continue
		}
		at, _ := time.Parse(time.RFC3339, a.Updated)
		c.Agents = append(c.Agents, Agent{ID: a.ID, Node: t.Node, Version: t.Version, Config: t.Config, AgentID: t.AgentID, Updated: a.Updated,
			Lag: t.Lag, Open: t.Open, Errors: t.Errors, Status: a.Status, at: at})
		if t.Node != "" {
			seen[t.Node] = max(seen[t.Node], a.Updated)
		}
		for _, n := range t.Nodes.Names {
			seen[n] = max(seen[n], "")
		}
	}
	for name, updated := range seen {
		c.Nodes = append(c.Nodes, Node{Name: name, Updated: updated})
	}
	slices.SortFunc(c.Nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(c.Agents, func(a, b Agent) int { return strings.Compare(a.Node+a.ID, b.Node+b.ID) })
	return c
}

// others are the clusters that nobody registered and that events name, by name.
func (v *view) others(known []Registered) (list []*Cluster) {
	for name := range v.sources {
		if !slices.ContainsFunc(known, func(c Registered) bool { return c.Name == name }) {
			list = append(list, v.cluster(name, ""))
		}
	}
	slices.SortFunc(list, func(a, b *Cluster) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// warn judges agents and nodes by their last contact. Nodes that have brought nothing for a week are left out, unless an agent
// that is alive names them.
func (c *Cluster) warn(now time.Time) {
	alive, had, named := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for i := range c.Agents {
		a := &c.Agents[i]
		a.Silent = now.Sub(a.at) > silentAfter
		had[a.Node] = true
		if a.Silent {
			continue
		}
		alive[a.Node] = true
		if a.Config != "" {
			c.Configurations[a.Config]++
		}
		var t told
		if json.Unmarshal(a.Status, &t) == nil {
			for _, n := range t.Nodes.Names {
				named[n] = true
			}
		}
	}
	kept := c.Nodes[:0]
	for _, n := range c.Nodes {
		at, err := time.Parse(time.RFC3339, n.Updated)
		if !named[n.Name] && !alive[n.Name] && (err != nil || now.Sub(at) > goneAfter) {
			continue
		}
		switch {
		case alive[n.Name]:
			n.State = "agent"
		case had[n.Name]:
			n.State = "silent"
		default:
			n.State = "none"
		}
		if n.State != "agent" {
			c.Missing = append(c.Missing, n.Name)
		}
		kept = append(kept, n)
	}
	c.Nodes = kept
}
