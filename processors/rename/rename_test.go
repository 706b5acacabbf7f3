package rename

import (
	"testing"

	"github.com/tallylog/tally/processors/processortest"
)

func TestKit(t *testing.T) { processortest.Check(t, "rename", New) }

func TestProcess(t *testing.T) {
	f := processortest.Rows(t, New)
	f(`fields: [{from: a, to: x.y}]`, `{"message":"m","a":{"b":"1","c":2}}`, `{"message":"m","x":{"y":{"b":"1","c":2}}}`)
	f(`fields: [{from: a, to: b}]`, `{"message":"m","a":[1]}`, `{"message":"m","b":[1]}`)
	f(`fields: [{from: a, to: b}, {from: c, to: d}]`, `{"a":"1"}`, `error: "c" is missing`)
	f(`{fields: [{from: a, to: b}, {from: c, to: d}], ignore_missing: true}`, `{"a":"1"}`, `{"b":"1"}`)
	f(`{fields: [{from: c, to: d}, {from: a, to: b}], fail_on_error: false}`, `{"a":"1"}`, `{"b":"1"}`)
	f(`fields: [{from: a, to: b}]`, `{"a":"1","b":{"c":"2"}}`, `error: there already`)
	f(`fields: [{from: a, to: "@timestamp"}]`, `{"a":"2024-01-02T03:04:05Z"}`, `{"@timestamp":"2024-01-02T03:04:05.000Z"}`)
	f(`fields: [{from: a, to: "@timestamp"}]`, `{"a":"soon"}`, `error: is no time`)

}

func TestRefused(t *testing.T) {
	f := processortest.Refused(t, New)
	f("ignore_missing: true\n", "the key fields is missing")
	f("fields:\n- form: a\n", "test.yml:2: fields[0].form: unknown key; known here are from, to; did you mean from?")
	f("fields: [{from: a, to: tally.source}]\n", "cannot be set")
	f(`fields: [{from: "@timestamp", to: a}]`, "copy_fields")
}

func BenchmarkProcess(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `fields: [{from: a, to: b}]`), `{"message":"m","a":"x","host":{"name":"n"}}`)
}

func FuzzConfig(f *testing.F) {
	processortest.FuzzConfig(f, New, `fields: [{from: message, to: x.y}]`, `{fields: [{from: a, to: a.b}], fail_on_error: false}`)
}
