package includeevent

import (
	"testing"

	"github.com/tallylog/tally/processors/processortest"
)

func TestProcess(t *testing.T) {
	f := processortest.Rows(t, New)
	f(`when: {equals: {a: x}}`, `{"a":"x"}`, `{"a":"x"}`)
	f(`when: {equals: {a: x}}`, `{"b":"x"}`, `dropped`)
	processortest.Refused(t, New)("{}\n", "the key when is missing")
	processortest.Refused(t, New)("no_such_key: 1\n", "test.yml:1: no_such_key: unknown key")
	processortest.Refused(t, New)("when: {equal: {a: x}}\n", "did you mean equals?")
}

func BenchmarkProcess(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `when: {has_fields: [message]}`), `{"message":"m"}`)
}
