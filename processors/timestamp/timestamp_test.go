package timestamp

import (
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processortest"
	"github.com/tallylog/tally/strictyaml"
)

func TestKit(t *testing.T) { processortest.Check(t, "timestamp", New) }

// fixed is New on 1 March 2024, 00:30.
func fixed(n strictyaml.Node) (*Processor, error) {
	p, err := New(n)
	if err == nil {
		p.now = func() time.Time { return time.Date(2024, 3, 1, 0, 30, 0, 0, time.UTC) }
	}
	return p, err
}

func TestProcess(t *testing.T) {
	f := processortest.Rows(t, fixed)
	row := func(config, value, want string) {
		t.Helper()
		f("{field: t, "+config+"}", `{"t":`+value+`}`, `{"@timestamp":"`+want+`","t":`+value+`}`)
	}
	row(`layouts: UNIX`, `1700000000`, "2023-11-14T22:13:20.000Z")
	row(`layouts: UNIX`, `"1700000000.123456789"`, "2023-11-14T22:13:20.123456789Z")
	row(`layouts: UNIX_MS`, `1700000000123`, "2023-11-14T22:13:20.123Z")
	row(`layouts: UNIX_US`, `"1700000000123456"`, "2023-11-14T22:13:20.123456Z")
	row(`layouts: UNIX_NS`, `1700000000123456789`, "2023-11-14T22:13:20.123456789Z")
	row(`layouts: UNIX`, `1.7e9`, "2023-11-14T22:13:20.000Z")
	row(`layouts: ISO8601`, `"2024-01-02T03:04:05.678+08:00"`, "2024-01-01T19:04:05.678Z")
	row(`layouts: ISO8601`, `"2024-01-02 03:04:05,678"`, "2024-01-02T03:04:05.678Z")
	row(`layouts: ISO8601, timezone: Asia/Shanghai`, `"2024-01-02 03:04:05"`, "2024-01-01T19:04:05.000Z")
	row(`layouts: ISO8601, timezone: "-0330"`, `"2024-01-02T03:04"`, "2024-01-02T06:34:00.000Z")
	row(`layouts: ISO8601`, `"2024-01-02 03:04:05 +0100"`, "2024-01-02T02:04:05.000Z")
	row(`layouts: ISO8601`, `"20240102T030405Z"`, "2024-01-02T03:04:05.000Z")
	row(`layouts: ISO8601`, `"2024-01-02 03:04:05 +08"`, "2024-01-01T19:04:05.000Z")
	row(`layouts: ISO8601`, `"2024-01-02 03:04:05 CET"`, "2024-01-02T02:04:05.000Z")
	row(`layouts: ISO8601, timezone: Europe/Berlin`, `"2024-07-02 03:04:05 CEST"`, "2024-07-02T01:04:05.000Z")
	row(`layouts: ISO8601, timezone: Asia/Shanghai`, `"2024-01-02 03:04:05 CST"`, "2024-01-01T19:04:05.000Z")
	row(`layouts: ISO8601, timezone: America/Chicago`, `"2024-01-02 03:04:05 CST"`, "2024-01-02T09:04:05.000Z")
	row(`layouts: ISO8601, timezone: America/Chicago`, `"2024-01-02 03:04:05 UTC"`, "2024-01-02T03:04:05.000Z")
	row(`layouts: ISO8601, timezone: Europe/London`, `"2024-01-02 03:04:05 GMT"`, "2024-01-02T03:04:05.000Z")
	f(`{field: t, layouts: [ISO8601, "2006-01-02 15:04:05 MST"]}`, `{"t":"2024-01-02 03:04:05 CST"}`, `error: no layout fits`)
	f(`{field: t, layouts: "2006-01-02 15:04:05 MST"}`, `{"t":"2024-01-02 03:04:05 XYZ"}`, `error: no layout fits`)
	row(`layouts: ["02/Jan/2006:15:04:05 -0700", ISO8601]`, `"17/May/2015:10:05:03 +0000"`, "2015-05-17T10:05:03.000Z")
	row(`layouts: "Jan _2 15:04:05"`, `"Feb  3 04:05:06"`, "2024-02-03T04:05:06.000Z")
	row(`layouts: "Jan _2 15:04:05"`, `"Mar  1 12:00:00"`, "2024-03-01T12:00:00.000Z")
	row(`layouts: "Jan _2 15:04:05"`, `"Dec 31 23:59:59"`, "2023-12-31T23:59:59.000Z")
	row(`layouts: "Jan _2 15:04:05"`, `"Feb 29 01:00:00"`, "2024-02-29T01:00:00.000Z")
	f(`{field: t, layouts: UNIX, target_field: x}`, `{"t":1}`, `{"t":1,"x":"1970-01-01T00:00:01.000Z"}`)
	f(`{field: t, layouts: UNIX}`, `{"t":"soon"}`, `error: no layout fits`)
	f(`{field: t, layouts: ISO8601}`, `{"t":17}`, `error: no layout fits`)
	f(`{field: t, layouts: UNIX}`, `{"t":99999999999999999999}`, `error: no layout fits`)
	f(`{field: t, layouts: "2006"}`, `{"t":"0001"}`, `error: the year is out of bounds`)
	f(`{field: t, layouts: UNIX}`, `{"a":"soon"}`, `error: is missing`)
	f(`{field: t, layouts: UNIX, ignore_missing: true}`, `{"a":1}`, `{"a":1}`)
	f(`{field: t, layouts: UNIX, ignore_failure: true}`, `{"t":"x"}`, `{"t":"x"}`)
}

func TestRefused(t *testing.T) {
	f := processortest.Refused(t, New)
	f("field: a\n", "the key layouts is missing")
	f("{field: a, layouts: yyyy-MM-dd}\n", "has no part of a time")
	f("{field: a, layouts: iso8601}\n", "did you mean ISO8601?")
	f("{field: a, layouts: UNIX, timezone: Mars}\n", "timezone: \"Mars\" is neither a zone")
	f("{field: a, layouts: UNIX, test: [x]}\n", "test: \"x\": no layout fits")
	f("{field: a, layouts: UNIX, target_field: _id}\n", "cannot be set")
}

func FuzzParse(f *testing.F) {
	f.Add("2024-01-02 03:04:05,678 +0100")
	f.Add("Feb 29 01:00:00")
	p := processortest.Make(f, fixed, `{field: t, layouts: [UNIX, UNIX_MS, ISO8601, "Jan _2 15:04:05"]}`)
	f.Fuzz(func(t *testing.T, s string) { _, _ = p.parse(event.Field{Value: s}) })
}

func BenchmarkHTTPDate(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `{field: t, layouts: "02/Jan/2006:15:04:05 -0700"}`), `{"message":"m","t":"17/May/2015:10:05:03 +0000"}`)
}

func BenchmarkISO8601(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `{field: t, layouts: ISO8601}`), `{"message":"m","t":"2024-01-02 03:04:05,678"}`)
}

func FuzzConfig(f *testing.F) {
	processortest.FuzzConfig(f, New, `{field: message, layouts: ["2006-01-02 MST", ISO8601], timezone: Asia/Shanghai, test: ["2024-01-02 CET"]}`, `{field: a, layouts: UNIX, timezone: "+0800"}`)
}
