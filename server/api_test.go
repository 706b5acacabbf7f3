package server

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// messages asks for rows and returns their messages.
func (r *running) messages(path string) []string {
	r.t.Helper()
	code, ans, _ := r.do("GET", path, "")
	if code != 200 {
		r.t.Fatalf("%s: %d %s", path, code, ans)
	}
	var list []string
	for line := range strings.Lines(ans) {
		var e struct{ Message string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			r.t.Fatal(err)
		}
		list = append(list, e.Message)
	}
	return list
}

// TestContext: neighbours in the same source by position, though times go back and forth and other sources lie between.
func TestContext(t *testing.T) {
	r := run(t, t.TempDir())
	at := time.Date(2026, 1, 2, 15, 0, 0, 0, time.UTC)
	line := func(i int, name string, ms int) string {
		return fmt.Sprintf("{\"@timestamp\":%q,\"message\":\"%s %d\",\"even\":%t}\n", at.Add(time.Duration(ms)*time.Millisecond).Format(time.RFC3339Nano), name, i, i%2 == 0)
	}
	var a, b strings.Builder
	for i := range 400 {
		ms := i * 100
		if i%10 == 3 {
			ms -= 5000 // fifty lines back
		}
		a.WriteString(line(i, "a", ms))
		b.WriteString(line(i, "b", i*100))
	}
	r.push(a.String(), "Tally-Source", "a", "Tally-From", "0")
	r.push(b.String(), "Tally-Source", "b", "Tally-From", "0")
	r.count("*", 800)
	f := func(i, before, after int, more string, first, last, n int) {
		t.Helper()
		got := r.messages(fmt.Sprintf("/api/v1/context?id=%s&before=%d&after=%d%s", url.QueryEscape(r.id(fmt.Sprintf(`message:="a %d"`, i))), before, after, more))
		if len(got) != n || got[0] != fmt.Sprintf("a %d", first) || got[n-1] != fmt.Sprintf("a %d", last) {
			t.Errorf("around %d: %d lines %q", i, len(got), got)
		}
		if more == "" {
			for k, m := range got {
				if m != fmt.Sprintf("a %d", first+k) {
					t.Errorf("around %d: line %d is %q", i, k, m)
				}
			}
		}
	}
	f(200, 5, 7, "", 195, 207, 13)
	f(203, 5, 5, "", 198, 208, 11) // itself out of its time
	f(0, 5, 5, "", 0, 5, 6)
	f(399, 5, 5, "", 394, 399, 6)
	f(200, 0, 0, "", 200, 200, 1)
	f(200, 1000, 1000, "", 0, 399, 400)
	f(200, 2, 2, "&query=even:true", 196, 204, 5)
	got := r.messages("/api/v1/context?id=" + r.id(`message:="b 50"`))
	if len(got) != 21 || got[0] != "b 40" || got[20] != "b 60" {
		t.Errorf("by default: %q", got)
	}
}

// TestContextWithoutPositions: the same file of the same host, in order of time; events of one and the same time keep one order.
func TestContextWithoutPositions(t *testing.T) {
	r := run(t, t.TempDir())
	var b strings.Builder
	for i := range 90 {
		fmt.Fprintf(&b, "{\"@timestamp\":\"2026-01-02T15:%02d:00Z\",\"message\":\"%d\",\"log\":{\"file\":{\"path\":\"/%d\"}}}\n", i/3%60, i, i%3)
	}
	for i := range 50 {
		fmt.Fprintf(&b, "{\"@timestamp\":\"2026-01-02T17:00:00Z\",\"message\":\"same %d\"}\n", i)
	}
	r.push(b.String())
	r.count("*", 140)
	if got := r.messages("/api/v1/context?before=2&after=3&id=" + r.id("message:=31")); !slices.Equal(got, []string{"25", "28", "31", "34", "37", "40"}) {
		t.Errorf("got %q", got)
	}
	all := r.messages("/api/v1/query?order=asc&query=same")
	for _, i := range []int{0, 1, 24, 48, 49} {
		want := all[max(0, i-3):min(50, i+4)]
		if got := r.messages("/api/v1/context?before=3&after=3&id=" + r.id(fmt.Sprintf("message:=%q", all[i]))); !slices.Equal(got, want) {
			t.Errorf("around %q: %q, want %q", all[i], got, want)
		}
	}
}

