package changecase

import (
	"testing"

	"github.com/tallylog/tally/processors/processortest"
)

func TestKit(t *testing.T) { processortest.Check(t, "lowercase", NewLower) }

func TestProcess(t *testing.T) {
	lower, upper := processortest.Rows(t, NewLower), processortest.Rows(t, NewUpper)
	lower(`fields: [a, b]`, `{"a":"ÄB","b":"C","c":"D"}`, `{"a":"äb","b":"c","c":"D"}`)
	upper(`fields: a`, `{"a":"äb","n":1}`, `{"a":"ÄB","n":1}`)
	lower(`fields: [a, z]`, `{"a":"A"}`, `error: "z" is missing`)
	lower(`{fields: [a, z], ignore_missing: true}`, `{"a":"A"}`, `{"a":"a"}`)
	processortest.Refused(t, NewLower)("{}\n", "the key fields is missing")
}

func BenchmarkProcess(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, NewLower, `fields: a`), `{"message":"m","a":"ERROR"}`)
}

func FuzzProcess(f *testing.F) {
	processortest.Fuzz(f, NewLower, `fields: message`, "ABC", "\xff", "İ")
}
