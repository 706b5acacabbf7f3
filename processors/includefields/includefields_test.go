package includefields

import (
	"testing"

	"github.com/tallylog/tally/processors/processortest"
)

func TestKit(t *testing.T) { processortest.Check(t, "include_fields", New) }

func TestProcess(t *testing.T) {
	f := processortest.Rows(t, New)
	f(`fields: [a, b.c]`, `{"a":{"x":1,"y":2},"ab":1,"b":{"c":1,"d":2},"type":"t","@timestamp":"2024-01-02T03:04:05Z"}`,
		`{"a":{"x":1,"y":2},"b":{"c":1},"type":"t","@timestamp":"2024-01-02T03:04:05.000Z"}`)
	f(`fields: [z]`, `{"a":1}`, `{}`)
	processortest.Refused(t, New)("{}", "the key fields is missing")
}

func BenchmarkProcess(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `fields: [message]`), `{"message":"m","a":"c"}`)
}
