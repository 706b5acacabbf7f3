package bulk

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/intake"
)

// IndexField holds the name of the index that a client sent an event to.
const IndexField = "tally.index"

// itemBytes is about what an item takes in memory, its texts included.
const itemBytes = 256

// item is what becomes of one action. Its status is 0 while that is not known.
type item struct {
	op, index, id string
	status        int
	known         bool
	kind, reason  string // of the error
}

func (h *Handler) bulk(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	g := (*intake.Gate)(h)
	if r.Method != http.MethodPost && r.Method != http.MethodPut {
		w.Header().Set("Allow", "POST, PUT")
		fail(w, r, refuse(http.StatusMethodNotAllowed, "illegal_argument_exception", "Incorrect HTTP method for uri [%.80s] and method [%s], allowed: [POST, PUT]", r.URL.Path, r.Method))
		return
	}
	in, err := g.Begin(w, r)
	if err != nil {
		fail(w, r, err)
		return
	}
	defer in.End()
	q := &request{in: in, max: g.Limits.Line, out: in.Batcher(), indices: map[string]string{}}
	q.out.Fate = q.fate
	if err := q.run(r, indexOf(r.URL.EscapedPath())); err != nil {
		if !errors.As(err, new(*failure)) {
			err = g.Refusal(r, err)
		}
		fail(w, r, err)
		return
	}
	if q.err != nil {
		err := g.Refusal(r, q.err)
		if q.out.Accepted+q.out.Duplicates == 0 {
			fail(w, r, err)
			return
		}
		// Some are durable already: the client need send only the others again.
		q.giveUp(err)
	}
	if q.scoped > 0 && q.scoped == len(q.items) {
		fail(w, r, intake.ErrOutOfScope)
		return
	}
	q.answer(w, r, time.Since(began))
}

// indexOf gives the index of an escaped /{index}/_bulk or /{index}/{type}/_bulk, "" of /_bulk.
func indexOf(path string) string {
	path = strings.TrimPrefix(strings.TrimSuffix(strings.TrimSuffix(path, "/"), "/_bulk"), "/")
	index, _, _ := strings.Cut(path, "/")
	return unescape(index)
}

// request is one bulk request under way.
type request struct {
	in      *intake.Request
	max     int
	out     *intake.Batcher
	indices map[string]string // so that a name is held once
	items   []item
	scoped  int
	err     error // why nothing more is admitted
}

func (q *request) run(r *http.Request, index string) error {
	if err := checkMedia(r); err != nil {
		return err
	}
	b, err := q.in.Body()
	if err != nil {
		return err
	}
	// Once through it all first: a malformed action refuses everything, so nothing may be stored before the last is read.
	n, err := count(b, index, q.max)
	if err != nil {
		return err
	}
	if err := q.in.Grow(int64(n) * itemBytes); err != nil {
		return err
	}
	q.items = make([]item, 0, n)
	z, err := b.Reader()
	if err != nil {
		return err
	}
	defer z.Close()
	in := newReader(z, index, q.max)
	var d event.Decoder
	for {
		a, doc, tooLong, err := in.next()
		if err != nil && err != io.EOF {
			return err
		}
		if err == io.EOF {
			if q.err == nil {
				q.err = q.out.Flush()
			}
			return nil
		}
		// Every action has its item, also when nothing more is admitted: clients take one that is missing for stored.
		q.items = append(q.items, item{op: a.op, index: q.intern(a.index), id: string(a.id)})
		if q.err == nil {
			q.err = q.take(&a, doc, tooLong, &d)
		}
	}
}

// count reads all actions and returns their number, or the refusal of the request.
func count(b *intake.Body, index string, max int) (int, error) {
	z, err := b.Reader()
	if err != nil {
		return 0, err
	}
	defer z.Close()
	in := newReader(z, index, max)
	for n := 0; ; n++ {
		_, _, _, err := in.next()
		switch {
		case err == io.EOF && n == 0:
			return 0, refuse(http.StatusBadRequest, "action_request_validation_exception", "Validation Failed: 1: no requests added;")
		case err == io.EOF:
			return n, nil
		case err != nil:
			return 0, err
		case n == maxActions:
			return 0, refuse(http.StatusRequestEntityTooLarge, "illegal_argument_exception", "the request has more than %d actions; send it in parts", maxActions)
		}
	}
}

func (q *request) intern(b []byte) string {
	s, ok := q.indices[string(b)]
	if !ok {
		s = strings.ToValidUTF8(string(b), "\uFFFD")
		q.indices[string(b)] = s
	}
	return s
}

