package convert

import (
	"testing"

	"github.com/tallylog/tally/processors/processortest"
)

func TestKit(t *testing.T) { processortest.Check(t, "convert", New) }

func TestProcess(t *testing.T) {
	f := processortest.Rows(t, New)
	row := func(typ, in, want string) {
		t.Helper()
		if want[0] != 'e' {
			want = `{"a":` + want + `}`
		}
		f(`fields: [{from: a, type: `+typ+`}]`, `{"a":`+in+`}`, want)
	}
	row("long", `"17"`, `17`)
	row("long", `"0x1F"`, `31`)
	row("long", `1.9e3`, `1900`)
	row("long", `1e30`, `error: is no long`)
	row("integer", `"3000000000"`, `error: is no integer`)
	row("integer", `true`, `error: is no integer`)
	row("double", `"1.50"`, `1.5`)
	row("double", `"1e400"`, `error: is no double`)
	row("float", `"0.1"`, `0.1`)
	row("boolean", `"true"`, `true`)
	row("boolean", `"yes"`, `error: is no boolean`)
	row("string", `1.50`, `"1.50"`)
	row("string", `[1]`, `"[1]"`)
	row("ip", `"::1"`, `"::1"`)
	row("ip", `"x"`, `error: is no ip`)
	row("long", `[1]`, `error: a list`)
	f(`fields: [{from: a, to: b, type: long}]`, `{"a":"1"}`, `{"a":"1","b":1}`)
	f(`{fields: [{from: a, to: b}], mode: rename}`, `{"a":"1"}`, `{"b":"1"}`)
	f(`fields: [{from: a, type: long}, {from: b, type: long}]`, `{"a":"1","b":"x"}`, `error: is no long`)
	f(`{fields: [{from: b, type: long}, {from: a, type: long}], fail_on_error: false}`, `{"a":"1","b":"x"}`, `{"a":1,"b":"x"}`)
	f(`fields: [{from: z, type: long}]`, `{"a":"1"}`, `error: is missing`)
	f(`{fields: [{from: z, type: long}], ignore_missing: true}`, `{"a":"1"}`, `{"a":"1"}`)
}

func TestRefused(t *testing.T) {
	f := processortest.Refused(t, New)
	f("fields: [{from: a, type: int}]\n", "fields[0].type: unknown type; known here are boolean")
	f("fields: [{from: a}]\n", "to or type is wanted")
	f("{fields: [{from: a, type: long}], mode: move}\n", "neither copy nor rename")
	f("fields: [{from: a, to: '@timestamp'}]\n", "the processor timestamp")
	f("fields: [{from: a, to: _id}]\n", "cannot be set")
}

func BenchmarkProcess(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `fields: [{from: a, type: long}]`), `{"message":"m","a":"17"}`)
}

func FuzzProcess(f *testing.F) {
	processortest.Fuzz(f, New, `{fields: [{from: message, to: l, type: long}, {from: message, to: d, type: double}, {from: message, to: b, type: boolean}, {from: message, to: i, type: ip},
		{from: message, to: n, type: integer}], fail_on_error: false}`, "17", "0x1F", "1e400", "true", "::1", "NaN", "0b1", "1_000", "-0", "+5")
}
