package dissect

import (
	"testing"

	"github.com/tallylog/tally/processors/processortest"
)

func TestKit(t *testing.T) { processortest.Check(t, "dissect", New) }

func TestProcess(t *testing.T) {
	f := processortest.Rows(t, New)
	f(`tokenizer: "%{a} [%{b}] %{c}"`, `{"message":"x [y z] rest of it"}`, `{"message":"x [y z] rest of it","dissect":{"a":"x","b":"y z","c":"rest of it"}}`)
	f(`{tokenizer: "%{n|integer} %{x|double} %{t|boolean} %{i|ip} %{bad|long}", target_prefix: ""}`, `{"message":"7 1.5 true 10.0.0.1 z"}`,
		`{"message":"7 1.5 true 10.0.0.1 z","n":7,"x":1.5,"t":true,"i":"10.0.0.1","bad":"z"}`)
	f(`{tokenizer: "%{+n/2}, %{+n/1}", target_prefix: p, field: f}`, `{"f":"b, a"}`, `{"f":"b, a","p":{"n":"a b"}}`)
	f(`{tokenizer: "%{*k}=%{&k}", target_prefix: ""}`, `{"message":"a=1"}`, `{"message":"a=1","a":"1"}`)
	f(`{tokenizer: "%{a->} %{b}", target_prefix: ""}`, `{"message":"x    y"}`, `{"message":"x    y","a":"x","b":"y"}`)
	f(`{tokenizer: "%{a#3}%{b}", target_prefix: ""}`, `{"message":"abcdef"}`, `{"message":"abcdef","a":"abc","b":"def"}`)
	f(`{tokenizer: "%{a}|%{b}", target_prefix: "", trim_values: all}`, `{"message":" x | y "}`, `{"message":" x | y ","a":"x","b":"y"}`)
	f(`tokenizer: "%{a}|%{b}"`, `{"message":"x"}`, `error: does not fit`)
	f(`tokenizer: "%{a}|%{b}"`, `{"m":"x"}`, `error: is missing`)
	f(`{tokenizer: "%{a}|%{b}", ignore_missing: true}`, `{"m":"x"}`, `{"m":"x"}`)
	f(`{tokenizer: "%{a}|%{b}", ignore_failure: true}`, `{"message":"x"}`, `{"message":"x"}`)
	f(`{tokenizer: "%{a} %{b}", target_prefix: ""}`, `{"message":"x y","b":1}`, `error: there already`)
	f(`{tokenizer: "%{a} %{message}", target_prefix: "", overwrite_keys: true}`, `{"message":"x y"}`, `{"message":"y","a":"x"}`)
}

func TestRefused(t *testing.T) {
	f := processortest.Refused(t, New)
	f("field: a\n", "the key tokenizer is missing")
	f("tokenizer: abc\n", "there is no %{key}")
	f("tokenizer: '%{a|int}'\n", "the type int is none of")
	f("tokenizer: '%{a|}'\n", "a type is wanted")
	f("tokenizer: '%{&a} %{b}'\n", "needs %{*a}")
	f("tokenizer: '%{+&a} %{b}'\n", "do not go together")
	f("tokenizer: '%{a}'\ntrim_values: some\n", "test.yml:2: trim_values")
	f("{tokenizer: '%{_id}', target_prefix: ''}\n", "cannot be set")
}

func BenchmarkProcess(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `tokenizer: '%{a} %{b} %{c} [%{d}] "%{e} %{f} %{g}" %{h|integer} %{i|integer} %{j}'`),
		`{"message":"83.149.9.216 - frank [17/May/2015:10:05:03 +0000] \"GET /presentations/logstash HTTP/1.1\" 200 203023 \"http://semicomplete.com\""}`)
}

func FuzzConfig(f *testing.F) {
	processortest.FuzzConfig(f, New, `tokenizer: "%{a} %{+b/2} %{+b/1} [%{?c}] %{*k}=%{&k}"`, `tokenizer: "%{a->}%{b#3}%{c|integer}"`, `tokenizer: "%{"`)
}
