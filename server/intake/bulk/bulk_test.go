package bulk

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/intake"
	"github.com/tallylog/tally/server/intake/intaketest"
)

// register puts the room on a mux as the server does, with a page behind it.
func register(g *intake.Gate, mux *http.ServeMux, wrap intake.Wrap) {
	h := (*Handler)(g)
	h.Routes(mux, wrap)
	mux.Handle("/", h.Root(wrap, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("page"))
	})))
}

func TestContract(t *testing.T) {
	intaketest.Contract(t, intaketest.Room{
		Register: register, Path: "/apps/_bulk", Media: "application/x-ndjson", OK: 200, Busy: 429,
		Body: func(namespace string, messages ...string) []byte {
			var b strings.Builder
			for _, m := range messages {
				fmt.Fprintf(&b, "{\"create\":{}}\n{\"message\":%q", m)
				if namespace != "" {
					fmt.Fprintf(&b, `,"kubernetes":{"namespace":%q}`, namespace)
				}
				b.WriteString("}\n")
			}
			return []byte(b.String())
		},
	})
}

// reply is the answer to a bulk request.
type reply struct {
	Errors bool
	Items  []map[string]struct {
		Index  string `json:"_index"`
		ID     string `json:"_id"`
		Status int
		Result string
		Error  struct{ Type, Reason string }
	}
	Status int
	Error  struct{ Type, Reason string }
}

// bulk sends a body and returns the answer, and its items in short.
func bulk(t *testing.T, s *intaketest.Server, path, body string) (int, reply, string) {
	t.Helper()
	resp, text := s.Do("POST", path, []byte(body), "Content-Type", "application/x-ndjson")
	var r reply
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if resp.Header.Get("X-Elastic-Product") != "Elasticsearch" {
		t.Error("X-Elastic-Product is missing")
	}
	var items []string
	for _, it := range r.Items {
		for op, x := range it {
			items = append(items, strings.TrimSpace(fmt.Sprint(op, " ", x.Status, " ", x.Result, x.Error.Type)))
		}
	}
	return resp.StatusCode, r, strings.Join(items, "; ")
}

// TestItems: each row is sent to a server of its own that has the document 1 of the index i.
func TestItems(t *testing.T) {
	f := func(body, items, stored string) {
		t.Helper()
		s := intaketest.Serve(t, register)
		bulk(t, s, "/_bulk", `{"index":{"_index":"i","_id":"1"}}`+"\n"+`{"message":"first"}`+"\n")
		s.Events()
		code, r, got := bulk(t, s, "/_bulk", body)
		if msgs := s.Messages(); code != 200 || got != items || msgs != stored {
			t.Errorf("%s\n%d %s, stored %q; want %s and %q", body, code, got, msgs, items, stored)
		}
		if r.Errors != (strings.Contains(got, "exception")) {
			t.Errorf("%s\nerrors is %t", body, r.Errors)
		}
	}
	const created, updated, conflict, broken = "201 created", "200 updated", "409 version_conflict_engine_exception", "400 mapper_parsing_exception"
	f(`{"create":{"_index":"i"}}
{"message":"a"}
`, "create "+created, "a")
	f(`{"create":{"_index":"i","_id":"1"}}
{"message":"a"}
`, "create "+conflict, "")
	f(`{"index":{"_index":"i","_id":"1"}}
{"message":"a"}
`, "index "+updated, "")
	f(`{"index":{"_index":"j","_id":"1"}}
{"message":"another index"}
`, "index "+created, "another index")
	f(`{"create":{"_index":"i","_id":"2"}}
{"message":"a"}
{"create":{"_index":"i","_id":"2"}}
{"message":"b"}
{"index":{"_index":"i","_id":"2"}}
{"message":"c"}
`, "create "+created+"; create "+conflict+"; index "+updated, "a")
	f(`{"index":{"_index":"i","op_type":"create","_id":"1"}}
{"message":"a"}
`, "create "+conflict, "")
	f(`{"create":{"_index":"i"}}
{"@metadata":{"_id":"1"},"message":"its id in the metadata"}
`, "create "+conflict, "")
	f(`{"create":{"_index":"i"}}
{"message":"a"
{"create":{"_index":"i"}}
[1]
{"create":{"_index":"i"}}

{"create":{"_index":"i"}}
{"message":"b"}
`, "create "+broken+"; create "+broken+"; create "+broken+"; create "+created, "b")
	f(`{"create":{"_index":"i"}}
{"message":"`+strings.Repeat("x", 100_000)+`"}
{"create":{"_index":"i"}}
{"message":"b"}
`, "create "+broken+"; create "+created, "b")
	f(`{"create":{"_index":"i"}}
`+strings.Repeat(`{"a":`, 5000)+"1"+strings.Repeat("}", 5000)+`
{"create":{"_index":"i"}}
{"message":"b"}
`, "create "+broken+"; create "+created, "b")
	f(`{"delete":{"_index":"i","_id":"1"}}
{"create":{"_index":"i"}}
{"message":"b"}
{"update":{"_index":"i","_id":"1"}}
{"doc":{"message":"c"}}
`, "delete 400 illegal_argument_exception; create "+created+"; update 400 illegal_argument_exception", "b")
	f(`{"create":{"_index":"i","_id":""}}
{"message":"a"}
`, "create 400 illegal_argument_exception", "")
	f(`{"create":{"_index":"`+strings.Repeat("i", 256)+`"}}
{"message":"a"}
`, "create 400 invalid_index_name_exception", "")
	f("\n"+`{"create":{"_index":"i","_type":"_doc","pipeline":"p","routing":null,"_id":7}}`+"\r\n"+`{"message":"a"}`+"\r\n\n", "create "+created, "a")
}

