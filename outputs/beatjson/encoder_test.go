package beatjson

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/outputs/codec/json"
)

// content reads JSON with its numbers as they are written.
func content(t interface{ Fatalf(string, ...any) }, text []byte) map[string]any {
	d := stdjson.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

type named map[string]interface{}

type custom struct {
	A int    `struct:"a"`
	B string `struct:"b"`
}

func values() *rapid.Generator[any] {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "<&>", "\x00\x1f\"\\\n\r\t/", "\xff\xfe", "\u2028\u2029", "用户登录失败",
		"12345678\"1234567\\0123456789abcdef\x7f", strings.Repeat("x", 100) + "\xc3"}))
	leaf := rapid.OneOf(
		rapid.Map(text, func(s string) any { return s }),
		rapid.Map(rapid.Int64(), func(n int64) any { return n }),
		rapid.Map(rapid.Uint64(), func(n uint64) any { return n }),
		rapid.Map(rapid.Float64(), func(f float64) any { return f }),
		rapid.Map(rapid.Int64Range(-1<<40, 1<<40), func(n int64) any { return time.UnixMicro(n) }),
		rapid.Map(rapid.Int64Range(0, 1<<50), func(n int64) any { return common.Time(time.UnixMicro(n)) }),
		rapid.Map(rapid.SliceOf(text), func(s []string) any { return s }),
		rapid.SampledFrom([]any{nil, true, false, int(-1), int8(-8), int16(-16), int32(-32), uint(1), uint8(8), uint16(16), uint32(32), float32(0.1),
			math.NaN(), math.Inf(-1), 1e21, 1e20, 3.0, []string(nil), common.MapStr(nil), []interface{}{}, []int{1, 2}, []byte("ab"),
			named{"x": 1}, custom{1, "<b>"}, &custom{2, "c"}, map[string]string{"k": "v"}, []custom{{3, "d"}}, (*custom)(nil), time.Duration(5)}),
	)
	return rapid.Deferred(func() *rapid.Generator[any] {
		nested := rapid.Custom(func(t *rapid.T) any {
			m := map[string]any{}
			for range rapid.IntRange(0, 4).Draw(t, "n") {
				m[rapid.SampledFrom([]string{"a", "b", "c.d", "名", "\"q\"", "<"}).Draw(t, "key")] = values().Draw(t, "v")
			}
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				return m
			case 1:
				return []interface{}{m, nil, "x"}
			case 2:
				return []common.MapStr{m}
			}
			return common.MapStr(m)
		})
		return rapid.OneOf(leaf, leaf, leaf, nested)
	})
}

// Random events have the content that libbeat's own codec gives them.
func TestSameAsLibbeat(t *testing.T) {
	for _, escape := range []bool{false, true} {
		ours := New("Tallybeat", "7.17.29", escape)
		rapid.Check(t, func(r *rapid.T) {
			theirs := json.New("7.17.29", json.Config{EscapeHTML: escape})
			fields := func() common.MapStr {
				m := common.MapStr{}
				for range rapid.IntRange(0, 6).Draw(r, "n") {
					m[rapid.SampledFrom([]string{"message", "log", "kubernetes", "x.y", "host", "", "&"}).Draw(r, "key")] = values().Draw(r, "value")
				}
				return m
			}
			ev := beat.Event{Timestamp: time.Unix(0, rapid.Int64().Draw(r, "time")), Fields: fields(), Meta: fields()}
			if rapid.Bool().Draw(r, "bare") {
				ev.Meta = nil
			}
			want, err := theirs.Encode("tallybeat", &ev)
			if err != nil {
				r.Skip()
			}
			got := ours.Append([]byte("kept"), &ev)
			if !bytes.HasPrefix(got, []byte("kept")) {
				r.Fatalf("what stood in the buffer is gone: %s", got)
			}
			got = got[4:]
			if !reflect.DeepEqual(content(r, got), content(r, want)) || len(got) != len(want) {
				r.Fatalf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestMetadataOnce(t *testing.T) {
	meta := common.MapStr{"tally": common.MapStr{"source": "s"}}
	got := New("b", "7", false).Append(nil, &beat.Event{Meta: meta, Fields: common.MapStr{"@metadata": meta, "@timestamp": "x", "message": "m"}, Timestamp: time.Unix(1, 0)})
	want := `{"@timestamp":"1970-01-01T00:00:01.000Z","@metadata":{"beat":"b","type":"_doc","version":"7","tally":{"source":"s"}},"message":"m"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestSalvage(t *testing.T) {
	ev := beat.Event{Timestamp: time.Unix(1, 0), Meta: common.MapStr{"tally": common.MapStr{"source": "s"}},
		Fields: common.MapStr{"message": "the text", "bad": map[int]string{1: "x"}, "err": errors.New("boom")}}
	if _, err := json.New("7", json.Config{}).Encode("b", &ev); err == nil {
		t.Fatal("libbeat's codec takes this event, so it shows nothing")
	}
	got := content(t, New("b", "7", false).Append(nil, &ev))
	text, _ := got["error"].(map[string]any)["message"].(string)
	if got["message"] != "the text" || got["@metadata"].(map[string]any)["tally"] == nil || !strings.Contains(text, "cannot encode bad") {
		t.Errorf("got %v", got)
	}
}

func event() *beat.Event {
	return &beat.Event{
		Timestamp: time.Now(),
		Meta:      common.MapStr{"tally": common.MapStr{"source": "f:0123456789abcdef0123456789abcdef", "from": int64(123456), "to": int64(123650), "skipped": int64(0), "sum": "0123456789abcdef"}},
		Fields: common.MapStr{
			"message": strings.Repeat("GET /index.html?q=1 200 ", 9)[:193], "log": common.MapStr{"offset": int64(123456), "file": common.MapStr{"path": "/var/log/app.log"}},
			"input": common.MapStr{"type": "log"}, "ecs": common.MapStr{"version": "1.12.0"}, "host": common.MapStr{"name": "node-1"},
			"agent": common.MapStr{"id": "7b0b5d4f-0d3c-4ad1-9fd3-8ed01acb4ce8", "name": "node-1", "type": "filebeat", "version": "7.17.29", "hostname": "node-1", "ephemeral_id": "9f0d9d5a-6a54-47d4-a3f6-d77eed04d0f0"},
		},
	}
}

func BenchmarkEncode(b *testing.B) {
	b.Run("ours", func(b *testing.B) {
		e, ev, buf := New("b", "7", false), event(), []byte(nil)
		b.ReportAllocs()
		for b.Loop() {
			buf = e.Append(buf[:0], ev)
		}
		b.SetBytes(int64(len(buf)))
	})
	b.Run("libbeat", func(b *testing.B) {
		e, ev := json.New("7", json.Config{}), event()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := e.Encode("b", ev); err != nil {
				b.Fatal(err)
			}
		}
	})
}
