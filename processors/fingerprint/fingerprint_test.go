package fingerprint

import (
	"testing"

	"github.com/tallylog/tally/processors/processortest"
)

func TestKit(t *testing.T) { processortest.Check(t, "fingerprint", New) }

// The hashes are those that Beats' own tests have for the same fields.
func TestProcess(t *testing.T) {
	f := processortest.Rows(t, New)
	in := `{"field1":"foo","field2":"bar","unused_field":"baz"}`
	f(`{fields: [field1, field2], method: md5}`, in, `{"field1":"foo","field2":"bar","unused_field":"baz","fingerprint":"4c45df4792f3ef850c928ec5f5232538"}`)
	f(`{fields: [field1, field2]}`, in, `{"field1":"foo","field2":"bar","unused_field":"baz","fingerprint":"1208288932231e313b369bae587ff574cd3016a408e52e7128d7bee752674003"}`)
	f(`{fields: [field2, field1, field1], target_field: x, encoding: base64, method: md5}`, in, `{"field1":"foo","field2":"bar","unused_field":"baz","x":"TEXfR5Lz74UMko7F9SMlOA=="}`)
	f(`fields: [a, b]`, `{"a":"1"}`, `error: is missing`)
	f(`fields: [a]`, `{"a":[1]}`, `error: is a list`)
	processortest.Refused(t, New)("{fields: a, method: sha3}\n", "unknown method; known here are md5")
	processortest.Refused(t, New)("{fields: a, encoding: hx}\n", "did you mean hex?")
	processortest.Refused(t, New)("{fields: a, target_field: _id}\n", "cannot hold a hash")
}

func BenchmarkProcess(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `fields: [message]`), `{"message":"a line of text that is not very long"}`)
}

func FuzzProcess(f *testing.F) {
	processortest.Fuzz(f, New, `{fields: [message, a], method: xxhash}`, "x", "\xff", "")
}
