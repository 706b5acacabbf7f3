package push

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/intake"
	"github.com/tallylog/tally/server/record"
)

// sink admits everything, or waits for ever when it is full.
type sink struct {
	events []event.Event
	notes  []record.Note
	full   bool
}

func (s *sink) Admit(ctx context.Context, b *record.Batch) (admit.Result, error) {
	if s.full {
		<-ctx.Done()
		return admit.Result{}, ctx.Err()
	}
	s.events = append(s.events, b.Events...)
	s.notes = append(s.notes, b.Notes...)
	return admit.Result{Accepted: len(b.Events)}, nil
}

type rig struct {
	t    *testing.T
	sink *sink
	h    *Handler
	who  auth.Principal
}

func newRig(t *testing.T) *rig {
	s := &sink{}
	return &rig{t, s, &Handler{
		Admit: s, Budget: intake.NewBudget(64 << 20), Limits: intake.Limits{Body: 1 << 20, Inflated: 4 << 20, Line: 100_000},
		Wait: 200 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	}, auth.Principal{Name: "token:t", Role: auth.RolePush}}
}

// post returns the status and the answer.
func (r *rig) post(body []byte, header ...string) (int, string) {
	r.t.Helper()
	req := httptest.NewRequest("POST", "/api/v1/push", bytes.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	r.h.ServeHTTP(w, req.WithContext(auth.NewContext(req.Context(), r.who)))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func (r *rig) messages() string {
	var out []string
	for i := range r.sink.events {
		m, _ := r.sink.events[i].Get("message")
		out = append(out, m)
	}
	return strings.Join(out, " ")
}

func TestBodies(t *testing.T) {
	f := func(body, stored, rejected string) {
		t.Helper()
		r := newRig(t)
		code, ans := r.post([]byte(body))
		var a Answer
		if err := json.Unmarshal([]byte(ans), &a); err != nil || code != 200 {
			t.Errorf("%q: %d %s", body, code, ans)
			return
		}
		lines := ""
		for _, x := range a.Rejected {
			lines += fmt.Sprint(x.Line, " ")
		}
		if got := r.messages(); got != stored || strings.TrimSpace(lines) != rejected {
			t.Errorf("%.60q: stored %q, rejected %q; want %q and %q", body, got, lines, stored, rejected)
		}
	}
	f(`{"message":"a"}`, "a", "")
	f("{\"message\":\"a\"}\n{\"message\":\"b\"}\n", "a b", "")
	f("{\"message\":\"a\"}\r\n\r\n  \n{\"message\":\"b\"}", "a b", "")
	f("{\"message\":\"a\"}\nbad\n[1]\n7\n{\"message\":\"b\"}\n", "a b", "2 3 4")
	f(`[{"message":"a"},{"message":"b"}]`, "a b", "")
	f(" \n[ {\"message\":\"a,]\\\"\"} , 7, {\"x\":[{}],\"message\":\"b\"} ]\n", `a,]" b`, "2")
	f(`[]`, "", "")
	f(``, "", "")
	f("\uFEFF"+`{"message":"bom"}`, "bom", "")
	f(`{"message":"`+strings.Repeat("x", 200_000)+"\"}\n"+`{"message":"b"}`, "b", "1")
	f(`[{"message":"`+strings.Repeat("x", 200_000)+`"},{"message":"b"}]`, "b", "1")
	f(strings.Repeat(`{"a":`, 20_000)+"1"+strings.Repeat("}", 20_000)+"\n"+`{"message":"b"}`, "b", "1")
}

func TestPositions(t *testing.T) {
	r := newRig(t)
	code, ans := r.post([]byte("{\"message\":\"a\"}\nbad\n\n{\"message\":\"c\"}\n"), "Tally-Source", "s", "Tally-From", "40")
	if code != 200 {
		t.Fatal(code, ans)
	}
	got := ""
	for _, e := range r.sink.events {
		got += fmt.Sprintf("%s %d-%d;", e.Position.Source, e.Position.From, e.Position.To)
	}
	if got != "s 40-41;s 42-43;" {
		t.Errorf("positions %s", got)
	}
	if len(r.sink.notes) != 1 || r.sink.notes[0].Range.From != 41 || !strings.HasPrefix(r.sink.notes[0].Text, "rejected: not valid JSON") {
		t.Errorf("notes %+v", r.sink.notes)
	}
	for _, h := range [][]string{{"Tally-Source", "s"}, {"Tally-From", "1"}, {"Tally-Source", "s", "Tally-From", "-1"}, {"Tally-Source", "s", "Tally-From", "x"}, {"Tally-Source", "s", "Tally-From", "9223372036854775807"}} {
		if code, ans := r.post([]byte(`{}`), h...); code != 400 {
			t.Errorf("%v: %d %s", h, code, ans)
		}
	}
	// A position in the body cannot stand in for the one of the request.
	r.sink.events = nil
	r.post([]byte(`{"@metadata":{"tally":{"source":"other","from":0,"to":99}}}`))
	if r.sink.events[0].HasPosition() {
		t.Error("a pushed event brought a position of its own")
	}
}

// With Tally-Positions: event each event has its own position.
func TestOwnPositions(t *testing.T) {
	r := newRig(t)
	r.who.Namespaces = []string{"shop"}
	own := []string{"Tally-Positions", "event"}
	line := func(tally, namespace string) string {
		return fmt.Sprintf(`{"message":"m","kubernetes.namespace":%q,"@metadata":{"_id":"x","tally":%s}}`+"\n", namespace, tally)
	}
	body := line(`{"source":"a","from":3,"to":9,"skipped":3,"sum":"5"}`, "shop") + line(`{"source":"b","from":7,"to":8}`, "shop") +
		line("null", "shop") + line(`{"source":"a","from":9,"to":9}`, "shop") + line(`{"source":"a","from":9,"to":12}`, "other") +
		line(`{"control":"lost","source":"a","from":12,"to":20,"reason":"removed"}`, "") + line(`{"control":"status","source":"node-1","status":{"version":"1"}}`, "") + "bad\n"
	code, ans := r.post([]byte(body), own...)
	var a Answer
	if err := json.Unmarshal([]byte(ans), &a); err != nil || code != 200 || a.Accepted != 3 || a.RejectedCount != 3 {
		t.Fatal(code, ans, err)
	}
	got := ""
	for _, e := range r.sink.events {
		got += fmt.Sprintf("%s %d-%d %d %s;", e.Position.Source, e.Position.From, e.Position.To, e.Position.Skipped, e.Position.Sum)
	}
	if got != "a 3-9 3 5;b 7-8 0 ; 0-0 0 ;" {
		t.Errorf("positions %s", got)
	}
	notes := ""
	for _, n := range r.sink.notes {
		notes += fmt.Sprintf("%v %s %d-%d %.8s;", n.Kind, n.Source, n.Range.From, n.Range.To, n.Text)
	}
	if want := fmt.Sprintf("%v a 9-12 rejected;%v a 12-20 removed;%v node-1 0-0 {\"versio;", record.Lost, record.Lost, record.Status); notes != want {
		t.Errorf("notes %s, want %s", notes, want)
	}
	if code, ans := r.post([]byte(line(`{"control":"status","source":"node-1","status":{}}`, "shop"))); code != 200 || !strings.Contains(ans, errControl.Error()) {
		t.Errorf("a control record without the header: %d %s", code, ans)
	}
	for _, h := range [][]string{{"Tally-Positions", "yes"}, append([]string{"Tally-Source", "s", "Tally-From", "1"}, own...), append([]string{"Tally-From", "1"}, own...)} {
		if code, ans := r.post([]byte(`{}`), h...); code != 400 {
			t.Errorf("%v: %d %s", h, code, ans)
		}
	}
}

func TestBrokenBodies(t *testing.T) {
	r := newRig(t)
	gz := func(b []byte) []byte {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		w.Write(b)
		w.Close()
		return z.Bytes()
	}
	zs, _ := zstd.NewWriter(nil)
	good := []byte("{\"message\":\"a\"}\n{\"message\":\"b\"}\n")
	f := func(name string, body []byte, want int, header ...string) {
		t.Helper()
		r.sink.events = nil
		code, ans := r.post(body, header...)
		if code != want || want != 200 && len(r.sink.events) != 0 || want == 200 && len(r.sink.events) != 2 {
			t.Errorf("%s: %d %s, %d stored; want %d", name, code, ans, len(r.sink.events), want)
		}
	}
	f("gzip", gz(good), 200, "Content-Encoding", "gzip")
	f("zstd", zs.EncodeAll(good, nil), 200, "Content-Encoding", "zstd")
	f("two gzip members", append(gz(good[:16]), gz(good[16:])...), 200, "Content-Encoding", "gzip")
	f("deflate", good, 415, "Content-Encoding", "deflate")
	f("no gzip", good, 400, "Content-Encoding", "gzip")
	f("cut gzip", gz(good)[:20], 400, "Content-Encoding", "gzip")
	f("cut zstd", zs.EncodeAll(bytes.Repeat(good, 100), nil)[:40], 400, "Content-Encoding", "zstd")
	f("gzip bomb", gz(make([]byte, 64<<20)), 413, "Content-Encoding", "gzip")
	f("zstd bomb", zs.EncodeAll(make([]byte, 64<<20), nil), 413, "Content-Encoding", "zstd")
	f("too large", bytes.Repeat(good, 100_000), 413)
	code, ans := r.post([]byte(`[{"message":"a"},{"message":`))
	if code != 400 || !strings.Contains(ans, "after 1 events, which are stored") {
		t.Errorf("cut array: %d %s", code, ans)
	}
}

func TestScope(t *testing.T) {
	r := newRig(t)
	r.who.Namespaces = []string{"shop", "pay-*"}
	code, ans := r.post([]byte(`{"message":"a","kubernetes":{"namespace":"shop"}}
{"message":"b","kubernetes.namespace":"other"}
{"message":"c"}
{"message":"d","kubernetes":{"namespace":"pay-1"}}`))
	if code != 200 || r.messages() != "a d" {
		t.Errorf("%d %s, stored %s", code, ans, r.messages())
	}
	if code, _ := r.post([]byte(`{"message":"b","kubernetes.namespace":"other"}`)); code != 403 {
		t.Errorf("nothing but foreign events: %d, want 403", code)
	}
	r.who.Namespaces = []string{"shop"}
	r.sink.events = nil
	if code, ans := r.post([]byte(`{"message":"e"}`)); code != 200 {
		t.Errorf("an event without namespace from a principal of one: %d %s", code, ans)
	} else if ns, _ := r.sink.events[0].Get("kubernetes.namespace"); ns != "shop" {
		t.Errorf("its namespace is %q", ns)
	}
}

func TestNoSpace(t *testing.T) {
	r := newRig(t)
	r.sink.full = true
	if code, ans := r.post([]byte(`{"message":"a"}`)); code != http.StatusServiceUnavailable {
		t.Errorf("%d %s, want 503", code, ans)
	}
	if r.h.Budget.Used() != 0 {
		t.Errorf("%d bytes of the budget are not given back", r.h.Budget.Used())
	}
}

// TestGiantLine: a line of a gigabyte is rejected without being held.
func TestGiantLine(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s := newSplitter(io.MultiReader(strings.NewReader(`{"message":"`), io.LimitReader(zeros{}, 1<<30), strings.NewReader("\"}\n{}\n")), 1<<20)
	if _, _, err := s.next(); err != intake.ErrTooLong {
		t.Errorf("got %v", err)
	}
	if text, line, err := s.next(); string(text) != "{}" || line != 2 || err != nil {
		t.Errorf("behind it: %q %d %v", text, line, err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

// FuzzSplit holds that NDJSON comes out as its lines do, and that an array gives what encoding/json finds in it.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("{\"a\":1}\n\n{\"b\":2}"))
	f.Add([]byte(`[{"a":"]"},[1,2],"x\"y"]`))
	f.Fuzz(func(t *testing.T, in []byte) {
		s := newSplitter(bytes.NewReader(in), 1<<20)
		var got []string
		var err error
		for {
			var text []byte
			if text, _, err = s.next(); err != nil {
				break
			}
			got = append(got, string(text))
		}
		var want []json.RawMessage
		if trimmed := bytes.TrimLeft(bytes.TrimSpace(in), " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '[' && json.Unmarshal(trimmed, &want) == nil {
			if err != io.EOF || len(got) != len(want) {
				t.Fatalf("%q: %d elements, %v; want %d", in, len(got), err, len(want))
			}
			for i := range got {
				if got[i] != string(bytes.TrimSpace(want[i])) {
					t.Fatalf("%q: element %d is %q, want %q", in, i, got[i], want[i])
				}
			}
		}
	})
}
