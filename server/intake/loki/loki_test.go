package loki

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"google.golang.org/protobuf/encoding/protowire"
	"gopkg.in/yaml.v3"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/intake"
	"github.com/tallylog/tally/server/intake/intaketest"
)

func register(g *intake.Gate, mux *http.ServeMux, wrap intake.Wrap) { (*Handler)(g).Routes(mux, wrap) }

// line is an entry of a request made by hand, after push.proto.
type line struct {
	at   time.Time
	text string
	meta []string // names and values
}

func message(b []byte, num protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), m)
}

func number(b []byte, num protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), uint64(v))
}

// stream makes a StreamAdapter. With late its labels come behind its entries.
func stream(labels string, late bool, lines ...line) []byte {
	var s []byte
	if !late {
		s = message(s, 1, []byte(labels))
	}
	for _, l := range lines {
		e := message(nil, 1, number(number(nil, 1, l.at.Unix()), 2, int64(l.at.Nanosecond())))
		e = message(e, 2, []byte(l.text))
		for i := 0; i < len(l.meta); i += 2 {
			e = message(e, 3, message(message(nil, 1, []byte(l.meta[i])), 2, []byte(l.meta[i+1])))
		}
		s = message(s, 2, e)
	}
	if late {
		s = message(s, 1, []byte(labels))
	}
	return message(number(nil, 7, 1), 1, s) // and a field that nobody knows
}

var at = time.Date(2025, 11, 22, 1, 2, 3, 123456789, time.UTC)

func TestContractJSON(t *testing.T) {
	intaketest.Contract(t, intaketest.Room{
		Register: register, Path: "/loki/api/v1/push", Media: "application/json", OK: 204, Busy: 503,
		Body: func(namespace string, messages ...string) []byte {
			labels := map[string]string{"app": "x"}
			if namespace != "" {
				labels["namespace"] = namespace
			}
			var values [][]any
			for i, m := range messages {
				values = append(values, []any{fmt.Sprint(at.UnixNano() + int64(i)), m})
			}
			b, _ := json.Marshal(map[string]any{"streams": []any{map[string]any{"values": values, "stream": labels}}})
			return b
		},
	})
}

func TestContractProto(t *testing.T) {
	intaketest.Contract(t, intaketest.Room{
		Register: register, Path: "/api/prom/push", Media: "application/x-protobuf", OK: 204, Busy: 503,
		Body: func(namespace string, messages ...string) []byte {
			labels := `{app="x"}`
			if namespace != "" {
				labels = fmt.Sprintf(`{app="x", namespace=%q}`, namespace)
			}
			var lines []line
			for _, m := range messages {
				lines = append(lines, line{at: at, text: m})
			}
			return snappy.Encode(nil, stream(labels, false, lines...))
		},
	})
}

// show is an event with its time and fields.
func show(e *event.Event) string {
	var b strings.Builder
	b.WriteString(event.FormatTime(e.Time))
	for _, f := range e.Fields {
		fmt.Fprintf(&b, " %s=%s", f.Name, f.Value)
	}
	return b.String()
}

func TestEntries(t *testing.T) {
	s := intaketest.Serve(t, register)
	f := func(name string, body []byte, media string, want ...string) {
		t.Helper()
		resp, text := s.Do("POST", "/loki/api/v1/push", body, "Content-Type", media)
		events := s.Events()
		if resp.StatusCode != 204 || text != "" || len(events) != len(want) {
			t.Errorf("%s: %d %s, %d events", name, resp.StatusCode, text, len(events))
			return
		}
		for i := range events {
			if got := show(&events[i]); got != want[i] {
				t.Errorf("%s: event %d is\n%s, want\n%s", name, i, got, want[i])
			}
		}
	}
	const time = "2025-11-22T01:02:03.123456789Z"
	proto := func(b ...[]byte) []byte {
		var all []byte
		for _, x := range b {
			all = append(all, x...)
		}
		return snappy.Encode(nil, all)
	}
	const media = "application/x-protobuf"
	f("labels and metadata", proto(stream(`{app="shop", namespace="prod"}`, false, line{at, "a \"b\"\n", []string{"trace_id", "7", "app", "wins"}}, line{at, "c", nil})), media,
		time+` app=wins namespace=prod trace_id=7 message=a "b"`+"\n", time+" app=shop namespace=prod message=c")
	f("labels behind the entries, two streams", proto(stream(`{a="1"}`, true, line{at, "x", nil}), stream(`{b="2"}`, true, line{at, "y", nil})), "",
		time+" a=1 message=x", time+" b=2 message=y")
	f("names that mean something", proto(stream(`{message="m"}`, false, line{at, "x", []string{"@timestamp", "t", "@metadata", "d", "message", "n"}})), media,
		time+" labels.message=n labels.@timestamp=t labels.@metadata=d message=x")
	f("invalid UTF-8", proto(stream(`{a="1"}`, false, line{at, "x\xffy", nil})), media, time+" a=1 message=x\uFFFDy")
	f("no labels, no lines", proto(stream(`{}`, false)), media)
	js := "application/json; charset=utf-8"
	ns := fmt.Sprint(at.UnixNano())
	f("JSON", []byte(`{"streams":[{"stream":{"app":"sh\"op"},"values":[["`+ns+`","a"],[ "`+ns+`" , "b\u00e9]" , {"k":"v","n":1}]]},{"values":[],"stream":{}}],"x":[{"streams":1}]}`), js,
		time+` app=sh"op message=a`, time+` app=sh"op k=v n=1 message=bé]`)
	f("JSON of the older API", []byte(`{"streams":[{"labels":"{app=\"shop\"}","entries":[{"ts":"2025-11-22T02:02:03.123456789+01:00","line":"a"}]}]}`), js, time+" app=shop message=a")
	f("empty", []byte(`{}`), js)
}

