package storagetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// testNames holds that a field may have any name: it comes back as it was, and is found, counted and grouped by it.
func testNames(t *testing.T, h *harness) {
	names := []string{"_msg", "_stream", "_stream_id", "_time", "_b", "__", "a b", `"q"`, "a.b-c/d", "名字", "as", "by", "n", "count", "fields", "|", "x:y", "(", "'", "`", `\`, "1", "-a", "*b", "tally.note", "_glue"}
	e := h.ev(0, 1, "message=odd names")
	for i, name := range names {
		e.Fields = append(e.Fields, event.Field{Name: name, Value: fmt.Sprintf("v%d", i)})
	}
	h.put(e, h.ev(1, 2, "message=without"))
	for i, name := range names {
		value := fmt.Sprintf("v%d", i)
		rows, _ := h.rows(where(query.Exact{Field: name, Value: value}))
		if len(rows) != 1 || get(&rows[0], name) != value {
			t.Errorf("%q: %d rows", name, len(rows))
			continue
		}
		r := all()
		r.Fields = []string{name}
		rows, _ = h.rows(r)
		if len(rows) != 2 || get(&rows[1], name) != value {
			t.Errorf("%q asked for: %d rows", name, len(rows))
		}
		values, err := h.Values(context.Background(), storage.Search{}, name, "", 10)
		h.ok(err)
		equal(t, "values of "+name, values, fmt.Sprintf("[{%s 1}]", value))
		stats, err := h.Stats(context.Background(), storage.StatsRequest{Func: storage.Func{Name: "max", Field: name}, By: []string{name}})
		h.ok(err)
		equal(t, "stats by "+name, stats, fmt.Sprintf("[{[%s] %s} {[] }]", value, value))
	}
	fields, err := h.Fields(context.Background(), storage.Search{})
	h.ok(err)
	if len(fields) != len(names)+6 { // and id, time, message, and the position
		t.Errorf("%d fields: %v", len(fields), fields)
	}
	// What no store can keep under its own name stays readable.
	reserved := h.ev(5, 3, "_id=mine", "tally.from=forged", "@timestamp=noon", "star*=s")
	h.put(reserved)
	rows, _ := h.rows(where(query.Exact{Field: "_id", Value: reserved.ID}))
	if len(rows) != 1 || get(&rows[0], "tally.from") != "3" || rows[0].Time != reserved.Time {
		t.Errorf("reserved names: %v", rows)
	}
}

// testValuesAsTheyWere holds that values come back byte by byte, whatever they look like to the store.
func testValuesAsTheyWere(t *testing.T, h *harness) {
	values := []string{"0.57", "1.0", "1.50", "-0", "007", "1e3", "1_000", "10.0.0.1", "010.0.0.1", "2024-01-01 00:00:00.000Z", "2024-01-01T00:00:00Z",
		"18446744073709551615", "18446744073709551616", "-9223372036854775808", "12345678901234567890.5", "true", "null", " padded ", "a\nb\tc", "\"quoted\"", `back\slash`, "\u2028", "🙂", "{\"a\":[1,2]}", "1.5s", "0x10", "NaN", "inf"}
	for i, v := range values {
		e := h.ev(0, i, fmt.Sprintf("n=%d", i))
		e.Fields = append(e.Fields, event.Field{Name: "v", Value: v}, event.Field{Name: "alone", Value: v})
		h.put(e)
	}
	for i := range 40 { // a column of numbers only, as most are
		h.put(h.ev(1, 100+i, fmt.Sprintf("took=%d.%02d", i/4, i*7%100)))
	}
	r := all()
	r.Asc = true
	rows, _ := h.rows(r)
	for i, v := range values {
		if got := get(&rows[i], "v"); got != v || get(&rows[i], "alone") != v {
			t.Errorf("%q comes back as %q", v, got)
		}
	}
	for i := range 40 {
		equal(t, "took", get(&rows[len(values)+i], "took"), fmt.Sprintf("%d.%02d", i/4, i*7%100))
	}
	for _, v := range values {
		counts, err := h.Values(context.Background(), storage.Search{}, "v", v, 1)
		h.ok(err)
		if len(counts) != 1 || counts[0].Count != 1 {
			t.Errorf("values that begin with %q: %v", v, counts)
		}
		found, _ := h.rows(where(query.Exact{Field: "v", Value: v}))
		if len(found) != 1 {
			t.Errorf("%d rows with %q", len(found), v)
		}
	}
}

func testChinese(t *testing.T, h *harness) {
	h.put(h.ev(0, 1, "message=用户登录失败", "用户=张三", "n=1"), h.ev(1, 2, "message=用户登录成功", "用户=李四", "n=2"), h.ev(2, 3, "message=エラー오류 abc错误def", "n=3"))
	f := func(e query.Expr, want string) {
		t.Helper()
		r := where(e)
		r.Asc = true
		rows, _ := h.rows(r)
		equal(t, fmt.Sprintf("%+v", e), numbers(rows), want)
	}
	f(query.Phrase{Field: "message", Text: "失败"}, "1")
	f(query.Phrase{Field: "message", Text: "登录"}, "1 2")
	f(query.Phrase{Field: "用户", Text: "张三"}, "1")
	f(query.Phrase{Field: "message", Text: "错误"}, "3")
	f(query.Phrase{Field: "message", Text: "오류"}, "3")
	f(query.Phrase{Field: "message", Text: "abc"}, "3")
	f(query.Not{Term: query.Phrase{Field: "message", Text: "登录"}}, "3")
	values, err := h.Values(context.Background(), storage.Search{}, "用户", "张", 5)
	h.ok(err)
	equal(t, "values", values, "[{张三 1}]")
}

// testMissing holds that an empty value and a missing field are the same.
func testMissing(t *testing.T, h *harness) {
	h.put(h.noPosition(1, "n=1", "a=x"), h.noPosition(2, "n=2", "a="), h.noPosition(3, "n=3"), h.noPosition(4))
	rows, _ := h.rows(where(query.Empty{Field: "a"}))
	equal(t, "without a", numbers(rows), " 3 2")
	rows, _ = h.rows(where(query.Present{Field: "a"}))
	equal(t, "with a", numbers(rows), "1")
	rows, _ = h.rows(where(query.Not{Term: query.Exact{Field: "a", Value: "x"}}))
	equal(t, "not x", numbers(rows), " 3 2")
	for i := range rows {
		for _, f := range rows[i].Fields {
			if f.Value == "" || f.Name == "a" {
				t.Errorf("row %d has %q=%q", i, f.Name, f.Value)
			}
		}
	}
}
