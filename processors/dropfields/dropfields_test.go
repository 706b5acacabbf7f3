package dropfields

import (
	"testing"

	"github.com/tallylog/tally/processors/processortest"
)

func TestKit(t *testing.T) { processortest.Check(t, "drop_fields", New, true) }

func TestProcess(t *testing.T) {
	f := processortest.Rows(t, New)
	f(`fields: [a, b.c]`, `{"a":{"x":1,"y":2},"ab":1,"b":{"c":1,"d":2}}`, `{"ab":1,"b":{"d":2}}`)
	f(`fields: [z]`, `{"a":1}`, `error: "z" is missing`)
	f(`{fields: [z, a], ignore_missing: true}`, `{"a":1,"b":1}`, `{"b":1}`)
}

// TestMissing holds that a missing field does not keep the others.
func TestMissing(t *testing.T) {
	e := processortest.Event(t, `{"secret":"x","b":1}`)
	if _, err := processortest.Make(t, New, `fields: [z, secret]`).Process(&e); err == nil {
		t.Error("no failure")
	}
	if _, ok := e.Get("secret"); ok {
		t.Error("the secret is still there")
	}
}

func TestRefused(t *testing.T) {
	processortest.Refused(t, New)("ignore_missing: true\n", "the key fields is missing")
	processortest.Refused(t, New)("fields: ['@timestamp']\n", "cannot be dropped")
}

func BenchmarkProcess(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `fields: [a]`), `{"message":"m","a":"c"}`)
}
