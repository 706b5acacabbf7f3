package server

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/deadletter"
)

// unions are the routes that all servers are asked.
func unions() map[string]union {
	return map[string]union{
		"GET /api/v1/audit":                    {page: "before", join: joinAudit},
		"GET /api/v1/deadletters":              {page: "cursor", join: joinLetters},
		"GET /api/v1/deadletters/{id}":         {join: joinLetter},
		"POST /api/v1/deadletters/replay":      {slow: true, join: joinReplay},
		"POST /api/v1/deadletters/{id}/replay": {slow: true, join: joinReplay},
		"DELETE /api/v1/deadletters":           {slow: true, join: joinDrop},
		"DELETE /api/v1/deadletters/{id}":      {slow: true, join: joinDrop},
		"POST /api/v1/pipelines/reload":        {slow: true, join: joinReload},
	}
}

// unionRoutes puts them before the handlers of this server.
func (s *Server) unionRoutes(local *http.ServeMux) http.Handler {
	if s.group == nil {
		return local
	}
	mux := http.NewServeMux()
	mux.Handle("/", local)
	for pattern, x := range unions() {
		mux.Handle(pattern, s.auth.Require(auth.Enter, s.everywhere(x))) // each server asks for the role that it takes
	}
	return mux
}

type auditPage struct {
	Audit   []auth.AuditEntry `json:"audit"`
	Cursor  string            `json:"cursor,omitempty"`
	Missing []string          `json:"missing,omitempty"`
}

func joinAudit(q url.Values, all []reply, missing []string) (any, error) {
	var pages []page[auth.AuditEntry]
	was, _ := places(q, "before") // checked before
	for _, r := range all {
		var p auditPage
		if err := decodeReply(r, &p); err != nil {
			return nil, err
		}
		for i := range p.Audit {
			p.Audit[i].Server = r.Name
		}
		pages = append(pages, page[auth.AuditEntry]{r.Server, was[r.Server], p.Audit, p.Cursor != ""})
	}
	out := auditPage{Missing: missing}
	out.Audit, out.Cursor = merge(pages, limitOf(q), func(a, b *auth.AuditEntry) bool { return a.Time > b.Time }, func(e *auth.AuditEntry) string { return strconv.FormatInt(e.ID, 10) })
	return out, nil
}

type letterPage struct {
	Letters []deadletter.Entry `json:"letters"`
	Cursor  string             `json:"cursor,omitempty"`
	Totals  *deadletter.Totals `json:"totals,omitempty"`
	Missing []string           `json:"missing,omitempty"`
}

// joinLetters shows a letter that two servers have, because its event was sent to both, once.
func joinLetters(q url.Values, all []reply, missing []string) (any, error) {
	var pages []page[deadletter.Entry]
	out := letterPage{Missing: missing}
	was, _ := places(q, "cursor") // checked before
	for _, r := range all {
		var p letterPage
		if err := decodeReply(r, &p); err != nil {
			return nil, err
		}
		for i := range p.Letters {
			p.Letters[i].Server = r.Name
		}
		if p.Totals != nil {
			if out.Totals == nil {
				out.Totals = &deadletter.Totals{}
			}
			out.Totals.Add(p.Totals)
		}
		pages = append(pages, page[deadletter.Entry]{r.Server, was[r.Server], p.Letters, p.Cursor != ""})
	}
	list, cursor := merge(pages, limitOf(q), func(a, b *deadletter.Entry) bool { return moment(a.Time) > moment(b.Time) }, func(e *deadletter.Entry) string { return strconv.FormatInt(e.Seq, 10) })
	seen := map[string]int{}
	out.Letters, out.Cursor = []deadletter.Entry{}, cursor
	for _, l := range list {
		if at, twice := seen[l.ID]; twice {
			out.Letters[at].Times += l.Times
			continue
		}
		seen[l.ID] = len(out.Letters)
		out.Letters = append(out.Letters, l)
	}
	return out, nil
}

func moment(text string) int64 {
	ns, _ := event.ParseTime(text) // 0 is before all
	return ns
}

// joinLetter takes the newest.
func joinLetter(_ url.Values, all []reply, _ []string) (any, error) {
	var newest deadletter.Shown
	for _, r := range all {
		var l deadletter.Shown
		if err := decodeReply(r, &l); err != nil {
			return nil, err
		}
		if l.Server = r.Name; newest.ID == "" || moment(l.Time) > moment(newest.Time) {
			newest = l
		}
	}
	return newest, nil
}

func joinReplay(_ url.Values, all []reply, missing []string) (any, error) {
	sum := struct {
		deadletter.Outcome
		Missing []string `json:"missing,omitempty"`
	}{Missing: missing}
	for _, r := range all {
		var o deadletter.Outcome
		if err := decodeReply(r, &o); err != nil {
			return nil, err
		}
		sum.Outcome.Add(o)
	}
	return sum, nil
}

func joinDrop(_ url.Values, all []reply, missing []string) (any, error) {
	var sum struct {
		Dropped int64    `json:"dropped"`
		Missing []string `json:"missing,omitempty"`
	}
	for _, r := range all {
		var o struct{ Dropped int64 }
		if err := decodeReply(r, &o); err != nil {
			return nil, err
		}
		sum.Dropped += o.Dropped
	}
	sum.Missing = missing
	return sum, nil
}

// joinReload tells of the server that was asked; one that refuses its file makes the whole request fail.
func joinReload(_ url.Values, all []reply, missing []string) (any, error) {
	var out struct {
		Pipelines int      `json:"pipelines"`
		Servers   []string `json:"servers"`
		Missing   []string `json:"missing,omitempty"`
	}
	for _, r := range all {
		if err := decodeReply(r, &out); err != nil {
			return nil, err
		}
		out.Servers = append(out.Servers, r.Name)
	}
	out.Missing = missing
	return out, nil
}
