package kv

import (
	"testing"

	"github.com/tallylog/tally/processors/processortest"
)

func TestKit(t *testing.T) { processortest.Check(t, "kv", New) }

func TestProcess(t *testing.T) {
	f := processortest.Rows(t, New)
	f(`{}`, `{"message":"level=info msg=\"a \\\"b\\\" c\" n=1 bare  x.y=z e="}`, `{"message":"level=info msg=\"a \\\"b\\\" c\" n=1 bare  x.y=z e=","level":"info","msg":"a \"b\" c","n":"1","x":{"y":"z"},"e":""}`)
	f(`{field: q, field_split: "&", target_prefix: url.args, exclude_keys: token}`, `{"q":"a=1&b=&token=x"}`, `{"q":"a=1&b=&token=x","url":{"args":{"a":"1","b":""}}}`)
	f(`{field_split: ", ", value_split: ": ", include_keys: [a]}`, `{"message":"a: 1, b: 2"}`, `{"message":"a: 1, b: 2","a":"1"}`)
	f(`{overwrite_keys: false}`, `{"message":"a=1 b=2","a":"0"}`, `{"message":"a=1 b=2","a":"0","b":"2"}`)
	f(`{}`, `{"message":"a=\"open b=2"}`, `{"message":"a=\"open b=2","a":"\"open","b":"2"}`)
	f(`{}`, `{"message":"nothing here"}`, `error: no pair`)
	f(`{}`, `{"a":"x"}`, `error: is missing`)
	f(`ignore_missing: true`, `{"a":"x"}`, `{"a":"x"}`)
	f(`ignore_failure: true`, `{"message":"x"}`, `{"message":"x"}`)
	f(`{}`, `{"message":"message=x"}`, `{"message":"x"}`)
	processortest.Refused(t, New)("field_split: ''\n", "neither empty")
}

func FuzzProcess(f *testing.F) {
	f.Add(`a=1 b="c d" e`)
	p := processortest.Make(f, New, `{ignore_failure: true, target_prefix: x}`)
	f.Fuzz(func(t *testing.T, text string) {
		e := processortest.Event(t, `{"a":1}`)
		e.Put("message", text)
		if _, err := p.Process(&e); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkProcess(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `{}`), `{"message":"time=2024-01-02T03:04:05Z level=info msg=\"request done\" status=200 path=/x/y took=12ms user=n"}`)
}
