package api

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// Fields in which the store keeps the position of an event.
const (
	sourceField = "tally.source"
	fromField   = "tally.from"
	toField     = "tally.to"
)

// Bounds of a context.
const (
	mostNeighbours = 10_000   // on one side
	contextBytes   = 32 << 20 // on one side, kept to be put in order
	// Times of one source may go back a little, by the clock or by several writers. Neighbours are looked for among so many
	// more events, and so much further in time, before they are put in order of their positions.
	moreNeighbours = 100
	backInTime     = int64(time.Minute)
)

// streamFields tell which events without a position belong together: one file, one container, one host.
var streamFields = []string{"log.file.path", "kubernetes.namespace", "kubernetes.pod.name", "kubernetes.container.name", "container.id", "host.name"}

// neighbour is one line of the answer and its place.
type neighbour struct {
	time, from int64
	id         string
	line       []byte
}

// context answers with an event and those before and behind it in the same stream, oldest first.
func (a *API) context(w http.ResponseWriter, r *http.Request) error {
	q, err := a.read(w, r, "id", "before", "after", "fields")
	if err != nil {
		return err
	}
	id := q.Get("id")
	if id == "" {
		return bad("parameter", "the parameter id is missing")
	}
	before, err := q.int("before", 10, 0)
	if err != nil {
		return err
	}
	after, err := q.int("after", 10, 0)
	if err != nil {
		return err
	}
	if max(before, after) > mostNeighbours {
		return bad("parameter", "before and after are at most %d", mostNeighbours)
	}
	ctx, end, err := a.begin(q, "query.context")
	if err != nil {
		return err
	}
	defer end()
	self, found, err := a.find(ctx, q, id)
	if err != nil {
		return err
	}
	if !found {
		return answer.Errorf(http.StatusNotFound, "not_found", "there is no event %.100q", id)
	}
	c := &neighbours{a: a, ctx: ctx, q: q, self: self, keep: keep(q.list("fields"))}
	older, err := c.side(before, false)
	if err != nil {
		return err
	}
	younger, err := c.side(after, true)
	if err != nil {
		return err
	}
	slices.Reverse(older)
	h := w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	out := bufio.NewWriter(slowWriter{&stream{w: w, ctx: ctx, ticket: q.ticket}})
	for _, n := range older {
		_, _ = out.Write(n.line) // an error stays in out, and means that the client is gone
	}
	_, _ = out.Write(append(self.AppendJSON(nil, c.keep), '\n'))
	for _, n := range younger {
		_, _ = out.Write(n.line)
	}
	_ = out.Flush()
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	return nil
}

// find looks an event up by its id, within what the principal may see.
func (a *API) find(ctx context.Context, q *request, id string) (e event.Event, found bool, err error) {
	req := storage.RowsRequest{Limit: 1, Search: storage.Search{Tenant: q.search.Tenant, Start: q.search.Start, End: q.search.End}}
	req.Expr = narrow(q.who, query.Exact{Field: query.ID, Value: id})
	_, err = a.Store.Rows(ctx, req, func(row *event.Event) error {
		e, found = event.Event{ID: strings.Clone(row.ID), Time: row.Time, Fields: make([]event.Field, len(row.Fields))}, true
		for i, f := range row.Fields {
			e.Fields[i] = event.Field{Name: strings.Clone(f.Name), Value: strings.Clone(f.Value), Kind: f.Kind}
		}
		return nil
	})
	return e, found, err
}

// neighbours finds those of one event.
type neighbours struct {
	a    *API
	ctx  context.Context
	q    *request
	self event.Event
	keep func(string) bool
}

// side returns the n nearest neighbours on one side, the nearest first.
func (c *neighbours) side(n int, younger bool) ([]neighbour, error) {
	if n == 0 {
		return nil, nil
	}
	source, _ := c.self.Get(sourceField)
	from, err := strconv.ParseInt(valueOf(&c.self, fromField), 10, 64)
	positioned := source != "" && err == nil
	req := storage.RowsRequest{Asc: younger, Search: storage.Search{Tenant: c.q.search.Tenant}}
	compare := byTime
	want, back := n, int64(0)
	var same []query.Expr
	if positioned {
		compare = byPosition
		want, back = n+moreNeighbours, backInTime
		op := query.LessEqual
		if younger {
			op = query.GreaterEqual
		}
		same = []query.Expr{query.Exact{Field: sourceField, Value: source}, query.Compare{Field: fromField, Op: op, Value: strconv.FormatInt(from, 10)}}
	} else {
		for _, f := range streamFields {
			if v := valueOf(&c.self, f); v != "" {
				same = append(same, query.Exact{Field: f, Value: v})
			} else {
				same = append(same, query.Empty{Field: f})
			}
		}
		same = append(same, query.Empty{Field: sourceField})
	}
	asked := c.q.search // query, start and end hold for neighbours too
	if younger {
		req.Start, req.End = max(c.self.Time-back, asked.Start, 1), asked.End
	} else {
		req.Start, req.End = asked.Start, c.self.Time+back+1
		if asked.End != 0 {
			req.End = min(req.End, asked.End)
		}
		compare = reversed(compare)
	}
	req.Expr = query.And{Terms: append(same, asked.Expr)}
	self := neighbour{time: c.self.Time, from: from, id: c.self.ID}
	list, err := c.collect(req, want, func(x *neighbour) bool { return compare(*x, self) > 0 })
	slices.SortFunc(list, compare)
	return list[:min(n, len(list))], err
}

var errEnough = errors.New("enough rows")

// collect returns the first rows of a search that belong, at most want of them.
func (c *neighbours) collect(req storage.RowsRequest, want int, belongs func(*neighbour) bool) (list []neighbour, err error) {
	size := 0
	for req.Limit = want + 1; ; {
		req.Cursor, err = c.a.Store.Rows(c.ctx, req, func(e *event.Event) error {
			x := neighbour{time: e.Time, id: e.ID}
			x.from, _ = strconv.ParseInt(valueOf(e, fromField), 10, 64) // 0 without a position
			if !belongs(&x) {
				return nil
			}
			x.id, x.line = strings.Clone(e.ID), append(e.AppendJSON(nil, c.keep), '\n')
			list = append(list, x)
			if size += len(x.line); size > contextBytes {
				return answer.Errorf(http.StatusBadRequest, "too_large", "the neighbours have more than %d MB; ask for fewer", contextBytes>>20)
			}
			if len(list) == want {
				return errEnough
			}
			return nil
		})
		switch {
		case errors.Is(err, errEnough):
			return list, nil
		case err != nil || req.Cursor == "":
			return list, err
		}
	}
}

func valueOf(e *event.Event, field string) string {
	v, _ := e.Get(field)
	return v
}

func byTime(a, b neighbour) int {
	return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.from, b.from), strings.Compare(a.id, b.id))
}

func byPosition(a, b neighbour) int {
	return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.time, b.time), strings.Compare(a.id, b.id))
}

func reversed(f func(a, b neighbour) int) func(a, b neighbour) int {
	return func(a, b neighbour) int { return f(b, a) }
}
