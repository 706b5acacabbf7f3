package otlp

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"gopkg.in/yaml.v3"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/intake"
	"github.com/tallylog/tally/server/intake/intaketest"
)

func register(g *intake.Gate, mux *http.ServeMux, wrap intake.Wrap) { (*Handler)(g).Routes(mux, wrap) }

func str(s string) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: s}}
}

func integer(n int64) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: n}}
}

func list(v ...*commonpb.AnyValue) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: &commonpb.ArrayValue{Values: v}}}
}

func dict(kv ...*commonpb.KeyValue) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_KvlistValue{KvlistValue: &commonpb.KeyValueList{Values: kv}}}
}

func kv(key string, v *commonpb.AnyValue) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: v}
}

// export makes a request of one resource and one scope.
func export(resource []*commonpb.KeyValue, scope *commonpb.InstrumentationScope, records ...*logspb.LogRecord) *collector.ExportLogsServiceRequest {
	return &collector.ExportLogsServiceRequest{ResourceLogs: []*logspb.ResourceLogs{{
		Resource:  &resourcepb.Resource{Attributes: resource},
		ScopeLogs: []*logspb.ScopeLogs{{Scope: scope, LogRecords: records}},
	}}}
}

const at = 1763773323123456789

func body(t testing.TB, asJSON bool) func(namespace string, messages ...string) []byte {
	return func(namespace string, messages ...string) []byte {
		resource := []*commonpb.KeyValue{kv("service.name", str("shop"))}
		if namespace != "" {
			resource = append(resource, kv("k8s.namespace.name", str(namespace)))
		}
		var records []*logspb.LogRecord
		for _, m := range messages {
			records = append(records, &logspb.LogRecord{TimeUnixNano: at, Body: str(m)})
		}
		return encode(t, export(resource, nil, records...), asJSON)
	}
}

