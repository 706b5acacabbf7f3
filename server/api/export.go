package api

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// everything is a limit that no store reaches.
const everything = 1 << 40

// export streams all rows of a search as a file. It may take as long as its reader likes; only the store must come up with
// the next row in time.
func (a *API) export(w http.ResponseWriter, r *http.Request) error {
	q, err := a.read(w, r, "limit", "order", "fields", "cursor", "on_error", "format", "gzip")
	if err != nil {
		return err
	}
	req, err := q.rows(everything)
	if err != nil {
		return err
	}
	format := q.Get("format")
	if format == "" {
		format = "ndjson"
	}
	switch {
	case format != "ndjson" && format != "csv":
		return bad("parameter", "format %.60q is neither ndjson nor csv", format)
	case format == "csv" && len(req.Fields) == 0:
		return bad("parameter", "CSV needs the parameter fields: the names of its columns, separated by commas")
	}
	abort, err := q.onError("abort")
	if err != nil {
		return err
	}
	packed := acceptsGzip(r)
	if v := q.Get("gzip"); v != "" {
		if packed, err = strconv.ParseBool(v); err != nil {
			return bad("parameter", "gzip %.60q is neither true nor false", v)
		}
	}
	_, end, err := a.begin(q, "export")
	if err != nil {
		return err
	}
	defer end()
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	stalled := fmt.Errorf("%w: %w", storage.ErrPartial, context.DeadlineExceeded)
	watch := time.AfterFunc(a.Timeout, func() { cancel(stalled) })
	defer watch.Stop()
	go func() {
		select {
		case <-a.Stopping:
			cancel(errStopping)
		case <-ctx.Done():
		}
	}()

	out := newStream(w, ctx, q)
	out.abort, out.gzip = abort, packed
	out.pause, out.resume = func() { watch.Stop() }, func() { watch.Reset(a.Timeout) }
	name := "tally-" + time.Now().UTC().Format("20060102T150405Z") + "." + format
	kind := "application/x-ndjson"
	if format == "csv" {
		kind = "text/csv; charset=utf-8; header=present"
		t := newTable(req.Fields)
		out.encode = t.row
		if req.Cursor == "" { // a continued export has its head already
			out.open = t.head
		} else {
			kind = "text/csv; charset=utf-8; header=absent"
		}
	}
	out.header = func(h http.Header) {
		h.Set("Content-Type", kind)
		h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
		h.Set("Vary", "Accept-Encoding")
	}
	cursor := req.Cursor
	if req.Limit > 0 {
		cursor, err = a.Store.Rows(ctx, req, func(e *event.Event) error {
			watch.Reset(a.Timeout)
			return out.write(e)
		})
	}
	if cause := context.Cause(ctx); err != nil && (cause == stalled || cause == errStopping) {
		err = cause
	}
	return out.end(cursor, err)
}

// errStopping ends an export when the server stops: it could hold that up for hours.
var errStopping error = &answer.Error{Status: http.StatusServiceUnavailable, Code: "stopping", Message: "the server is stopping; continue from the cursor", RetryAfter: 5}

// acceptsGzip tells whether the header Accept-Encoding names gzip, and not with q=0 (RFC 9110, 12.5.3).
func acceptsGzip(r *http.Request) bool {
	for _, coding := range strings.Split(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q, found := strings.CutPrefix(strings.TrimSpace(weight), "q=")
			n, err := strconv.ParseFloat(q, 64)
			return !found || err == nil && n > 0
		}
	}
	return false
}

// table writes events as CSV (RFC 4180, with LF at the ends of lines), one column for each field.
type table struct {
	fields []string
	record []string
	line   bytes.Buffer
	csv    *csv.Writer
}

func newTable(fields []string) *table {
	t := &table{fields: fields, record: make([]string, len(fields))}
	t.csv = csv.NewWriter(&t.line)
	return t
}

func (t *table) head(b []byte) []byte { return t.write(b, t.fields) }

func (t *table) row(b []byte, e *event.Event) []byte {
	for i, f := range t.fields {
		switch f {
		case query.ID:
			t.record[i] = e.ID
		case event.Timestamp:
			t.record[i] = event.FormatTime(e.Time)
		default:
			t.record[i], _ = e.Get(f)
		}
	}
	return t.write(b, t.record)
}

func (t *table) write(b []byte, record []string) []byte {
	if len(record) == 1 && record[0] == "" {
		return append(b, '"', '"', '\n') // an empty line would be no record
	}
	t.line.Reset()
	_ = t.csv.Write(record) // a buffer takes everything
	t.csv.Flush()
	return append(b, t.line.Bytes()...)
}
