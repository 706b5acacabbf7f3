package api

import (
	"net/http"
	"time"

	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/auth"
)

// Accounts tells what has arrived; *admit.Admission does.
type Accounts interface {
	// Sources lists the accounts that f chooses, ordered by name.
	Sources(at time.Time, f admit.Filter) []admit.Source
	// Fate tells what became of a unit of a source, by the id of its account.
	Fate(tenant uint32, id string, unit int64, at time.Time) (src admit.Source, f admit.Fate, ok bool)
	// Agents lists what the agents told of themselves last.
	Agents(tenant uint32) []admit.Agent
}

// unscoped returns the principal of a request for the account, which is not divided by namespace and cluster.
func unscoped(r *http.Request) (auth.Principal, error) {
	who, _ := auth.FromContext(r.Context())
	if who.Scoped() {
		return who, answer.Errorf(http.StatusForbidden, "scope", "the account of sources is not divided by namespace or cluster; credentials without such a scope are needed")
	}
	return who, nil
}

// sources answers with the accounts that the parameters choose.
func (a *API) sources(w http.ResponseWriter, r *http.Request) error {
	p, err := readParams(w, r)
	if err != nil {
		return err
	}
	if err := p.known("name", "kind", "client", "host", "cluster", "namespace", "pod"); err != nil {
		return err
	}
	who, err := unscoped(r)
	if err != nil {
		return err
	}
	list := a.Accounts.Sources(time.Now(), admit.Filter{
		Tenant: who.TenantID, Name: p.Get("name"), Kind: p.Get("kind"), Client: p.Get("client"), Host: p.Get("host"),
		Cluster: p.Get("cluster"), Namespace: p.Get("namespace"), Pod: p.Get("pod"),
	})
	answer.JSON(w, http.StatusOK, map[string]any{"sources": list})
	return nil
}

// source answers with one account.
func (a *API) source(w http.ResponseWriter, r *http.Request) error {
	who, err := unscoped(r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	list := a.Accounts.Sources(time.Now(), admit.Filter{Tenant: who.TenantID, ID: id})
	if len(list) == 0 {
		return answer.Errorf(http.StatusNotFound, "not_found", "there is no source %.100q", id)
	}
	answer.JSON(w, http.StatusOK, list[0])
	return nil
}

// agents answers with what the agents told of themselves.
func (a *API) agents(w http.ResponseWriter, r *http.Request) error {
	who, err := unscoped(r)
	if err != nil {
		return err
	}
	answer.JSON(w, http.StatusOK, map[string]any{"agents": a.Accounts.Agents(who.TenantID)})
	return nil
}