func encode(t testing.TB, m proto.Message, asJSON bool) []byte {
	t.Helper()
	marshal := proto.Marshal
	if asJSON {
		marshal = protojson.Marshal
	}
	b, err := marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestContract(t *testing.T) {
	for media, asJSON := range map[string]bool{"application/x-protobuf": false, "application/json": true} {
		t.Run(media, func(t *testing.T) {
			intaketest.Contract(t, intaketest.Room{Register: register, Path: "/v1/logs", Media: media, OK: 200, Busy: 503, Body: body(t, asJSON)})
		})
	}
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

// TestRecords sends each request in both encodings, which must come out alike.
func TestRecords(t *testing.T) {
	s := intaketest.Serve(t, register)
	f := func(name string, m *collector.ExportLogsServiceRequest, want ...string) {
		t.Helper()
		for media, asJSON := range map[string]bool{"application/x-protobuf": false, "application/json": true} {
			resp, text := s.Do("POST", "/v1/logs", encode(t, m, asJSON), "Content-Type", media)
			events := s.Events()
			if resp.StatusCode != 200 || text != map[bool]string{true: "{}"}[asJSON] || resp.Header.Get("Content-Type") != media || len(events) != len(want) {
				t.Errorf("%s as %s: %d %q, %d events", name, media, resp.StatusCode, text, len(events))
				continue
			}
			for i := range events {
				if got := show(&events[i]); got != want[i] {
					t.Errorf("%s as %s: event %d is\n%s, want\n%s", name, media, i, got, want[i])
				}
			}
		}
	}
	const time = "2025-11-22T01:02:03.123456789Z"
	f("attributes of all levels", export([]*commonpb.KeyValue{kv("service.name", str("shop")), kv("k8s.namespace.name", str("prod")), kv("x", str("resource"))},
		&commonpb.InstrumentationScope{Name: "lib", Version: "1.2", Attributes: []*commonpb.KeyValue{kv("x", str("scope")), kv("y", integer(-7))}},
		&logspb.LogRecord{TimeUnixNano: at, Body: str("a \"b\"\n"), Attributes: []*commonpb.KeyValue{kv("x", str("record")), kv("message", str("m"))}}),
		time+" service.name=shop k8s.namespace.name=prod x=record otel.scope.name=lib otel.scope.version=1.2 y=-7 labels.message=m message=a \"b\"\n kubernetes.namespace=prod")
	f("severity and ids", export(nil, nil,
		&logspb.LogRecord{ObservedTimeUnixNano: at, SeverityText: "WARNING", SeverityNumber: logspb.SeverityNumber_SEVERITY_NUMBER_WARN, EventName: "ev", Body: str("")},
		&logspb.LogRecord{TimeUnixNano: at, ObservedTimeUnixNano: 1, SeverityNumber: logspb.SeverityNumber_SEVERITY_NUMBER_FATAL4},
		&logspb.LogRecord{TimeUnixNano: at, SeverityText: "x", Attributes: []*commonpb.KeyValue{kv("log.level", str("mine"))}}),
		time+" log.level=WARNING event.severity=13 event.name=ev message=", time+" log.level=fatal event.severity=24", time+" log.level=mine")
	f("bodies that are no texts", export(nil, nil,
		&logspb.LogRecord{TimeUnixNano: at, Body: dict(kv("a", list(integer(1), str("\u00e9"), &commonpb.AnyValue{})), kv("b", dict()))},
		&logspb.LogRecord{TimeUnixNano: at, Body: integer(1 << 62)},
		&logspb.LogRecord{TimeUnixNano: at, Body: &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: true}}},
		&logspb.LogRecord{TimeUnixNano: at, Body: &commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: 1.5e300}}},
		&logspb.LogRecord{TimeUnixNano: at, Body: &commonpb.AnyValue{Value: &commonpb.AnyValue_BytesValue{BytesValue: []byte("\x00\xff")}}},
		&logspb.LogRecord{TimeUnixNano: at, Body: &commonpb.AnyValue{}}),
		time+` message={"a":[1,"é",null],"b":{}}`, time+" message=4611686018427387904", time+" message=true", time+" message=1.5e+300", time+" message=AP8=", time)
	f("attributes that are no texts", export(nil, nil, &logspb.LogRecord{TimeUnixNano: at, Attributes: []*commonpb.KeyValue{
		kv("m", dict(kv("a", integer(1)), kv("b", dict(kv("c", str("d")))))), kv("l", list(integer(1), integer(2))), kv("n", nil), kv("t", &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{}}),
	}}), time+" m.a=1 m.b.c=d l=[1,2] t=false")
	f("nothing", &collector.ExportLogsServiceRequest{})
}