func TestRejected(t *testing.T) {
	s := intaketest.Serve(t, register)
	f := func(body []byte, media string, status int, contains, stored string) {
		t.Helper()
		resp, text := s.Do("POST", "/loki/api/v1/push", body, "Content-Type", media)
		if got := s.Messages(); resp.StatusCode != status || !strings.Contains(text, contains) || got != stored {
			t.Errorf("%.80q: %d %s, stored %q; want %d %q and %q", body, resp.StatusCode, text, got, status, contains, stored)
		}
	}
	js := func(values string) []byte {
		return []byte(`{"streams":[{"stream":{"a":"b"},"values":[["1","good"],` + values + `]}]}`)
	}
	const media = "application/json"
	f(js(`["x","a"]`), media, 400, "not of the form", "")
	f(js(`["1"]`), media, 400, "not of the form", "")
	f(js(`["1",{}]`), media, 400, "not of the form", "")
	f(js(`["1","a",7]`), media, 400, "not of the form", "")
	f(js(`7`), media, 400, "not of the form", "")
	f([]byte(`{"streams":{}}`), media, 400, "not of the form", "")
	f([]byte(`[]`), media, 400, "not of the form", "")
	f([]byte(strings.Repeat("[", 50_000)), media, 400, "not valid JSON", "")
	f(js(`["1","`+strings.Repeat("x", 100_000)+`"]`), media, 400, "1 of 2 entries are rejected, the others are stored; the first: too_long", "good")
	s.Gate.Limits.Line = 1 << 20
	f(js(`["1","x",{`+strings.Repeat(`"a":"",`, maxPairs)+`"b":""}]`), media, 400, "too_many", "good")
	proto := func(labels string) []byte {
		return snappy.Encode(nil, append(stream(`{a="b"}`, false, line{at, "good", nil}), stream(labels, false, line{at, "bad", nil})...))
	}
	f(proto(`{a=b}`), "application/x-protobuf", 400, "labels: not of the form", "good")
	f(proto(``), "application/x-protobuf", 400, "labels: not of the form", "good")
	f(snappy.Encode(nil, message(nil, 1, []byte{0xff})), "application/x-protobuf", 400, "not a protobuf message", "")
	f([]byte("\xff\xff\xff\xff\x0f"), "application/x-protobuf", 413, "", "")
	f([]byte("x"), "text/plain", 415, "not known", "")
	resp, text := s.Do("POST", "/loki/api/v1/push", snappy.Encode(nil, stream(`{a="b"}`, false, line{at, "said so", nil})), "Content-Encoding", "snappy")
	if resp.StatusCode != 204 || s.Messages() != "said so" {
		t.Errorf("Content-Encoding snappy: %d %s", resp.StatusCode, text)
	}
}

// TestScopeByLabel: the label decides what a token may write, and nothing is added for a token without a scope.
func TestScopeByLabel(t *testing.T) {
	for label, field := range map[string]string{"namespace": intake.NamespaceField, "cluster": intake.ClusterField} {
		s := intaketest.Serve(t, register)
		body := []byte(`{"streams":[{"stream":{"` + label + `":"shop"},"values":[["1","a"]]},{"stream":{"` + label + `":"other"},"values":[["1","b"]]}]}`)
		s.Do("POST", "/loki/api/v1/push", body, "Content-Type", "application/json")
		for _, e := range s.Events() {
			if value, ok := e.Get(field); ok {
				t.Errorf("%s %q was added", field, value)
			}
		}
		if label == "namespace" {
			s.Who.Namespaces = []string{"shop"}
		} else {
			s.Who.Clusters = []string{"shop"}
		}
		resp, _ := s.Do("POST", "/loki/api/v1/push", body, "Content-Type", "application/json")
		events := s.Events()
		if resp.StatusCode != 400 || len(events) != 1 {
			t.Fatalf("%s: %d, %d events", label, resp.StatusCode, len(events))
		}
		if value, _ := events[0].Get(field); value != "shop" {
			t.Errorf("%s is %q", field, value)
		}
	}
}

// TestSample: the address in README.md's configuration is one that is served, and 1,000 lines sent there come once.
func TestSample(t *testing.T) {
	var config struct {
		Clients []struct{ URL string }
	}
	if err := yaml.Unmarshal([]byte(intaketest.Sample(t, "yaml")), &config); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(config.Clients[0].URL)
	if err != nil {
		t.Fatal(err)
	}
	s := intaketest.Serve(t, register)
	seen := map[string]int{}
	for batch := range 10 {
		var lines []line
		for i := range 100 {
			lines = append(lines, line{at.Add(time.Duration(i)), fmt.Sprint("line ", batch*100+i), nil})
		}
		body := snappy.Encode(nil, stream(`{app="shop", namespace="prod"}`, false, lines...))
		if resp, text := s.Do("POST", u.Path, body, "Content-Type", "application/x-protobuf"); resp.StatusCode != 204 {
			t.Fatalf("%d %s", resp.StatusCode, text)
		}
	}
	for _, e := range s.Events() {
		m, _ := e.Get("message")
		seen[m]++
	}
	for i := range 1000 {
		if seen[fmt.Sprint("line ", i)] != 1 {
			t.Errorf("line %d came %d times", i, seen[fmt.Sprint("line ", i)])
		}
	}
}