// take decodes the document of the newest item and gives it to the batcher, or decides the item's error.
func (q *request) take(a *action, doc []byte, tooLong bool, d *event.Decoder) error {
	it := &q.items[len(q.items)-1]
	switch {
	case a.op == opDelete || a.op == opUpdate:
		it.fail(http.StatusBadRequest, "illegal_argument_exception", "a log line does not change: ["+a.op+"] is not supported")
		return nil
	case !validIndex(a.index):
		it.fail(http.StatusBadRequest, "invalid_index_name_exception", "Invalid index name, must be no longer than 255 bytes and without control characters")
		return nil
	case a.hasID && len(a.id) == 0:
		it.fail(http.StatusBadRequest, "illegal_argument_exception", "if _id is specified it must not be empty")
		return nil
	case tooLong:
		it.fail(http.StatusBadRequest, "mapper_parsing_exception", fmt.Sprintf("too_long: more than %d bytes", q.max))
		return nil
	}
	e, err := d.Decode(doc)
	if err != nil {
		it.fail(http.StatusBadRequest, "mapper_parsing_exception", "failed to parse: "+err.Error())
		return nil
	}
	e.Position = ledger.Position{}
	if it.id == "" {
		it.id = e.Identity
	}
	if e.Identity = ""; it.id != "" {
		e.Identity = it.index + "\x00" + it.id
	}
	e.Put(IndexField, it.index)
	if !intake.InScope(q.in.Principal, &e) {
		q.scoped++
		it.fail(http.StatusForbidden, "security_exception", intake.OutOfScope)
		return nil
	}
	return q.out.Add(e, len(doc), len(q.items)-1)
}

func (it *item) fail(status int, kind, reason string) {
	it.status, it.kind, it.reason = status, kind, reason
}

// fate takes what became of an item's event.
func (q *request) fate(i int, known bool, id string) {
	it := &q.items[i]
	it.known = known
	switch {
	case !known:
		it.status = http.StatusCreated
		if it.id == "" {
			it.id = id
		}
	case it.op == opCreate:
		it.fail(http.StatusConflict, "version_conflict_engine_exception", "["+it.id+"]: version conflict, document already exists (current version [1])")
	default:
		it.status = http.StatusOK
	}
}

// giveUp decides the items that are open when nothing more is admitted.
func (q *request) giveUp(err error) {
	status, kind, reason := http.StatusServiceUnavailable, "exception", "internal error; the server's log has the reason"
	if _, busy := intake.Busy(err); busy {
		status, kind, reason = http.StatusTooManyRequests, "es_rejected_execution_exception", err.Error()
	}
	for i := range q.items {
		if q.items[i].status == 0 {
			q.items[i].fail(status, kind, reason)
		}
	}
}

// answer writes the answer item by item, so that it is never in memory as a whole.
func (q *request) answer(w http.ResponseWriter, r *http.Request, took time.Duration) {
	contentType(w, r)
	out := bufio.NewWriterSize(w, 32<<10)
	defer out.Flush()
	errs := false
	for i := range q.items {
		errs = errs || q.items[i].status >= 300
	}
	fmt.Fprintf(out, `{"took":%d,"errors":%t,"items":[`, took.Milliseconds(), errs)
	var b []byte
	for i := range q.items {
		if b = b[:0]; i > 0 {
			b = append(b, ',')
		}
		if _, err := out.Write(q.items[i].append(b)); err != nil {
			return // the client has gone; what is durable stays so
		}
	}
	_, _ = out.WriteString("]}")
}

// append appends the item as JSON. Numbers of shards and sequences are those of an index of one shard that nobody reads.
func (it *item) append(b []byte) []byte {
	b = append(b, `{"`...)
	b = append(b, it.op...)
	b = append(b, `":{"_index":`...)
	b = event.AppendQuoted(b, it.index)
	b = append(b, `,"_id":`...)
	b = event.AppendQuoted(b, it.id)
	switch {
	case it.status >= 300:
		b = append(b, `,"error":{"type":`...)
		b = event.AppendQuoted(b, it.kind)
		b = append(b, `,"reason":`...)
		b = event.AppendQuoted(b, it.reason)
		b = append(b, '}')
	case it.known:
		b = append(b, `,"_version":2,"result":"updated","_shards":{"total":1,"successful":1,"failed":0},"_seq_no":0,"_primary_term":1`...)
	default:
		b = append(b, `,"_version":1,"result":"created","_shards":{"total":1,"successful":1,"failed":0},"_seq_no":0,"_primary_term":1`...)
	}
	b = append(b, `,"status":`...)
	return append(strconv.AppendInt(b, int64(it.status), 10), "}}"...)
}
