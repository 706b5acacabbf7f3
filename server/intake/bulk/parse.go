package bulk

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"

	"github.com/valyala/fastjson"

	"github.com/tallylog/tally/server/intake"
)

// Bounds of a request, beside those that every room has.
const (
	maxActions = 250_000  // items, which the answer names one by one
	maxAction  = 64 << 10 // bytes of an action line
	maxID      = 512      // bytes, as in Elasticsearch
	maxIndex   = 255      // bytes, as in Elasticsearch
)

// action is an action line. Its texts are good until the next one is read.
type action struct {
	op        string // create, index, delete, update: one of the constants below
	index, id []byte
	hasID     bool
}

// The names of the actions, which are those of the items in the answer.
const (
	opCreate = "create"
	opIndex  = "index"
	opDelete = "delete"
	opUpdate = "update"
)

// reader reads the actions of a body, each with its document.
type reader struct {
	in     *bufio.Reader
	max    int // bytes of a document
	index  []byte
	p      fastjson.Parser
	line   int
	action []byte
	doc    []byte
}

func newReader(in io.Reader, defaultIndex string, max int) *reader {
	return &reader{in: bufio.NewReaderSize(in, 64<<10), index: []byte(defaultIndex), max: max}
}

// next returns the next action and its document, both good until the next call; delete has none. tooLong tells that the
// document was longer than allowed. At the end err is io.EOF; any other error is a refusal of the whole request.
func (r *reader) next() (a action, doc []byte, tooLong bool, err error) {
	for {
		r.line++
		if r.action, err = intake.ReadLine(r.in, r.action[:0], maxAction); err == io.EOF {
			return a, nil, false, err
		}
		if errors.Is(err, intake.ErrTooLong) {
			return a, nil, false, r.malformed("it is longer than %d bytes", maxAction)
		}
		if err != nil {
			return a, nil, false, err
		}
		if r.action[len(r.action)-1] != '\n' {
			return a, nil, false, errNoNewline
		}
		if len(bytes.TrimSpace(r.action)) > 0 {
			break
		}
	}
	if a, err = r.parse(); err != nil || a.op == opDelete {
		return a, nil, false, err
	}
	r.line++
	r.doc, err = intake.ReadLine(r.in, r.doc[:0], r.max)
	switch {
	case errors.Is(err, intake.ErrTooLong):
		return a, nil, true, nil
	case err == io.EOF:
		return a, nil, false, refuse(http.StatusBadRequest, "illegal_argument_exception", "Malformed action/metadata line [%d], expected a document on the line behind it", r.line-1)
	case err != nil:
		return a, nil, false, err
	case r.doc[len(r.doc)-1] != '\n':
		return a, nil, false, errNoNewline
	}
	return a, r.doc, false, nil
}

var errNoNewline = refuse(http.StatusBadRequest, "illegal_argument_exception", "The bulk request must be terminated by a newline [\\n]")

func (r *reader) malformed(format string, args ...any) error {
	return refuse(http.StatusBadRequest, "illegal_argument_exception", "Malformed action/metadata line [%d], "+format, append([]any{r.line}, args...)...)
}

// parse reads {"<op>":{"_index":…,"_id":…,…}}.
func (r *reader) parse() (action, error) {
	a := action{index: r.index}
	v, err := r.p.ParseBytes(bytes.TrimSpace(r.action))
	if err != nil {
		return a, r.malformed("expected START_OBJECT but it is not valid JSON")
	}
	o, err := v.Object()
	if err != nil {
		return a, r.malformed("expected START_OBJECT but found [%s]", token(v))
	}
	if o.Len() != 1 {
		return a, r.malformed("expected one action but found %d", o.Len())
	}
	o.Visit(func(key []byte, v *fastjson.Value) {
		switch string(key) {
		case opCreate:
			a.op = opCreate
		case opIndex:
			a.op = opIndex
		case opDelete:
			a.op = opDelete
		case opUpdate:
			a.op = opUpdate
		default:
			err = r.malformed("expected one of [create, delete, index, update] but found [%.40s]", key)
			return
		}
		if o, err = v.Object(); err != nil {
			err = r.malformed("expected START_OBJECT but found [%s]", token(v))
		}
	})
	if err != nil {
		return a, err
	}
	o.Visit(func(key []byte, v *fastjson.Value) {
		if err == nil {
			err = r.parameter(&a, string(key), v)
		}
	})
	if err != nil {
		return a, err
	}
	if len(a.index) == 0 {
		return a, refuse(http.StatusBadRequest, "action_request_validation_exception", "Validation Failed: 1: index is missing;")
	}
	if len(a.id) > maxID {
		return a, refuse(http.StatusBadRequest, "action_request_validation_exception", "Validation Failed: 1: id [%.40s…] is too long, must be no longer than %d bytes but was: %d;", a.id, maxID, len(a.id))
	}
	return a, nil
}

// parameter takes what an action is about. The others that Elasticsearch knows change nothing here: a pipeline is not run,
// there are no shards, no versions and no mappings.
func (r *reader) parameter(a *action, key string, v *fastjson.Value) error {
	switch v.Type() {
	case fastjson.TypeNull:
		return nil
	case fastjson.TypeObject, fastjson.TypeArray:
		if key == "dynamic_templates" || key == "_source" {
			return nil
		}
		return r.malformed("expected a simple value for field [%.40s] but found [%s]", key, token(v))
	}
	switch key {
	case "_index":
		a.index = text(v)
	case "_id":
		a.id, a.hasID = text(v), true
	case "op_type":
		if a.op == opIndex && string(text(v)) == opCreate {
			a.op = opCreate
		}
	case "_type", "pipeline", "routing", "_routing", "parent", "_parent", "version", "_version", "version_type", "_version_type", "if_seq_no", "if_primary_term",
		"retry_on_conflict", "_retry_on_conflict", "require_alias", "require_data_stream", "list_executed_pipelines", "dynamic_templates", "_source":
	default:
		return refuse(http.StatusBadRequest, "illegal_argument_exception", "Action/metadata line [%d] contains an unknown parameter [%.40s]", r.line, key)
	}
	return nil
}

// text is a simple value as it would be written in a URL.
func text(v *fastjson.Value) []byte {
	if v.Type() == fastjson.TypeString {
		b, _ := v.StringBytes()
		return b
	}
	return v.MarshalTo(nil)
}

// token is what Elasticsearch calls the beginning of a value.
func token(v *fastjson.Value) string {
	switch v.Type() {
	case fastjson.TypeObject:
		return "START_OBJECT"
	case fastjson.TypeArray:
		return "START_ARRAY"
	case fastjson.TypeString:
		return "VALUE_STRING"
	case fastjson.TypeNumber:
		return "VALUE_NUMBER"
	case fastjson.TypeNull:
		return "VALUE_NULL"
	}
	return "VALUE_BOOLEAN"
}

// validIndex tells whether an index may have that name. Elasticsearch allows less; what it has in addition to keep out (upper
// case, a few signs) has reasons that do not hold here.
func validIndex(name []byte) bool {
	if len(name) > maxIndex {
		return false
	}
	for _, c := range name {
		if c < 0x20 || c == 0x7f {
			return false
		}
	}
	return true
}
