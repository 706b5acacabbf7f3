package elasticsearch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// Bounds of a page. Events above largeEvent bytes come in pages of their own, so that a page of others is never larger than mostRows of
// that size; how many rows come in one goes by how large those of the last were.
const (
	pageRows   = 2000 // of the first page
	mostRows   = 8000
	pageBytes  = 8 << 20
	largeRows  = 12
	largeEvent = 16 << 10
)

// keepOpen is how long a point in time outlives the last page asked of it: a slow reader takes its time.
const keepOpen = "5m"

// Rows is storage.Store's. It merges two walks, that of usual events and that of large ones.
func (s *Store) Rows(ctx context.Context, r storage.RowsRequest, f func(e *event.Event) error) (string, error) {
	if r.Limit <= 0 {
		return "", fmt.Errorf("cannot deliver %d rows", r.Limit)
	}
	hash := queryHash(&r)
	var last place
	any := false
	if r.Cursor != "" {
		var err error
		if last, err = parseCursor(r.Cursor, hash); err != nil {
			return "", err
		}
		any = true
	}
	left := r.Limit
	err := s.with(ctx, &r.Search, func(p *plan) error {
		w := walk{s: s, plan: p, query: p.all(), asc: r.Asc, first: min(pageRows, r.Limit+1)}
		defer w.close()
		if any {
			w.behind = &last
		}
		names := wanted(r.Fields)
		return w.run(ctx, func(e *event.Event) error {
			if left == 0 {
				return errEnough
			}
			at := placeOf(e)
			if names != nil {
				e.Fields = slices.DeleteFunc(e.Fields, func(f event.Field) bool { return !names[f.Name] })
			}
			if err := f(e); err != nil {
				return err
			}
			last, any = at, true
			left--
			return nil
		})
	})
	cursor := ""
	if any {
		cursor = formatCursor(last, hash)
	}
	switch {
	case errors.Is(err, errEnough):
		return cursor, nil
	case err != nil:
		return cursor, err
	}
	return "", nil
}

var errEnough = errors.New("enough rows")

func wanted(fields []string) map[string]bool {
	if len(fields) == 0 {
		return nil
	}
	w := map[string]bool{event.Message: true}
	for _, f := range fields {
		w[f] = true
	}
	return w
}

// walk goes over the events of a query in order.
type walk struct {
	s      *Store
	plan   *plan
	query  object
	asc    bool
	first  int    // rows of the first page; 0 for a usual one
	behind *place // of the row before the first
	pit    string
}

// stream is one of the two halves of a walk.
type stream struct {
	filter object
	large  bool
	size   int
	behind *place // of the last row that was asked for
	page   page
	pages  int
	done   bool
	coming chan page // the next page is on its way
	parser fastjson.Parser
}

// page is one answer of Elasticsearch.
type page struct {
	rows   []event.Event
	places []place
	bytes  int
	pit    string
	err    error
}

