package decodecsv

import (
	"testing"

	"github.com/tallylog/tally/processors/processortest"
)

func TestKit(t *testing.T) { processortest.Check(t, "decode_csv_fields", New) }

func TestProcess(t *testing.T) {
	f := processortest.Rows(t, New)
	f(`fields: {message: x}`, `{"message":"a,\"b,c\",,d"}`, `{"message":"a,\"b,c\",,d","x":["a","b,c","","d"]}`)
	f(`fields: {message: message}`, `{"message":"a,b"}`, `{"message":["a","b"]}`)
	f(`{columns: [p, "", q.r], separator: ";", trim_leading_space: true}`, `{"message":"1; 2; 3"}`, `{"message":"1; 2; 3","p":"1","q":{"r":"3"}}`)
	f(`{fields: {message: t}, columns: [p, q]}`, `{"message":"1,2"}`, `{"message":"1,2","t":{"p":"1","q":"2"}}`)
	f(`columns: [p, q]`, `{"message":"1"}`, `error: has 1 values, 2 are wanted`)
	f(`columns: [p]`, `{"message":"1","p":"0"}`, `error: there already`)
	f(`{columns: [p], overwrite_keys: true}`, `{"message":"1","p":"0"}`, `{"message":"1","p":"1"}`)
	f(`fields: {message: x}`, `{"message":""}`, `error: the text is empty`)
	f(`fields: {a: x}`, `{"message":""}`, `error: is missing`)
	f(`{fields: {a: x}, ignore_missing: true}`, `{"message":""}`, `{"message":""}`)
	f(`{fields: {a: x}, fail_on_error: false}`, `{"message":""}`, `{"message":""}`)
	processortest.Refused(t, New)("separator: ab\n", "test.yml:1: separator")
	processortest.Refused(t, New)("columns: [_id]\n", "cannot be set")
	processortest.Refused(t, New)("columns: ['@timestamp']\n", "the processor timestamp")
}

func FuzzProcess(f *testing.F) {
	f.Add("a,\"b")
	p := processortest.Make(f, New, `fields: {message: x}`)
	f.Fuzz(func(t *testing.T, text string) {
		e := processortest.Event(t, `{"a":1}`)
		e.Put("message", text)
		_, _ = p.Process(&e)
		if now, _ := e.Get("message"); now != text {
			t.Errorf("the text %q became %q", text, now)
		}
	})
}

func BenchmarkProcess(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `columns: [a, b, c, d]`), `{"message":"one,\"two, and a half\",three,4"}`)
}
