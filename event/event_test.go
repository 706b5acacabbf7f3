package event

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tallylog/tally/ledger"
)

func TestDecode(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		var d Decoder
		e, err := d.Decode([]byte(in))
		if err != nil {
			t.Errorf("%s: %v", in, err)
			return
		}
		var got []string
		for _, f := range e.Fields {
			got = append(got, fmt.Sprintf("%s=%s/%d", f.Name, f.Value, f.Kind))
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("%s:\n got %s\nwant %s", in, g, want)
		}
	}
	f(`{"message":"hi","n":1.50,"ok":true,"no":null}`, "message=hi/0 n=1.50/1 ok=true/2")
	f(`{"a":{"b":{"c":"x"},"d":[1,{"e":2}],"f":{}}}`, `a.b.c=x/0 a.d=[1,{"e":2}]/3 a.f={}/3`)
	f(`{"a.b":1,"a":{"b":2}}`, "a.b=2/1")
	f(`{"a":1,"a":2}`, "a=2/1")
	f("{\"a\":\"x\xffy\"}", "a=x\uFFFDy/0")
	f(`{"@metadata":{"beat":"filebeat"},"x":"y"}`, "x=y/0")
	f(`{"@timestamp":"yesterday"}`, "tally.timestamp=yesterday/0")
	f(`{"":"nameless"}`, `tally.overflow={"":"nameless"}/3`)
	f(`{"_id":"x","tally":{"source":"y"},"tally.from":3}`, "original._id=x/0 original.tally.source=y/0 original.tally.from=3/1")
	f(`{"用户":"登录失败"}`, "用户=登录失败/0")
}

