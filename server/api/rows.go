package api

import (
	"net/http"

	"github.com/tallylog/tally/server/storage"
)

// rows reads what /query and /export have in common.
func (q *request) rows(limit int) (req storage.RowsRequest, err error) {
	req = storage.RowsRequest{Search: q.search, Fields: q.list("fields"), Cursor: q.Get("cursor")}
	if req.Limit, err = q.int("limit", limit, 0); err != nil {
		return req, err
	}
	switch q.Get("order") {
	case "", "desc":
	case "asc":
		req.Asc = true
	default:
		return req, bad("parameter", "order %.60q is neither desc nor asc", q.Get("order"))
	}
	return req, nil
}

// query streams rows as NDJSON.
func (a *API) query(w http.ResponseWriter, r *http.Request) error {
	q, err := a.read(w, r, "limit", "order", "fields", "cursor", "on_error")
	if err != nil {
		return err
	}
	req, err := q.rows(1000)
	if err != nil {
		return err
	}
	abort, err := q.onError("trailer")
	if err != nil {
		return err
	}
	ctx, end, err := a.begin(q, "query")
	if err != nil {
		return err
	}
	defer end()
	out := newStream(w, ctx, q)
	out.abort = abort
	cursor := req.Cursor
	if req.Limit > 0 {
		cursor, err = a.Store.Rows(ctx, req, out.write)
	}
	return out.end(cursor, err)
}