// TestHitsInATimeZone counts one event an hour over the end of summer time.
func TestHitsInATimeZone(t *testing.T) {
	r := run(t, t.TempDir())
	var b strings.Builder
	at := time.Date(2026, 10, 23, 22, 30, 0, 0, time.UTC) // half past midnight of the 24th in Berlin
	for i := range 24 + 25 + 24 {
		fmt.Fprintf(&b, "{\"@timestamp\":%q,\"message\":\"x\",\"n\":\"%d\"}\n", at.Add(time.Duration(i)*time.Hour).Format(time.RFC3339), i%7)
	}
	r.push(b.String())
	r.count("*", 73)
	f := func(parameters, want string) {
		t.Helper()
		code, ans, _ := r.do("GET", "/api/v1/hits?"+parameters, "")
		if code != 200 || strings.TrimSpace(ans) != `{"hits":[`+want+`]}` {
			t.Errorf("%s: %d %s", parameters, code, ans)
		}
	}
	days := `{"@timestamp":"2026-10-24T00:00:00+02:00","count":24},{"@timestamp":"2026-10-25T00:00:00+02:00","count":25},{"@timestamp":"2026-10-26T00:00:00+01:00","count":24}`
	f("step=1d&tz=Europe/Berlin", days)
	f("step=1d&tz=Europe/Berlin&start=2026-10-20T00:00:00Z&end=2026-11-01T00:00:00Z", days)
	f("step=1d", `{"@timestamp":"2026-10-23T00:00:00Z","count":2},{"@timestamp":"2026-10-24T00:00:00Z","count":24},{"@timestamp":"2026-10-25T00:00:00Z","count":24},{"@timestamp":"2026-10-26T00:00:00Z","count":23}`)
	f("step=1h&tz=Asia/Kolkata&query=n:=0&end=2026-10-24T00:00:00Z", `{"@timestamp":"2026-10-24T04:00:00+05:30","count":1}`)
	f("step=1d&tz=Europe/Berlin&by=n&limit=1", `{"@timestamp":"2026-10-24T00:00:00+02:00","by":{"n":""},"count":20},{"@timestamp":"2026-10-24T00:00:00+02:00","by":{"n":"0"},"count":4},`+
		`{"@timestamp":"2026-10-25T00:00:00+02:00","by":{"n":""},"count":22},{"@timestamp":"2026-10-25T00:00:00+02:00","by":{"n":"0"},"count":3},`+
		`{"@timestamp":"2026-10-26T00:00:00+01:00","by":{"n":""},"count":20},{"@timestamp":"2026-10-26T00:00:00+01:00","by":{"n":"0"},"count":4}`)
}

