package kv

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tallylog/tally/event"
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
	f(`{}`, `{"message":"some words then a=1 and more words b=\"2\"c=\"3\" end"}`, `{"message":"some words then a=1 and more words b=\"2\"c=\"3\" end","a":"1","b":"2","c":"3"}`)
	f(`{value_split: ": ", field_split: ", "}`, `{"message":"a: 1, b: x y, c"}`, `{"message":"a: 1, b: x y, c","a":"1","b":"x y"}`)
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

// BenchmarkDense is text of quoted values without a space between; its time an event must grow as its length does.
func BenchmarkDense(b *testing.B) {
	for _, n := range []int{1 << 10, 1 << 20} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := processortest.Make(b, New, `{ignore_failure: true, include_keys: [z]}`)
			e := event.Event{Fields: []event.Field{{Name: "message", Value: strings.Repeat(`a="b"`, n/5)}}}
			b.SetBytes(int64(n))
			for b.Loop() {
				if _, err := p.Process(&e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkProcess(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `{}`), `{"message":"time=2024-01-02T03:04:05Z level=info msg=\"request done\" status=200 path=/x/y took=12ms user=n"}`)
}