// run calls f for each event that is part of the answer.
func (w *walk) run(ctx context.Context, f func(e *event.Event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	size := w.first
	if size == 0 {
		size = pageRows
	}
	large := object{"range": object{docSize: object{"gt": largeEvent}}}
	streams := [2]*stream{{filter: not(large), size: size, behind: w.behind}, {filter: large, large: true, size: min(largeRows, size), behind: w.behind}}
	defer func() {
		cancel()
		for _, st := range streams {
			if st.coming != nil {
				<-st.coming
			}
		}
	}()
	for {
		var next *stream
		for _, st := range streams {
			if len(st.page.rows) == 0 && !st.done {
				if err := w.fill(ctx, st); err != nil {
					return err
				}
			}
			if len(st.page.rows) > 0 && (next == nil || w.compare(st.page.places[0], next.page.places[0]) < 0) {
				next = st
			}
		}
		if next == nil {
			return nil
		}
		if err := ended(ctx); err != nil {
			return err
		}
		e := &next.page.rows[0]
		next.page.rows, next.page.places = next.page.rows[1:], next.page.places[1:]
		if !w.plan.matches(e) {
			continue
		}
		if err := f(e); err != nil {
			return err
		}
	}
}

func (w *walk) compare(a, b place) int {
	if w.asc {
		return a.compare(b)
	}
	return b.compare(a)
}

// fill gets the next page. From the second page on, all are of one point in time, so that no index vanishes under the walk. Who wants a
// third page wants many: from there on the next one comes while this one is delivered.
func (w *walk) fill(ctx context.Context, st *stream) error {
	if st.coming != nil {
		st.page = <-st.coming
		st.coming = nil
	} else {
		if st.behind != nil {
			if err := w.open(ctx); err != nil {
				return err
			}
		}
		st.page = w.ask(ctx, st, w.pit)
	}
	if st.page.err != nil {
		return st.page.err
	}
	if st.page.pit != "" {
		w.pit = st.page.pit
	}
	n := len(st.page.places)
	if n < st.size {
		st.done = true
	}
	if n > 0 {
		st.behind = &st.page.places[n-1]
	}
	switch st.pages++; {
	case st.done:
		return nil
	case st.large:
		st.size = largeRows
		return nil
	case st.pages == 1:
		st.size = pageRows
	default:
		st.size = min(max(pageBytes*n/max(st.page.bytes, 1), largeRows), 2*st.size, mostRows)
	}
	if st.pages > 2 && w.pit != "" {
		coming, pit := make(chan page, 1), w.pit
		go func() { coming <- w.ask(ctx, st, pit) }()
		st.coming = coming
	}
	return nil
}

// ask gets the page of a stream that follows.
func (w *walk) ask(ctx context.Context, st *stream, pit string) (p page) {
	order := "desc"
	if w.asc {
		order = "asc"
	}
	body := object{
		"size": st.size, "track_total_hits": false, "query": and([]object{w.query}, st.filter),
		// All of it: Elasticsearch would take every document apart to leave something out.
		"_source": true,
		"sort": []object{
			{query.ElasticTime: object{"order": order, "format": "strict_date_optional_time_nanos", "numeric_type": "date_nanos"}},
			{docFrom: object{"order": order}}, {query.ElasticID: object{"order": order}},
		},
	}
	path := w.s.path("_search") + "&allow_partial_search_results=false"
	if st.behind != nil {
		body["search_after"] = []any{time.Unix(0, st.behind.time).UTC().Format(timeLayout), st.behind.from, st.behind.id}
	}
	if pit != "" {
		body["pit"] = object{"id": pit, "keep_alive": keepOpen}
		path = "/_search?allow_partial_search_results=false"
	}
	var b []byte
	if b, p.err = w.s.search(ctx, http.MethodPost, path, mustJSON(body)); p.err != nil {
		return p
	}
	v, err := st.parser.ParseBytes(b)
	if err != nil {
		p.err = fmt.Errorf("cannot understand the rows of Elasticsearch: %w", err)
		return p
	}
	hits := v.GetArray("hits", "hits")
	p.pit, p.bytes = string(v.GetStringBytes("pit_id")), len(b)
	p.rows, p.places = make([]event.Event, 0, len(hits)), make([]place, 0, len(hits))
	for _, h := range hits {
		e, err := decode(h.Get("_source"))
		if err != nil {
			p.err = err
			return p
		}
		slices.SortFunc(e.Fields, func(a, b event.Field) int { return strings.Compare(a.Name, b.Name) })
		p.rows, p.places = append(p.rows, e), append(p.places, placeOf(&e))
	}
	return p
}

// open opens a point in time.
func (w *walk) open(ctx context.Context) error {
	if w.pit != "" {
		return nil
	}
	var a struct{ ID string }
	err := w.s.c.get(ctx, http.MethodPost, "/"+url.PathEscape(w.s.alias)+"/_pit?ignore_unavailable=true&keep_alive="+keepOpen, nil, &a)
	if status(err) == http.StatusNotFound { // nothing is stored
		return nil
	}
	if err != nil {
		return searchError(ctx, err)
	}
	w.pit = a.ID
	return nil
}

// close gives up the point in time.
func (w *walk) close() {
	if w.pit == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err := w.s.c.do(ctx, http.MethodDelete, "/_pit", mustJSON(object{"id": w.pit})); err != nil {
		w.s.o.Log.Debug("a point in time stays open until its time is over", "error", err)
	}
}
