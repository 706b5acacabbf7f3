package split

import (
	"testing"

	"github.com/tallylog/tally/processors/processortest"
)

func TestKit(t *testing.T) { processortest.Check(t, "split", New) }

func TestProcess(t *testing.T) {
	f := processortest.Rows(t, New)
	f(`{field: a, separator: ","}`, `{"a":"x, y,"}`, `{"a":["x"," y",""]}`)
	f(`{field: a, separator: ",", trim: true, target_field: b}`, `{"a":"x, y"}`, `{"a":"x, y","b":["x","y"]}`)
	f(`{field: a, separator: ","}`, `{"b":1}`, `error: is missing`)
	f(`{field: a, separator: ",", ignore_missing: true}`, `{"b":1}`, `{"b":1}`)
	f(`{field: a, separator: ","}`, `{"a":1}`, `error: is no text`)
	processortest.Refused(t, New)("field: a\n", "the key separator is missing")
	processortest.Refused(t, New)("{field: a, separator: x, target_field: '@timestamp'}\n", "cannot hold a list")
}

func BenchmarkProcess(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `{field: message, separator: ","}`), `{"message":"a,b,c,d"}`)
}

func FuzzProcess(f *testing.F) {
	processortest.Fuzz(f, New, `{field: message, separator: ",", trim: true}`, "a, b,,c", ",", "\xff,\"", "\u2028,\x00")
}
