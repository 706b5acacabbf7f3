package severity

import (
	"testing"

	"github.com/tallylog/tally/processors/processortest"
)

func TestKit(t *testing.T) { processortest.Check(t, "severity", New) }

func TestProcess(t *testing.T) {
	f := processortest.Rows(t, New)
	row := func(config, in, level, number string) {
		t.Helper()
		f(config, `{"l":`+in+`}`, `{"l":`+in+`,"log":{"level":"`+level+`"},"event":{"severity":`+number+`}}`)
	}
	row(`fields: l`, `"WARN"`, "warning", "4")
	row(`fields: l`, `"[Error]"`, "error", "3")
	row(`fields: l`, `"SEVERE"`, "error", "3")
	row(`fields: l`, `"FINEST"`, "trace", "7")
	row(`fields: l`, `"dpanic"`, "emergency", "0")
	row(`fields: l`, `"DEBUG-4"`, "trace", "7")
	row(`fields: l`, `"DEBUG+1"`, "debug", "7")
	row(`fields: l`, `"INFO+2"`, "notice", "5")
	row(`fields: l`, `"WARN+1"`, "warning", "4")
	row(`fields: l`, `"ERROR+4"`, "critical", "2")
	row(`fields: l`, `3`, "error", "3")
	row(`{fields: l, numbers: pino}`, `30`, "info", "6")
	row(`{fields: l, numbers: pino}`, `60`, "critical", "2")
	row(`{fields: l, numbers: python}`, `30`, "warning", "4")
	row(`{fields: l, numbers: otel}`, `17`, "error", "3")
	row(`{fields: l, numbers: otel}`, `1`, "trace", "7")
	row(`{fields: l, map: {oops: alert}}`, `"oops"`, "alert", "1")
	text := `{fields: x, text: l}`
	row(text, `"<11>Jan  1 x"`, "error", "3")
	row(text, `"E0102 03:04:05.678 1 a.go:1] x"`, "error", "3")
	row(text, `"2024-01-02 ERROR [main] x"`, "error", "3")
	row(text, `"time=x level=\"debug\" msg"`, "debug", "7")
	f(text, `{"l":"an Error occurred"}`, `{"l":"an Error occurred"}`)
	f(`{fields: l, target: "", number_target: n}`, `{"l":"info"}`, `{"l":"info","n":6}`)
	f(`{fields: l, ignore_failure: false}`, `{"l":"purple"}`, `error: no level`)
	f(`{}`, `{"level":"purple","severity":"info"}`, `{"level":"purple","severity":"info","log":{"level":"info"},"event":{"severity":6}}`)
}

func TestRefused(t *testing.T) {
	f := processortest.Refused(t, New)
	f("numbers: roman\n", "none of syslog")
	f("map: {x: y}\n", "none of emergency")
	f("target: _id\n", "cannot hold a level")
}

func FuzzInText(f *testing.F) {
	f.Add("<13>x")
	f.Add("<")
	f.Add("E0102 x")
	f.Fuzz(func(t *testing.T, s string) {
		if l, ok := inText(s); ok && (l < 0 || l >= len(scale)) {
			t.Error(l)
		}
	})
}

func BenchmarkProcess(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `{text: message}`), `{"message":"2024-01-02 03:04:05,678 ERROR [main] com.example.Main - it failed"}`)
}
