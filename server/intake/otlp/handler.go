package otlp

import (
	"errors"
	"mime"
	"net/http"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/intake"
)

// Handler takes export requests.
type Handler intake.Gate

// Routes makes the addresses known.
func (h *Handler) Routes(mux *http.ServeMux, wrap intake.Wrap) {
	mux.Handle("POST /v1/logs", wrap(auth.Push, h))
	mux.Handle("POST /otlp/v1/logs", wrap(auth.Push, h))
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g := (*intake.Gate)(h)
	enc, err := encodingOf(r)
	q := &request{max: g.Limits.Line}
	if err == nil {
		err = q.export(g, enc, w, r)
	}
	if err != nil {
		fail(w, enc, g.Refusal(r, err))
		return
	}
	succeed(w, enc, q.rejected, q.reason)
}

// walker goes through all records of a body. shared is called with the attributes of resource and scope before record is with each
// record of that scope. Any error but of those two means that the body is broken.
type walker func(body []byte, shared func(*common) error, record func([]byte) error) error

// common is what the records of a scope have in common, each in the encoding of the request; nil for none.
type common struct{ resource, scope []byte }

// encoding is one of the two encodings.
type encoding struct {
	json bool
	// valid tells whether walk may be called; nil for always.
	valid func([]byte) bool
	walk  walker
	// reader makes what reads the parts of a record.
	reader func() reader
}

// reader reads resources, scopes and records. Its errors reject the record.
type reader interface {
	// common adds the attributes of a resource or a scope, and the name and version of a scope.
	common(o *intake.Object, c *common) error
	// record reads one record; attributes are added to o by the function in it.
	record(b []byte) (*logRecord, error)
}

func encodingOf(r *http.Request) (encoding, error) {
	text := r.Header.Get("Content-Type")
	kind, _, err := mime.ParseMediaType(text)
	switch {
	case err == nil && kind == "application/x-protobuf":
		return encoding{walk: walkProto, reader: func() reader { return &protoReader{} }}, nil
	case err == nil && kind == "application/json":
		return encoding{json: true, valid: intake.ValidJSON, walk: walkJSON, reader: func() reader { return &jsonReader{} }}, nil
	}
	return encoding{json: true}, answer.Errorf(http.StatusUnsupportedMediaType, "media_type", "Content-Type %.80q is not known; use application/x-protobuf or application/json", text)
}

// maxCommon bounds the attributes of resource and scope, in bytes of JSON: each record is stored with all of them.
const maxCommon = 256 << 10

// request is one export under way.
type request struct {
	in      *intake.Request
	max     int
	out     *intake.Batcher
	reader  reader
	decoder event.Decoder
	object  intake.Object
	prefix  []byte // members of resource and scope
	bad     error  // why the records of the scope are rejected

	records, rejected, scoped int
	reason                    string
}

func (q *request) export(g *intake.Gate, enc encoding, w http.ResponseWriter, r *http.Request) error {
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
	if enc.valid != nil && !enc.valid(body) {
		return answer.Errorf(http.StatusBadRequest, "body", "the body is not valid JSON")
	}
	// Once through it all first, so that nothing of a broken body is stored.
	if err := enc.walk(body, func(*common) error { return nil }, func([]byte) error { return nil }); err != nil {
		return answer.Errorf(http.StatusBadRequest, "body", "the body is no export request: %v", err)
	}
	q.in, q.out, q.reader = in, in.Batcher(), enc.reader()
	if err := enc.walk(body, q.shared, q.record); err != nil {
		return err
	}
	if err := q.out.Flush(); err != nil {
		return err
	}
	if q.scoped > 0 && q.scoped == q.records {
		return intake.ErrOutOfScope
	}
	return nil
}

func (q *request) shared(c *common) error {
	q.object.Reset(nil)
	q.bad = nil
	if len(c.resource)+len(c.scope) > q.max {
		q.bad = errTooLong
	} else {
		q.bad = q.reader.common(&q.object, c)
	}
	if q.bad == nil && q.object.Len() > maxCommon {
		q.bad = errTooLong
	}
	q.prefix = append(q.prefix[:0], q.object.Members()...)
	return nil
}

var errTooLong = errors.New("too_long")

func (q *request) record(b []byte) error {
	q.records++
	e, size, err := q.event(b)
	if err == nil {
		return q.out.Add(e, size, 0)
	}
	if q.rejected++; q.rejected == 1 {
		q.reason = err.Error()
	}
	return nil
}

// event makes an event of a record; its errors reject the record.
func (q *request) event(b []byte) (e event.Event, size int, err error) {
	if q.bad != nil {
		return e, 0, q.bad
	}
	if len(b) > q.max {
		return e, 0, errTooLong
	}
	rec, err := q.reader.record(b)
	if err != nil {
		return e, 0, err
	}
	q.object.Reset(q.prefix)
	rec.derived(&q.object)
	if err := rec.attributes(&q.object); err != nil {
		return e, 0, err
	}
	if rec.hasBody {
		q.object.Text(event.Message, rec.body)
	}
	size = q.object.Len()
	if e, err = q.decoder.Decode(q.object.Bytes()); err != nil {
		return e, 0, err
	}
	e.Time, e.Position, e.Identity = rec.at(), ledger.Position{}, ""
	intake.NameField(&e, intake.NamespaceField, "k8s.namespace.name")
	intake.NameField(&e, intake.ClusterField, "k8s.cluster.name")
	if !intake.InScope(q.in.Principal, &e) {
		q.scoped++
		return e, 0, errors.New(intake.OutOfScope)
	}
	return e, size, nil
}
