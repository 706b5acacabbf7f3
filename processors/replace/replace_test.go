package replace

import (
	"testing"

	"github.com/tallylog/tally/processors/processortest"
)

func TestKit(t *testing.T) { processortest.Check(t, "replace", New) }

func TestProcess(t *testing.T) {
	f := processortest.Rows(t, New)
	f(`fields: [{field: a, pattern: '\d+', replacement: N}]`, `{"a":"x1y22"}`, `{"a":"xNyN"}`)
	f(`fields: [{field: a, pattern: '(\w)-(\w)', replacement: '$2$1'}]`, `{"a":"x-y"}`, `{"a":"yx"}`)
	f(`fields: [{field: a, pattern: 'x'}]`, `{"a":"xyx"}`, `{"a":"y"}`)
	f(`fields: [{field: a, pattern: 'x'}, {field: z, pattern: x}]`, `{"a":"xyx"}`, `error: is missing`)
	f(`{fields: [{field: z, pattern: x}], ignore_missing: true}`, `{"a":"x"}`, `{"a":"x"}`)
	f(`fields: [{field: a, pattern: 'x'}]`, `{"a":1}`, `error: is no text`)
	f(`{fields: [{field: a, pattern: 'x'}], fail_on_error: false}`, `{"a":1}`, `{"a":1}`)
	processortest.Refused(t, New)("fields:\n- field: a\n  pattern: '('\n", "test.yml:3: fields[0].pattern: error parsing regexp")
	processortest.Refused(t, New)("fields: [{field: a}]\n", "the key pattern is missing")
}

func BenchmarkProcess(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `fields: [{field: message, pattern: '\d+', replacement: N}]`), `{"message":"request 17 took 23 ms"}`)
}

func FuzzProcess(f *testing.F) {
	processortest.Fuzz(f, New, `fields: [{field: message, pattern: "(a*)(?:b|$)", replacement: "$1-${2}$$"}]`, "aab", "", "\xff", "b\na")
}

func FuzzConfig(f *testing.F) {
	processortest.FuzzConfig(f, New, `fields: [{field: message, pattern: "(a*)", replacement: "$1"}]`, `fields: [{field: message, pattern: "\\d+"}]`)
}
