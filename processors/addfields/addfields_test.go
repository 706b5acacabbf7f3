package addfields

import (
	"testing"

	"github.com/tallylog/tally/processors/processortest"
)

func TestKit(t *testing.T) { processortest.Check(t, "add_fields", New) }

func TestProcess(t *testing.T) {
	f := processortest.Rows(t, New)
	f(`fields: {a: 1, b: {c: x}}`, `{"m":"1"}`, `{"m":"1","fields":{"a":1,"b":{"c":"x"}}}`)
	f(`{target: "", fields: {a: 1.5, l: [1, x], t: true, d: 2024-01-02}}`, `{"a":"old"}`, `{"a":1.5,"l":[1,"x"],"t":true,"d":"2024-01-02"}`)
	f(`{target: p.q, fields: {a.b: x}}`, `{}`, `{"p":{"q":{"a":{"b":"x"}}}}`)
	f(`{target: "", fields: {a: x}}`, `{"a":{"b":1}}`, `{"a":"x"}`)
}

func TestRefused(t *testing.T) {
	f := processortest.Refused(t, New)
	f("target: x\n", "fields is missing")
	f("fields: [a]\n", "keys and values")
	f("{target: '', fields: {_id: x}}\n", "cannot be set")
	f("{target: '', fields: {'@timestamp': x}}\n", "is no time")
	f("fields: {a: }\n", "a value is wanted")
	f("fields: {a: .inf}\n", "finite")
}

func BenchmarkProcess(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `fields: {a: 1, b: x}`), `{"message":"m"}`)
}