// TestIDs are what the two encodings write differently: bytes and hex.
func TestIDs(t *testing.T) {
	s := intaketest.Serve(t, register)
	s.Do("POST", "/v1/logs", encode(t, export(nil, nil, &logspb.LogRecord{TraceId: []byte("0123456789abcdef"), SpanId: []byte("01234567")},
		&logspb.LogRecord{TraceId: make([]byte, 16), SpanId: make([]byte, 8)}), false), "Content-Type", "application/x-protobuf")
	s.Do("POST", "/otlp/v1/logs", []byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"30313233343536373839616263646566","spanId":"3031323334353637","severityNumber":9,"timeUnixNano":5,"unknown":[{}]},
		{"traceId":"00000000000000000000000000000000","spanId":""}]}]}]}`), "Content-Type", "application/json")
	events := s.Events()
	if len(events) != 4 {
		t.Fatalf("%d events", len(events))
	}
	for i := range events {
		trace, hasTrace := events[i].Get("trace.id")
		span, hasSpan := events[i].Get("span.id")
		if i%2 == 0 && (trace != "30313233343536373839616263646566" || span != "3031323334353637") || i%2 == 1 && (hasTrace || hasSpan) {
			t.Errorf("event %d: trace %q, span %q", i, trace, span)
		}
	}
	if level, _ := events[2].Get("log.level"); level != "info" || events[2].Time != 5 {
		t.Errorf("level %q, time %d", level, events[2].Time)
	}
}

func TestPartialSuccess(t *testing.T) {
	s := intaketest.Serve(t, register)
	deep := str("x")
	for range maxDepth + 1 {
		deep = list(deep)
	}
	wide := make([]*commonpb.AnyValue, maxValues+1)
	for i := range wide {
		wide[i] = &commonpb.AnyValue{}
	}
	f := func(reason string, bad *logspb.LogRecord) {
		t.Helper()
		m := export(nil, nil, &logspb.LogRecord{Body: str("good")}, bad, &logspb.LogRecord{Body: str("too")})
		resp, text := s.Do("POST", "/v1/logs", encode(t, m, false), "Content-Type", "application/x-protobuf")
		var ans collector.ExportLogsServiceResponse
		if err := proto.Unmarshal([]byte(text), &ans); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%d, %v: %q", resp.StatusCode, err, text)
		}
		p := ans.GetPartialSuccess()
		if got := s.Messages(); got != "good too" || p.GetRejectedLogRecords() != 1 || !strings.Contains(p.GetErrorMessage(), reason) {
			t.Errorf("stored %q, %v; want reason %q", got, p, reason)
		}
		resp, text = s.Do("POST", "/v1/logs", encode(t, m, true), "Content-Type", "application/json")
		ans.Reset()
		if err := protojson.Unmarshal([]byte(text), &ans); err != nil || resp.StatusCode != 200 || ans.GetPartialSuccess().GetRejectedLogRecords() != 1 || s.Messages() != "good too" {
			t.Errorf("as JSON: %d, %v: %s", resp.StatusCode, err, text)
		}
	}
	f("too_long", &logspb.LogRecord{Body: str(strings.Repeat("x", 200_000))})
	f("", &logspb.LogRecord{Body: deep})
	f("", &logspb.LogRecord{Attributes: []*commonpb.KeyValue{kv("a", deep)}})
	s.Gate.Limits.Line = 1 << 20
	f("too_many", &logspb.LogRecord{Body: list(wide...)})

	s.Who.Namespaces = []string{"shop"}
	m := export([]*commonpb.KeyValue{kv("k8s.namespace.name", str("other"))}, nil, &logspb.LogRecord{Body: str("b")})
	m.ResourceLogs = append(m.ResourceLogs, export([]*commonpb.KeyValue{kv("k8s.namespace.name", str("shop"))}, nil, &logspb.LogRecord{Body: str("a")}).ResourceLogs...)
	resp, text := s.Do("POST", "/v1/logs", encode(t, m, true), "Content-Type", "application/json")
	if resp.StatusCode != 200 || !strings.Contains(text, intake.OutOfScope) || s.Messages() != "a" {
		t.Errorf("half out of scope: %d %s", resp.StatusCode, text)
	}
	s.Who.Namespaces, s.Who.Clusters = nil, []string{"prod"}
	m = export([]*commonpb.KeyValue{kv("k8s.cluster.name", str("test"))}, nil, &logspb.LogRecord{Body: str("b")})
	m.ResourceLogs = append(m.ResourceLogs, export([]*commonpb.KeyValue{kv("k8s.cluster.name", str("prod"))}, nil, &logspb.LogRecord{Body: str("a")}).ResourceLogs...)
	resp, text = s.Do("POST", "/v1/logs", encode(t, m, true), "Content-Type", "application/json")
	if resp.StatusCode != 200 || !strings.Contains(text, intake.OutOfScope) || s.Messages() != "a" {
		t.Errorf("half in a foreign cluster: %d %s", resp.StatusCode, text)
	}
}

// TestErrors are google.rpc.Status in the encoding of the request.
func TestErrors(t *testing.T) {
	s := intaketest.Serve(t, register)
	f := func(body, media string, code int, want int32) {
		t.Helper()
		resp, text := s.Do("POST", "/v1/logs", []byte(body), "Content-Type", media)
		var st status.Status
		unmarshal := proto.Unmarshal
		if resp.Header.Get("Content-Type") == "application/json" {
			unmarshal = protojson.Unmarshal
		}
		if err := unmarshal([]byte(text), &st); err != nil || resp.StatusCode != code || st.Code != want || st.Message == "" {
			t.Errorf("%q: %d %v, %v; want %d and code %d", body, resp.StatusCode, &st, err, code, want)
		}
		if s.Count() != 0 {
			t.Errorf("%q: something is stored", body)
		}
	}
	f("\x0a\x05\x12", "application/x-protobuf", 400, 3)
	f(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}`, "application/json", 400, 3)
	f(`{"resourceLogs":{}}`, "application/json", 400, 3)
	f(`{}`, "text/plain", 415, 3)
	f(strings.Repeat("x", 2<<20), "application/x-protobuf", 413, 8)
	s.Room = 0
	f(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}`, "application/json", 503, 14)
	s.Who.Namespaces = []string{"a", "b"}
	f(string(body(t, false)("", "m")), "application/x-protobuf", 403, 7)
}

// TestSample: 1,000 records sent as the exporter of README.md's configuration would, once each.
func TestSample(t *testing.T) {
	var config struct {
		Exporters struct {
			OTLPHTTP struct{ Endpoint, Compression string }
		}
	}
	if err := yaml.Unmarshal([]byte(intaketest.Sample(t, "yaml")), &config); err != nil {
		t.Fatal(err)
	}
	out := config.Exporters.OTLPHTTP
	u, err := url.Parse(out.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	s := intaketest.Serve(t, register)
	var messages []string
	for i := range 1000 {
		messages = append(messages, fmt.Sprint("line ", i))
	}
	for i := 0; i < len(messages); i += 100 {
		resp, text := s.Do("POST", u.Path+"/v1/logs", intaketest.Gzip(body(t, false)("prod", messages[i:i+100]...)), "Content-Type", "application/x-protobuf", "Content-Encoding", out.Compression)
		if resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, text)
		}
	}
	seen := map[string]int{}
	for _, e := range s.Events() {
		m, _ := e.Get("message")
		seen[m]++
		if name, _ := e.Get("service.name"); name != "shop" || e.Time != at {
			t.Fatalf("event %s", show(&e))
		}
	}
	for _, m := range messages {
		if seen[m] != 1 {
			t.Errorf("%q came %d times", m, seen[m])
		}
	}
}

// FuzzEncodings holds that a request which protobuf reads comes out of both encodings alike, and that nothing else is worse than an
// error.
func FuzzEncodings(f *testing.F) {
	f.Add(encode(f, export([]*commonpb.KeyValue{kv("a", str("b"))}, &commonpb.InstrumentationScope{Name: "s"}, &logspb.LogRecord{Body: dict(kv("c", list(integer(3))))}), false))
	f.Add([]byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"},"severityNumber":"SEVERITY_NUMBER_INFO2"}]}]}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		walk(in, walkProto, &protoReader{})
		if json.Valid(in) {
			walk(in, walkJSON, &jsonReader{})
		}
		var m collector.ExportLogsServiceRequest
		if proto.Unmarshal(in, &m) != nil {
			return
		}
		for _, r := range m.ResourceLogs {
			for _, s := range r.GetScopeLogs() {
				for _, l := range s.GetLogRecords() {
					l.TraceId, l.SpanId = nil, nil // written differently: TestIDs
				}
			}
		}
		asJSON, err := protojson.Marshal(&m)
		if err != nil {
			return
		}
		asProto, err := proto.MarshalOptions{Deterministic: true}.Marshal(&m)
		if err != nil {
			return
		}
		if a, b := walk(asProto, walkProto, &protoReader{}), walk(asJSON, walkJSON, &jsonReader{}); a != b {
			t.Fatalf("%s\nas protobuf %s\nas JSON %s", asJSON, a, b)
		}
	})
}

// walk shows all records of a body.
func walk(body []byte, w walker, r reader) string {
	var out strings.Builder
	var o intake.Object
	err := w(body, func(c *common) error {
		o.Reset(nil)
		fmt.Fprintf(&out, "%v %s\n", r.common(&o, c) != nil, o.Members())
		return nil
	}, func(b []byte) error {
		rec, err := r.record(b)
		if err != nil {
			out.WriteString("rejected\n")
			return nil
		}
		o.Reset(nil)
		rec.derived(&o)
		err = rec.attributes(&o)
		fmt.Fprintf(&out, "%v %d %t %q %s\n", err != nil, rec.at(), rec.hasBody, rec.body, o.Members())
		return nil
	})
	return out.String() + fmt.Sprint(err != nil)
}
