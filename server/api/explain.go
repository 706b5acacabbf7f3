package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// mostSources bounds the sources of one name that an explanation looks at; the newest are taken.
const mostSources = 50

// stateDuplicate is the state of a unit that the store has in more events than one: it came again with another content.
const stateDuplicate = "duplicate"

// explanation says what became of one line: of a unit of a source, or of a time.
type explanation struct {
	SourceID string `json:"source_id,omitempty"` // of the account
	Source   string `json:"source,omitempty"`
	Name     string `json:"name,omitempty"`
	Kind     string `json:"kind,omitempty"`
	Client   string `json:"client,omitempty"`
	Position *int64 `json:"position,omitempty"`
	State    string `json:"state"`
	ID       string `json:"id,omitempty"` // of the event that is stored
	Time     string `json:"@timestamp,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Detail   string `json:"detail,omitempty"`
	Sentence string `json:"sentence"`
}

// line is an event that the store has of a source.
type line struct {
	id, source, client string
	time, from, to     int64
	positioned         bool
}

// explainLine answers with what became of a line.
func (a *API) explainLine(w http.ResponseWriter, r *http.Request) error {
	p, err := readParams(w, r)
	if err != nil {
		return err
	}
	if err := p.known("source", "name", "id", "pod", "namespace", "position", "time"); err != nil {
		return err
	}
	who, err := unscoped(r)
	if err != nil {
		return err
	}
	q := &request{params: p, who: who, r: r, search: storage.Search{Tenant: who.TenantID}}
	x := &explainer{a: a, q: q, at: time.Now(), unit: -1}
	if s := p.Get("position"); s != "" {
		if x.unit, err = strconv.ParseInt(s, 10, 64); err != nil || x.unit < 0 || x.unit >= ledger.MaxOffset {
			return bad("parameter", "position %.60q is no whole number of at least 0", s)
		}
	}
	if x.time, err = p.time("time"); err != nil {
		return err
	}
	what := admit.Filter{Tenant: who.TenantID, Source: p.Get("source"), Name: p.Get("name"), ID: p.Get("id"), Pod: p.Get("pod"), Namespace: p.Get("namespace")}
	ofEvent := what.ID != "" && x.unit < 0 && x.time == 0
	switch {
	case what.Source == "" && what.Name == "" && what.ID == "" && what.Pod == "":
		return bad("parameter", "say which source: source, name, id or pod")
	case !ofEvent && (x.unit < 0) == (x.time == 0):
		return bad("parameter", "say which line: either position or time")
	}
	ctx, end, err := a.begin(q, "ledger.explain")
	if err != nil {
		return err
	}
	defer end()
	x.ctx = ctx
	var e explanation
	switch {
	case ofEvent:
		e, err = x.event(what.ID)
	case x.unit >= 0:
		e, err = x.position(x.sources(what), what)
	default:
		e, err = x.moment(x.sources(what), what)
	}
	if err != nil {
		return err
	}
	answer.JSON(w, http.StatusOK, e)
	return nil
}

// explainer answers one question.
type explainer struct {
	a    *API
	q    *request
	ctx  context.Context
	at   time.Time
	unit int64 // asked for; -1 when it is not
	time int64 // asked for, nanoseconds; 0 when it is not
}

// sources returns those that f chooses, the one with the newest batch first.
func (x *explainer) sources(f admit.Filter) []admit.Source {
	list := x.a.Accounts.Sources(x.at, f)
	slices.SortStableFunc(list, func(p, q admit.Source) int { return strings.Compare(q.Updated, p.Updated) })
	return list[:min(len(list), mostSources)]
}

func of(s *admit.Source) explanation {
	return explanation{SourceID: s.ID, Source: s.Source, Name: s.Name, Kind: s.Kind, Client: s.Client}
}

// rows returns at most n events that e chooses.
func (x *explainer) rows(e query.Expr, n int, asc bool, start, end int64) (list []line, err error) {
	req := storage.RowsRequest{
		Search: storage.Search{Tenant: x.q.search.Tenant, Expr: e, Start: start, End: end}, Asc: asc, Limit: n,
		Fields: []string{sourceField, fromField, toField, storage.ClientField},
	}
	_, err = x.a.Store.Rows(x.ctx, req, func(e *event.Event) error {
		l := line{id: strings.Clone(e.ID), time: e.Time, source: strings.Clone(valueOf(e, sourceField)), client: strings.Clone(valueOf(e, storage.ClientField))}
		var ferr, terr error
		l.from, ferr = strconv.ParseInt(valueOf(e, fromField), 10, 64)
		l.to, terr = strconv.ParseInt(valueOf(e, toField), 10, 64)
		l.positioned = l.source != "" && ferr == nil && terr == nil
		list = append(list, l)
		return nil
	})
	return list, err
}

// event explains an event by its own id.
func (x *explainer) event(id string) (e explanation, err error) {
	list, err := x.rows(query.Exact{Field: query.ID, Value: id}, 1, false, 0, 0)
	if err != nil {
		return e, err
	}
	if len(list) == 0 {
		return e, answer.Errorf(http.StatusNotFound, "not_found", "there is no event %.100q; for a line of a source say its position or time too", id)
	}
	l := list[0]
	if !l.positioned {
		e = explanation{State: admit.StateStored, ID: l.id, Time: event.FormatTime(l.time), Client: l.client}
		e.Sentence = sentenceUnpositioned(&e)
		return e, nil
	}
	srcs := x.a.Accounts.Sources(x.at, admit.Filter{Tenant: x.q.search.Tenant, Source: l.source, Client: l.client})
	if len(srcs) == 0 { // its account is older than the retention of the ledger
		srcs = []admit.Source{{Source: l.source, Name: l.source, Client: l.client}}
	}
	e = of(&srcs[0])
	e.Position, e.State, e.ID, e.Time = &l.from, admit.StateStored, l.id, event.FormatTime(l.time)
	e.Sentence = sentence(&e, &srcs[0])
	return e, nil
}

// position explains a unit. Of several sources with one name (a file that is rotated) the newest that has it is taken, else the
// newest of all.
func (x *explainer) position(srcs []admit.Source, what admit.Filter) (e explanation, err error) {
	if len(srcs) == 0 {
		return never(what), nil
	}
	chosen, src, fate := -1, admit.Source{}, admit.Fate{}
	for i := range srcs {
		s, f, ok := x.a.Accounts.Fate(x.q.search.Tenant, srcs[i].ID, x.unit, x.at)
		if !ok {
			continue
		}
		if known := f.State != admit.StateNotRead; chosen < 0 || known {
			chosen, src, fate = i, s, f
			if known {
				break
			}
		}
	}
	if chosen < 0 { // dropped meanwhile
		return never(what), nil
	}
	return x.fate(&src, fate, x.unit)
}

// fate completes what the account knows of a unit with what the store has of it.
func (x *explainer) fate(src *admit.Source, f admit.Fate, unit int64) (explanation, error) {
	e := of(src)
	e.Position, e.State, e.Reason, e.Detail = &unit, f.State, f.Reason, f.Detail
	if f.State == admit.StateStored {
		at := strconv.FormatInt(unit, 10)
		list, err := x.rows(query.And{Terms: []query.Expr{
			query.Exact{Field: sourceField, Value: src.Source}, query.Exact{Field: storage.ClientField, Value: src.Client},
			query.Compare{Field: fromField, Op: query.LessEqual, Value: at}, query.Compare{Field: toField, Op: query.Greater, Value: at},
		}}, 10, false, 0, 0)
		if err != nil {
			return e, err
		}
		if len(list) > 0 {
			e.ID, e.Time = list[0].id, event.FormatTime(list[0].time)
		}
		if len(list) > 1 {
			e.State = stateDuplicate
		}
	}
	if x.a.Rejected != nil && f.State == admit.StateLost && f.Reason == "rejected" {
		id, by, reason, err := x.a.Rejected(x.ctx, src, x.q.search.Tenant, unit)
		if err != nil {
			return e, err
		}
		if id != "" {
			e.Detail = by + ": " + reason
			e.Sentence = sentenceRejected(&e, id, by, reason)
			return e, nil
		}
	}
	e.Sentence = sentence(&e, src)
	return e, nil
}

// moment explains a time: the line of that time, else what lies between the lines around it.
func (x *explainer) moment(srcs []admit.Source, what admit.Filter) (e explanation, err error) {
	if len(srcs) == 0 {
		return never(what), nil
	}
	var any []query.Expr
	for i := range srcs {
		any = append(any, query.And{Terms: []query.Expr{
			query.Exact{Field: sourceField, Value: srcs[i].Source}, query.Exact{Field: storage.ClientField, Value: srcs[i].Client},
		}})
	}
	expr := query.Or{Terms: any}
	before, err := x.rows(expr, 1, false, 0, x.time+1)
	if err != nil {
		return e, err
	}
	after, err := x.rows(expr, 1, true, x.time+1, 0)
	if err != nil {
		return e, err
	}
	byLine := func(l line) *admit.Source {
		for i := range srcs {
			if srcs[i].Source == l.source && srcs[i].Client == l.client {
				return &srcs[i]
			}
		}
		return &srcs[0]
	}
	switch {
	case len(before) == 0 && len(after) == 0:
		e = of(&srcs[0])
		e.State = admit.StateNotRead
		e.Sentence = "No line of " + e.Name + " is stored."
		return e, nil
	case len(before) == 0: // it begins later
		src := byLine(after[0])
		return x.between(src, max(0, after[0].from-1), nil, &after[0])
	}
	src := byLine(before[0])
	var next *line
	if len(after) > 0 && byLine(after[0]) == src {
		next = &after[0]
	}
	return x.between(src, before[0].to, &before[0], next)
}

// between explains what lies from unit on, between two lines of a source that are stored.
func (x *explainer) between(src *admit.Source, unit int64, before, after *line) (explanation, error) {
	exact := before != nil && x.time-before.time < int64(time.Millisecond)
	if exact || before != nil && after != nil && after.from <= unit {
		e := of(src)
		e.State, e.ID, e.Time, e.Position = admit.StateStored, before.id, event.FormatTime(before.time), &before.from
		e.Sentence = sentence(&e, src)
		if !exact {
			e.Sentence += " The line behind it, " + after.id + ", is of " + event.FormatTime(after.time) + "; nothing is missing between them."
		}
		return e, nil
	}
	_, f, ok := x.a.Accounts.Fate(x.q.search.Tenant, src.ID, unit, x.at)
	if !ok {
		f.State = admit.StateNotRead
	}
	e, err := x.fate(src, f, unit)
	if err == nil && before != nil {
		e.Sentence = "The last line before that time is " + before.id + " of " + event.FormatTime(before.time) + ". " + e.Sentence
	}
	if err == nil && after != nil {
		e.Sentence += " The first line after that time is " + after.id + " of " + event.FormatTime(after.time) + "."
	}
	return e, err
}
