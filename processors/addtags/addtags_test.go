package addtags

import (
	"testing"

	"github.com/tallylog/tally/processors/processortest"
)

func TestKit(t *testing.T) { processortest.Check(t, "add_tags", New) }

func TestProcess(t *testing.T) {
	f := processortest.Rows(t, New)
	f(`tags: [a, b]`, `{"m":"1"}`, `{"m":"1","tags":["a","b"]}`)
	f(`tags: a`, `{"tags":["x","a"]}`, `{"tags":["x","a"]}`)
	f(`{tags: [a], target: t.x}`, `{"t":{"x":"old"}}`, `{"t":{"x":["old","a"]}}`)
	processortest.Refused(t, New)("target: x\n", "the key tags is missing")
	processortest.Refused(t, New)("{tags: a, target: _id}\n", "cannot hold tags")
}

func BenchmarkProcess(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `tags: [a, b]`), `{"message":"m","tags":["c"]}`)
}
