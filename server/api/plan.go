package api

import (
	"errors"
	"net/http"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/query"
)

// parse reads a query. An error of syntax is answered with the column as a number beside the text, for editors; e is nil then.
func parse(w http.ResponseWriter, text string) (e query.Expr, err error) {
	e, err = query.Parse(text)
	var syntax *query.SyntaxError
	if !errors.As(err, &syntax) {
		return e, err
	}
	answer.JSON(w, http.StatusBadRequest, map[string]any{"error": map[string]any{"code": "query", "message": err.Error(), "column": syntax.Column}})
	return nil, nil
}

// format answers with the canonical text of a query.
func (a *API) format(w http.ResponseWriter, r *http.Request) error {
	p, err := readParams(w, r)
	if err != nil {
		return err
	}
	if err := p.known("query"); err != nil {
		return err
	}
	e, err := parse(w, p.Get("query"))
	if e == nil {
		return err
	}
	answer.JSON(w, http.StatusOK, map[string]string{"query": query.Format(e)})
	return nil
}

// explain answers with the plan of a query: what is searched, in which bounds, and what it is narrowed to.
func (a *API) explain(w http.ResponseWriter, r *http.Request) error {
	e, err := parse(w, r.URL.Query().Get("query"))
	if e == nil {
		return err
	}
	q, err := a.read(w, r)
	if err != nil {
		return err
	}
	plan := struct {
		Query   string   `json:"query"`            // canonical
		Scope   string   `json:"scope,omitempty"`  // what the credentials add
		Tenant  string   `json:"tenant"`           //
		Start   string   `json:"start,omitempty"`  // resolved
		End     string   `json:"end,omitempty"`    //
		Fields  []string `json:"fields"`           // that the query looks at
		Timeout float64  `json:"timeout_seconds"`  //
		LogsQL  string   `json:"logsql,omitempty"` // what the embedded store is asked
	}{Query: query.Format(e), Tenant: q.who.Tenant, Fields: append([]string{}, query.Fields(e)...), Timeout: a.Timeout.Seconds()}
	if q.who.Scoped() {
		plan.Scope = query.Format(scope(q.who))
	}
	if q.search.Start != 0 {
		plan.Start = event.FormatTime(q.search.Start)
	}
	if q.search.End != 0 {
		plan.End = event.FormatTime(q.search.End)
	}
	if q.who.Allows(auth.Operate) {
		plan.LogsQL = query.LogsQLIndexed(q.search.Expr)
	}
	answer.JSON(w, http.StatusOK, plan)
	return nil
}