func TestDecodeTime(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		var d Decoder
		e, err := d.Decode([]byte(`{"@timestamp":` + in + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := FormatTime(e.Time); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	f(`"2026-01-02T03:04:05Z"`, "2026-01-02T03:04:05.000Z")
	f(`"2026-01-02T03:04:05.123456789+01:00"`, "2026-01-02T02:04:05.123456789Z")
	f(`1494323963862`, "2017-05-09T09:59:23.862Z")
	f(`"1494323963862"`, "2017-05-09T09:59:23.862Z")
	f(`1494323963862.751`, "2017-05-09T09:59:23.862751Z")
	f(`"1494323963862.7515"`, "2017-05-09T09:59:23.8627515Z")
	f(`"2026-01-02t03:04:05z"`, "2026-01-02T03:04:05.000Z")
	f(`"2026-01-02 03:04:05.5+01:00"`, "2026-01-02T02:04:05.500Z")
	f(`"2026-01-02 03:04:05"`, "1970-01-01T00:00:00.000Z")
	f(`"14943239638.62.7"`, "1970-01-01T00:00:00.000Z")
	f(`"14943239638.-1"`, "1970-01-01T00:00:00.000Z")
	f(`1e300`, "1970-01-01T00:00:00.000Z")
}

func TestDecodePosition(t *testing.T) {
	var d Decoder
	e, err := d.Decode([]byte(`{"@metadata":{"tally":{"source":"s","from":5,"to":9,"skipped":2,"sum":"ab","part":1,"ranges":[[5,6],[7,9]]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := ledger.Position{Source: "s", From: 5, To: 9, Skipped: 2, Sum: "ab", Part: 1, Ranges: []ledger.Range{{From: 5, To: 6}, {From: 7, To: 9}}}
	if fmt.Sprint(e.Position) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", e.Position, want)
	}
	for _, bad := range []string{`{"source":"s"}`, `{"source":"s","from":1,"to":1}`, `{"source":"s","from":"1","to":2}`, `7`, `{"source":"s","from":0,"to":99999999999999999999}`, `{"source":"s","from":0,"to":9,"ranges":[[1]]}`} {
		if _, err := d.Decode([]byte(`{"@metadata":{"tally":` + bad + `}}`)); err == nil {
			t.Errorf("%s is taken for a position", bad)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	var d Decoder
	for _, in := range []string{"", "x", "[]", "7", `{"a":`, strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000)} {
		if _, err := d.Decode([]byte(in)); err == nil {
			t.Errorf("%.40q is taken for an event", in)
		} else if len(err.Error()) > 300 {
			t.Errorf("the error has %d bytes", len(err.Error()))
		}
	}
}

func TestDecodeBounds(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"message":"kept"`)
	for i := range 10_000 {
		fmt.Fprintf(&b, `,"f%d":"v%d"`, i, i)
	}
	b.WriteString(`,"` + strings.Repeat("n", 200) + `":"long name"}`)
	var d Decoder
	e, err := d.Decode([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	over, _ := e.Get(OverflowField)
	if len(e.Fields) != MaxFields+1 || !strings.Contains(over, `"f9999":"v9999"`) || !strings.Contains(over, "long name") || !json.Valid([]byte(over)) {
		t.Errorf("%d fields, overflow %.80q", len(e.Fields), over)
	}
	e, err = d.Decode([]byte(`{"message":"` + strings.Repeat("失", 1_000_000) + `","k":"v"}`))
	if err != nil {
		t.Fatal(err)
	}
	msg, _ := e.Get(Message)
	if tr, _ := e.Get(TruncatedField); tr != "true" || len(msg) > MaxEvent || len(msg) < MaxEvent-10 || !utf8.ValidString(msg) {
		t.Errorf("message of %d bytes, truncated %q", len(msg), tr)
	}
}

func TestPutDelete(t *testing.T) {
	e := Event{}
	e.Put("a.b", "1")
	e.Put("a.c", "2")
	e.Put("ab", "3")
	if e.Delete("a.x") || !e.Delete("a") || len(e.Fields) != 1 {
		t.Errorf("after delete of a: %v", e.Fields)
	}
	e.AddTag("x")
	e.AddTag("y")
	e.AddTag("x")
	if got, _ := e.Get(Tags); got != `["x","y"]` {
		t.Errorf("tags %s", got)
	}
}

func TestAppendJSON(t *testing.T) {
	e := Event{ID: "id", Time: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC).UnixNano(), Fields: []Field{{Name: "x", Value: "a\"b\\\n\x01\u2028é"}, {Name: "n", Value: "1", Kind: Number}}}
	got := string(e.AppendJSON(nil, nil))
	want := `{"_id":"id","@timestamp":"2026-01-02T03:04:05.000006Z","message":"","x":"a\"b\\\n\u0001\u2028é","n":"1"}`
	if got != want || !json.Valid([]byte(got)) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// FuzzDecode holds that whatever is accepted comes out as valid JSON within the bounds.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"@timestamp":"2026-01-02T03:04:05Z","message":"x","a":{"b":[1,2]},"@metadata":{"tally":{"source":"s","from":0,"to":1}}}`))
	f.Add([]byte("{\"\xff\":\"\xfe\"}"))
	for _, in := range controls {
		f.Add([]byte(in))
	}
	var d Decoder
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := d.Decode(b)
		if err != nil {
			return
		}
		if c := e.Control; c != nil {
			checkControl(t, c)
		}
		out := e.AppendJSON(nil, nil)
		if !json.Valid(out) || !utf8.Valid(out) {
			t.Fatalf("%q became %q", b, out)
		}
		seen := map[string]bool{}
		for _, f := range e.Fields {
			if seen[f.Name] || len(f.Name) > MaxName || f.Name == "" {
				t.Fatalf("%q has field %q twice, or too long", b, f.Name)
			}
			seen[f.Name] = true
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	line := []byte(`{"@timestamp":"2026-01-02T03:04:05.123Z","@metadata":{"beat":"tallybeat","type":"_doc","version":"7.17.29","tally":{"source":"file:1f2e3d4c5b6a79880123456789abcdef","from":123456,"to":123650,"sum":"9a8b7c6d5e4f3a2b"}},"message":"10.0.0.1 - - [02/Jan/2026:03:04:05 +0000] \"GET /index.html HTTP/1.1\" 200 1234 \"-\" \"curl/7.88.1\" some more text to make a usual line of about two hundred bytes","log":{"file":{"path":"/k8spods/1/volumes/kubernetes.io~empty-dir/applog-a-endname-b/app.log"},"offset":123456},"host":{"name":"node-1"},"agent":{"type":"tallybeat","version":"7.17.29","hostname":"node-1","ephemeral_id":"12345678-1234-1234-1234-123456789012","id":"12345678-1234-1234-1234-123456789012","name":"node-1"},"ecs":{"version":"1.12.0"},"input":{"type":"applog"}}`)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	var d Decoder
	for i := 0; i < b.N; i++ {
		if _, err := d.Decode(line); err != nil {
			b.Fatal(err)
		}
	}
}
