package loki

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/klauspost/compress/snappy"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/intake"
)

// Handler takes push requests.
type Handler intake.Gate

// Routes makes the addresses known.
func (h *Handler) Routes(mux *http.ServeMux, wrap intake.Wrap) {
	mux.Handle("POST /loki/api/v1/push", wrap(auth.Push, h))
	mux.Handle("POST /api/prom/push", wrap(auth.Push, h))
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g := (*intake.Gate)(h)
	if err := push(g, w, r); err != nil {
		answer.Fail(w, g.Refusal(r, err))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// entry is one line of a stream. meta calls yield for each pair of its structured metadata.
type entry struct {
	time int64 // nanoseconds since 1970
	line string
	size int // bytes as sent
	meta func(yield func(name, value string)) error
}

// walker goes through all streams of a body and their entries. stream is called with the labels before entry is with the entries.
type walker func(body []byte, stream func(labels string) error, entry func(*entry) error) error

func push(g *intake.Gate, w http.ResponseWriter, r *http.Request) error {
	isJSON, err := media(r)
	if err != nil {
		return err
	}
	if !isJSON && strings.EqualFold(r.Header.Get("Content-Encoding"), "snappy") {
		r.Header.Del("Content-Encoding") // it is part of the format, and some clients say so
	}
	in, err := g.Begin(w, r)
	if err != nil {
		return err
	}
	defer in.End()
	b, err := in.Body()
	if err != nil {
		return err
	}
	body, err := in.Whole(b)
	if err != nil {
		return err
	}
	walk := walkJSON
	if !isJSON {
		walk = walkProto
		if body, err = inflate(in, body); err != nil {
			return err
		}
	}
	if isJSON && !intake.ValidJSON(body) {
		return answer.Errorf(http.StatusBadRequest, "body", "the body is not valid JSON")
	}
	// Once through it all first, so that nothing of a broken body is stored.
	if err := walk(body, func(string) error { return nil }, func(*entry) error { return nil }); err != nil {
		return answer.Errorf(http.StatusBadRequest, "body", "the body is no push request: %v", err)
	}
	q := &request{in: in, max: g.Limits.Line, out: in.Batcher()}
	if err := walk(body, q.stream, q.entry); err != nil {
		return err
	}
	if err := q.out.Flush(); err != nil {
		return err
	}
	switch {
	case q.scoped > 0 && q.scoped == q.entries:
		return intake.ErrOutOfScope
	case q.rejected > 0:
		return answer.Errorf(http.StatusBadRequest, "rejected", "%d of %d entries are rejected, the others are stored; the first: %s", q.rejected, q.entries, q.reason)
	}
	return nil
}

// media tells the format of the body. Protobuf is what Loki takes a body for that does not say what it is.
func media(r *http.Request) (isJSON bool, err error) {
	text := r.Header.Get("Content-Type")
	kind, _, err := mime.ParseMediaType(text)
	switch {
	case text == "", err == nil && kind == "application/x-protobuf":
		return false, nil
	case err == nil && kind == "application/json":
		return true, nil
	}
	return false, answer.Errorf(http.StatusUnsupportedMediaType, "media_type", "Content-Type %.80q is not known; use application/json or application/x-protobuf", text)
}

// inflate undoes snappy's block format.
func inflate(in *intake.Request, body []byte) ([]byte, error) {
	n, err := snappy.DecodedLen(body)
	if err == nil {
		if err := in.GrowWhole(int64(n)); err != nil {
			return nil, err
		}
		body, err = snappy.Decode(nil, body)
	}
	if err != nil {
		return nil, answer.Errorf(http.StatusBadRequest, "body", "the body is not compressed with snappy: %v", err)
	}
	return body, nil
}

// maxPairs bounds the structured metadata of an entry: empty pairs take a hundred times more memory than on the wire. What an
// event cannot hold of them as fields goes into its overflow (event.Decoder).
const maxPairs = 20_000

// request is one push under way.
type request struct {
	in       *intake.Request
	max      int
	out      *intake.Batcher
	decoder  event.Decoder
	object   intake.Object
	labels   []byte // members of the stream's labels
	badLabel error  // why the entries of the stream are rejected

	entries, rejected, scoped int
	reason                    string
}

func (q *request) stream(labels string) error {
	q.object.Reset(nil)
	q.badLabel = parseLabels(labels, func(name, value string) { q.object.Text(intake.FieldName(name), value) })
	q.labels = append(q.labels[:0], q.object.Members()...)
	return nil
}

func (q *request) entry(en *entry) error {
	q.entries++
	if q.badLabel != nil {
		q.reject("labels: " + q.badLabel.Error())
		return nil
	}
	if en.size > q.max {
		q.reject("too_long")
		return nil
	}
	q.object.Reset(q.labels)
	pairs := 0
	err := en.meta(func(name, value string) {
		if pairs++; pairs <= maxPairs {
			q.object.Text(intake.FieldName(name), value)
		}
	})
	if err != nil {
		return err
	}
	if pairs > maxPairs {
		q.reject("too_many: more than " + strconv.Itoa(maxPairs) + " pairs of structured metadata")
		return nil
	}
	q.object.Text(event.Message, en.line)
	size := q.object.Len()
	e, err := q.decoder.Decode(q.object.Bytes())
	if err != nil {
		q.reject(err.Error())
		return nil
	}
	e.Time, e.Position, e.Identity = en.time, ledger.Position{}, ""
	if len(q.in.Principal.Namespaces) > 0 {
		intake.NameField(&e, intake.NamespaceField, "namespace", "k8s_namespace_name")
	}
	if len(q.in.Principal.Clusters) > 0 {
		intake.NameField(&e, intake.ClusterField, "cluster", "k8s_cluster_name")
	}
	if !intake.InScope(q.in.Principal, &e) {
		q.scoped++
		q.reject(intake.OutOfScope)
		return nil
	}
	return q.out.Add(e, size, 0)
}

func (q *request) reject(reason string) {
	if q.rejected++; q.rejected == 1 {
		q.reason = reason
	}
}