func TestPlanAndFormat(t *testing.T) {
	r := run(t, t.TempDir())
	scoped := []string{"Authorization", "Bearer " + r.token(`{"name":"s","role":"reader","namespaces":["shop","pay-*"]}`)}
	f := func(path, want string, header ...string) {
		t.Helper()
		code, ans, _ := r.do("GET", path, "", header...)
		if got := fmt.Sprint(code, " ", strings.TrimSpace(ans)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", path, got, want)
		}
	}
	f("/api/v1/query/format?query="+url.QueryEscape(`(a  AND b)   OR -( c )`), `200 {"query":"a b OR NOT c"}`)
	f("/api/v1/query/format", `200 {"query":"*"}`)
	f("/api/v1/query/format?query="+url.QueryEscape(`失败 (b`), `400 {"error":{"code":"query","column":4,"message":"column 4: this ( is never closed"}}`)
	f("/api/v1/query/explain?query="+url.QueryEscape(`(b`), `400 {"error":{"code":"query","column":1,"message":"column 1: this ( is never closed"}}`)
	f("/api/v1/query/explain?query=status:%3E%3D500&start=2026-01-02T00:00:00Z", `200 {"query":"status:\u003e=500","scope":"kubernetes.namespace:=\"shop\" OR kubernetes.namespace:~\"\\\\Apay-(?s:.*)\\\\z\"","tenant":"default","start":"2026-01-02T00:00:00.000Z","fields":["status"],"timeout_seconds":60}`, scoped...)
	scoped = []string{"Authorization", "Bearer " + r.token(`{"name":"c","role":"reader","namespaces":["shop"],"clusters":["prod","eu-*"]}`)}
	f("/api/v1/query/explain?query=a", `200 {"query":"a","scope":"(kubernetes.namespace:=\"shop\") (orchestrator.cluster.name:=\"prod\" OR orchestrator.cluster.name:~\"\\\\Aeu-(?s:.*)\\\\z\")","tenant":"default","fields":["message"],"timeout_seconds":60}`, scoped...)
	code, ans, _ := r.do("GET", "/api/v1/query/explain?query=x:=y", "")
	if code != 200 || !strings.Contains(ans, `"logsql":"\"x\":=\"y\""`) || strings.Contains(ans, "scope") {
		t.Errorf("an admin's plan: %d %s", code, ans)
	}
}

func TestCompletion(t *testing.T) {
	r := run(t, t.TempDir())
	r.push(numbered(0, 10))
	r.count("*", 10)
	f := func(path, want string) {
		t.Helper()
		if _, ans, _ := r.do("GET", path, ""); strings.TrimSpace(ans) != want {
			t.Errorf("%s: %s", path, ans)
		}
	}
	f("/api/v1/fields?prefix=kub", `{"fields":[{"count":10,"name":"kubernetes.namespace"}]}`)
	f("/api/v1/fields?prefix=none", `{"fields":[]}`)
	f("/api/v1/fields?prefix=n&start=-1h&query=level:error", `{"fields":[{"count":5,"name":"n"}]}`)
	f("/api/v1/fields?prefix=n&end=-1h", `{"fields":[]}`)
	f("/api/v1/values?field=level&prefix=er", `{"values":[{"count":5,"value":"error"}]}`)
	f("/api/v1/values?field=level&prefix=er&end=-1h", `{"values":[]}`)
}

// TestSearchesAreAudited: who asked what, and from where; what was refused is not a search.
func TestSearchesAreAudited(t *testing.T) {
	r := run(t, t.TempDir())
	long := strings.Repeat("long ", 1000)
	for _, path := range []string{
		"query?query=secret&start=2026-01-02T00:00:00Z", "count?query=" + url.QueryEscape(long), "export?query=everything&format=csv&fields=a", "stats?fn=max(n)&by=level", "hits?step=1h", "fields?", "values?field=level",
		"context?id=abc", "query?query=(", "query/format?query=x",
	} {
		r.do("GET", "/api/v1/"+path, "")
	}
	_, ans, _ := r.do("GET", "/api/v1/audit?limit=1000", "")
	var log struct {
		Audit []struct{ Principal, Remote, Action, Detail string }
	}
	if err := json.Unmarshal([]byte(ans), &log); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range log.Audit {
		if strings.HasPrefix(e.Action, "query") || e.Action == "export" {
			if e.Principal != "user:admin" || e.Remote != "127.0.0.1" || len(e.Detail) > 1024 || got[e.Action] != "" {
				t.Errorf("%+v", e)
			}
			got[e.Action] = e.Detail
		}
	}
	for action, want := range map[string]string{
		"query": `start=2026-01-02T00:00:00.000Z query="secret"`, "export": `format="csv" query="everything"`, "query.stats": `fn="max(n)" by="level" query=""`, "query.hits": `query=""`, "query.fields": `query=""`,
		"query.values": `field="level" query=""`, "query.context": `id="abc" query=""`, "query.count": `query="long long`,
	} {
		if !strings.HasPrefix(got[action], want) {
			t.Errorf("%s: %.100q, want %q", action, got[action], want)
		}
	}
	if len(got) != 8 {
		t.Errorf("%d actions: %v", len(got), got)
	}
}