// TestRefused: nothing of a request with a malformed action is stored, though a good one stands before it.
func TestRefused(t *testing.T) {
	s := intaketest.Serve(t, register)
	f := func(body string, status int, kind, reason string) {
		t.Helper()
		code, r, _ := bulk(t, s, "/_bulk", body)
		if code != status || r.Status != status || r.Error.Type != kind || !strings.Contains(r.Error.Reason, reason) {
			t.Errorf("%.100s\n%d %+v; want %d %s %s", body, code, r.Error, status, kind, reason)
		}
		if n := s.Count(); n != 0 {
			t.Errorf("%.100s\n%d events are stored", body, n)
			s.Events()
		}
	}
	const good = `{"create":{"_index":"i"}}` + "\n" + `{"message":"a"}` + "\n"
	const arg, val = "illegal_argument_exception", "action_request_validation_exception"
	f("", 400, val, "no requests added")
	f("\n\n", 400, val, "no requests added")
	f(good+`{"message":"a"}`+"\n", 400, arg, "Malformed action/metadata line [3], expected one of [create, delete, index, update] but found [message]")
	f(good+`{"create":"i"}`+"\n", 400, arg, "line [3], expected START_OBJECT but found [VALUE_STRING]")
	f(good+`["create"]`+"\n", 400, arg, "line [3], expected START_OBJECT but found [START_ARRAY]")
	f(good+`create`+"\n", 400, arg, "line [3], expected START_OBJECT")
	f(good+`{}`+"\n", 400, arg, "line [3], expected one action but found 0")
	f(good+`{"create":{"_index":"i"},"index":{}}`+"\n{}\n", 400, arg, "expected one action but found 2")
	f(good+`{"create":{"_index":{"a":1}}}`+"\n{}\n", 400, arg, "expected a simple value for field [_index] but found [START_OBJECT]")
	f(good+`{"create":{"_index":"i","foo":1}}`+"\n{}\n", 400, arg, "line [3] contains an unknown parameter [foo]")
	f(good+`{"create":{}}`+"\n{}\n", 400, val, "index is missing")
	f(good+`{"create":{"_index":"i","_id":"`+strings.Repeat("x", 513)+`"}}`+"\n{}\n", 400, val, "must be no longer than 512 bytes but was: 513")
	f(good+`{"create":{"_index":"i"}}`+"\n", 400, arg, "line [3], expected a document")
	f(good+`{"create":{"_index":"i"}}`, 400, arg, "terminated by a newline")
	f(good+`{"create":{"_index":"i"}}`+"\n{}", 400, arg, "terminated by a newline")
	f(good+`{"create":{"_index":"`+strings.Repeat("x", 70_000)+`"}}`+"\n{}\n", 400, arg, "longer than 65536 bytes")

	if resp, text := s.Do("POST", "/_bulk", []byte(good), "Content-Type", "text/plain"); resp.StatusCode != 406 {
		t.Errorf("text/plain: %d %s", resp.StatusCode, text)
	}
	if resp, text := s.Do("GET", "/_bulk", nil); resp.StatusCode != 405 {
		t.Errorf("GET: %d %s", resp.StatusCode, text)
	}
	s.Gate.Limits.Inflated = 64 << 20
	many := intaketest.Gzip([]byte(strings.Repeat("{\"index\":{\"_index\":\"i\"}}\n{}\n", maxActions+1)))
	resp, text := s.Do("POST", "/_bulk", many, "Content-Type", "application/json", "Content-Encoding", "gzip")
	if resp.StatusCode != 413 || s.Count() != 0 {
		t.Errorf("too many actions: %d %.200s", resp.StatusCode, text)
	}
}

