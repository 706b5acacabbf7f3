package bulk

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/intake"
)

// Version is the version of Elasticsearch that clients are told.
const Version = "8.19.0"

// Handler takes bulk requests and answers what clients of Elasticsearch ask before they send any.
type Handler intake.Gate

// Routes makes known all addresses that no other room could have; Root has the rest.
func (h *Handler) Routes(mux *http.ServeMux, wrap intake.Wrap) {
	bulk := dress(wrap(auth.Push, http.HandlerFunc(h.bulk)))
	mux.Handle("/_bulk", bulk)
	mux.Handle("/_bulk/{$}", bulk)
	facade := h.facade(wrap)
	for _, under := range []string{"_license", "_xpack", "_cluster", "_template", "_index_template", "_component_template", "_ilm", "_ingest", "_alias", "_cat"} {
		mux.Handle("/"+under, facade)
		mux.Handle("/"+under+"/", facade)
	}
}

// Root is the handler for "/": it takes "/" from clients of Elasticsearch and the addresses that begin with the name of an
// index, and leaves everything else to page.
func (h *Handler) Root(wrap intake.Wrap, page http.Handler) http.Handler {
	bulk := dress(wrap(auth.Push, http.HandlerFunc(h.bulk)))
	facade := h.facade(wrap)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := strings.TrimSuffix(r.URL.EscapedPath(), "/"); {
		case strings.HasSuffix(path, "/_bulk") && strings.Count(path, "/") <= 3:
			bulk.ServeHTTP(w, r)
		case strings.Count(path, "/") <= 1 && IsClient(r), strings.HasPrefix(path, "/_"):
			facade.ServeHTTP(w, r)
		default:
			page.ServeHTTP(w, r)
		}
	})
}

// IsClient tells whether "/", or an address of one name behind it, is asked for by a client of Elasticsearch and not by a
// browser: it brings credentials of its own or wants JSON, and does not accept HTML.
func IsClient(r *http.Request) bool {
	accept := strings.Join(r.Header.Values("Accept"), ",")
	if strings.Contains(accept, "text/html") {
		return false
	}
	return r.Header.Get("Authorization") != "" || strings.Contains(accept, "json") || r.Method == http.MethodPut
}

// dress puts on every answer the header by which clients know Elasticsearch, and makes of an API key (base64 of "id:secret", of
// which the secret is a token) what the rest of the server knows: Basic credentials are written the same.
func dress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		if scheme, key, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "ApiKey") && len(r.Header["Authorization"]) == 1 {
			r = r.Clone(r.Context())
			r.Header.Set("Authorization", "Basic "+key)
		}
		next.ServeHTTP(w, r)
	})
}

// failure is an error in the shape of Elasticsearch, with its HTTP status.
type failure struct {
	status       int
	kind, reason string
}

func (f *failure) Error() string { return f.reason }

func refuse(status int, kind, format string, args ...any) error {
	return &failure{status, kind, fmt.Sprintf(format, args...)}
}

// fail answers with err as Elasticsearch would.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	var f *failure
	var e *answer.Error
	retry, busy := intake.Busy(err)
	switch {
	case errors.As(err, &f):
	case busy:
		w.Header().Set("Retry-After", strconv.Itoa(retry))
		f = &failure{http.StatusTooManyRequests, "es_rejected_execution_exception", err.Error()}
	case errors.As(err, &e):
		kind := "illegal_argument_exception"
		if e.Status == http.StatusForbidden || e.Status == http.StatusUnauthorized {
			kind = "security_exception"
		}
		f = &failure{e.Status, kind, e.Message}
	default:
		f = &failure{http.StatusInternalServerError, "exception", "internal error; the server's log has the reason"}
	}
	cause := map[string]any{"type": f.kind, "reason": f.reason}
	whole := map[string]any{"type": f.kind, "reason": f.reason, "root_cause": []any{cause}}
	send(w, r, f.status, map[string]any{"error": whole, "status": f.status})
}

// send answers with v in the media type that r asks for.
func send(w http.ResponseWriter, r *http.Request, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		answer.Fail(w, err)
		return
	}
	contentType(w, r)
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// compatible is the media type of clients of version 8.
const compatible = "application/vnd.elasticsearch+json"

func contentType(w http.ResponseWriter, r *http.Request) {
	kind := "application/json"
	if strings.Contains(strings.Join(r.Header.Values("Accept"), ","), compatible) {
		kind = compatible + ";compatible-with=8"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
}

// checkMedia refuses, as Elasticsearch does with 406, a body that does not say that it is JSON.
func checkMedia(r *http.Request) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil {
		switch kind {
		case "application/json", "application/x-ndjson", compatible, "application/vnd.elasticsearch+x-ndjson":
			return nil
		}
	}
	return refuse(http.StatusNotAcceptable, "media_type_header_exception", "Content-Type header [%.80s] is not supported", r.Header.Get("Content-Type"))
}
