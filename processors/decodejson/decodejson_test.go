package decodejson

import (
	"testing"

	"github.com/tallylog/tally/processors/processortest"
)

func TestKit(t *testing.T) { processortest.Check(t, "decode_json_fields", New) }

func TestProcess(t *testing.T) {
	f := processortest.Rows(t, New)
	f(`target: ""`, `{"message":"{\"a\":{\"b\":[1,2]},\"n\":1.50,\"t\":true,\"z\":null}"}`, `{"message":"{\"a\":{\"b\":[1,2]},\"n\":1.50,\"t\":true,\"z\":null}","a":{"b":[1,2]},"n":1.5,"t":true}`)
	f(`target: j`, `{"message":"{\"a\":1}","j":{"old":1}}`, `{"message":"{\"a\":1}","j":{"a":1}}`)
	f(`fields: [x]`, `{"x":"{\"a\":1}"}`, `{"x":{"a":1}}`)
	f(`{target: "", overwrite_keys: true}`, `{"message":"{\"message\":\"m\",\"@timestamp\":\"2024-01-02T03:04:05Z\"}"}`, `{"message":"m","@timestamp":"2024-01-02T03:04:05.000Z"}`)
	f(`target: ""`, `{"message":"{\"message\":\"m\",\"_id\":\"x\"}"}`, `{"message":"{\"message\":\"m\",\"_id\":\"x\"}","original._id":"x"}`)
	f(`{target: j, max_depth: 2}`, `{"message":"{\"a\":\"{\\\"b\\\":1}\"}"}`, `{"message":"{\"a\":\"{\\\"b\\\":1}\"}","j":{"a":{"b":1}}}`)
	f(`target: j`, `{"message":"17"}`, `{"message":"17"}`)
	f(`target: j`, `{"message":"[1]"}`, `{"message":"[1]"}`)
	f(`{target: j, process_array: true}`, `{"message":"[1]"}`, `{"message":"[1]","j":[1]}`)
	f(`target: ""`, `{"message":"{\"a\":"}`, `error: is not valid`)
	f(`{target: "", ignore_failure: true}`, `{"message":"x"}`, `{"message":"x"}`)
	f(`{target: "", ignore_failure: true, add_error_key: true}`, `{"message":"x"}`, `{"message":"x","error":{"message":"json: the text could not be parsed"}}`)
	f(`ignore_missing: false`, `{"a":"x"}`, `error: is missing`)
}

func TestRefused(t *testing.T) {
	processortest.Refused(t, New)("max_depth: 0\n", "test.yml:1: max_depth: a number from 1")
	processortest.Refused(t, New)("target: tally.x\n", "cannot be set")
}

func FuzzProcess(f *testing.F) {
	f.Add(`{"a":{"b":["x"]}}`)
	p := processortest.Make(f, New, `{target: "", max_depth: 3, process_array: true, overwrite_keys: true}`)
	f.Fuzz(func(t *testing.T, text string) {
		e := processortest.Event(t, `{"message":"x"}`)
		e.Put("message", text)
		if _, err := p.Process(&e); err != nil {
			if now, _ := e.Get("message"); now != text {
				t.Errorf("the text %q became %q", text, now)
			}
		}
	})
}

func BenchmarkProcess(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `target: ""`),
		`{"message":"{\"level\":\"info\",\"ts\":1700000000.5,\"caller\":\"a/b.go:17\",\"msg\":\"request done\",\"status\":200,\"path\":\"/x/y\",\"took\":0.012,\"user\":{\"id\":7,\"name\":\"n\"}}"}`)
}