func TestPathsAndMediaTypes(t *testing.T) {
	s := intaketest.Serve(t, register)
	body := []byte("{\"index\":{}}\n{\"message\":\"a\",\"@timestamp\":\"2020-01-02T03:04:05.123456789Z\",\"a\":{\"b\":1}}\n")
	for path, index := range map[string]string{"/apps/_bulk": "apps", "/apps/_doc/_bulk": "apps", "/apps/_bulk/": "apps", "/apps%2Dx/_bulk?pipeline=p": "apps-x"} {
		for _, method := range []string{"POST", "PUT"} {
			resp, text := s.Do(method, path, body, "Content-Type", "application/vnd.elasticsearch+x-ndjson;compatible-with=8", "Accept", "application/vnd.elasticsearch+json;compatible-with=8")
			events := s.Events()
			if resp.StatusCode != 200 || len(events) != 1 {
				t.Fatalf("%s: %d %s", path, resp.StatusCode, text)
			}
			if got := resp.Header.Get("Content-Type"); got != "application/vnd.elasticsearch+json;compatible-with=8" {
				t.Errorf("Content-Type of the answer is %q", got)
			}
			e := &events[0]
			at, _ := e.Get(IndexField)
			if b, _ := e.Get("a.b"); b != "1" || at != index || event.FormatTime(e.Time) != "2020-01-02T03:04:05.123456789Z" {
				t.Errorf("%s: a.b %q, index %q, time %s", path, b, at, event.FormatTime(e.Time))
			}
			if !strings.Contains(text, `"_id":"`+e.ID+`"`) {
				t.Errorf("the answer does not name the event's id %q: %s", e.ID, text)
			}
		}
	}
	if resp, _ := s.Do("POST", "/_bulk/", append([]byte("{\"index\":{\"_index\":\"i\"}}\n{}\n"), body[:0]...), "Content-Type", "application/json"); resp.StatusCode != 200 {
		t.Errorf("/_bulk/: %d", resp.StatusCode)
	}
}

// TestSpaceEndsInTheMiddle: once a part is durable, every other item says 429; none is missing, for a client takes that for stored.
func TestSpaceEndsInTheMiddle(t *testing.T) {
	s := intaketest.Serve(t, register)
	s.Gate.Limits.Inflated = 64 << 20
	s.Room = 1
	const n = 50_000
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{\"create\":{\"_index\":\"i\",\"_id\":\"%d\"}}\n{\"message\":\"%d\"}\n", i, i)
	}
	resp, text := s.Do("POST", "/_bulk", intaketest.Gzip([]byte(b.String())), "Content-Type", "application/json", "Content-Encoding", "gzip")
	var r reply
	if err := json.Unmarshal([]byte(text), &r); err != nil || resp.StatusCode != 200 || !r.Errors || len(r.Items) != n {
		t.Fatalf("%v, %d, %d items", err, resp.StatusCode, len(r.Items))
	}
	stored := s.Count()
	for i, it := range r.Items {
		want := 201
		if i >= stored {
			want = 429
		}
		if got := it["create"]; got.Status != want || got.ID != fmt.Sprint(i) {
			t.Fatalf("item %d of %d stored: %+v", i, stored, got)
		}
	}
	if stored == 0 || stored == n {
		t.Errorf("%d are stored", stored)
	}
}
