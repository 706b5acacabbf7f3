package server

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// token makes an API token of what is asked for, and returns its secret.
func (r *running) token(request string) string {
	r.t.Helper()
	code, ans, _ := r.do("POST", "/api/v1/tokens", request)
	var made struct{ Token string }
	if err := json.Unmarshal([]byte(ans), &made); err != nil || made.Token == "" {
		r.t.Fatalf("token %s: %d %s", request, code, ans)
	}
	return made.Token
}

// searching are the addresses that read events, each with what it needs.
var searching = []string{
	"/api/v1/query?", "/api/v1/export?", "/api/v1/count?", "/api/v1/hits?step=1h", "/api/v1/hits?step=1d&tz=Europe/Berlin", "/api/v1/stats?by=kubernetes.namespace", "/api/v1/fields?",
	"/api/v1/values?field=kubernetes.namespace", "/api/v1/query/explain?", "/api/v1/export?format=csv&fields=kubernetes.namespace",
}

// TestAccessToSearches tries each address with each kind of credentials.
func TestAccessToSearches(t *testing.T) {
	r := run(t, t.TempDir())
	r.push(numbered(0, 30))
	r.count("*", 30)
	r.do("POST", "/api/v1/tenants", `{"name":"other"}`)
	f := func(header []string, want int, mayContain string) {
		t.Helper()
		for _, path := range append(searching, "/api/v1/query/format?") {
			code, ans, _ := r.do("GET", path, "", header...)
			if code != want {
				t.Errorf("%v %s: %d, want %d", header, path, code, want)
			}
			for _, ns := range []string{`ns0`, `ns1`, `ns2`} {
				if strings.Contains(ans, ns) && !strings.Contains(mayContain, ns) {
					t.Errorf("%v %s shows %s: %.300s", header, path, ns, ans)
				}
			}
		}
	}
	bearer := func(request string) []string { return []string{"Authorization", "Bearer " + r.token(request)} }
	f([]string{"Authorization", ""}, 401, "")
	f([]string{"Authorization", "Bearer wrong"}, 401, "")
	f(bearer(`{"name":"p","role":"push"}`), 403, "")
	f(bearer(`{"name":"r","role":"reader"}`), 200, "ns0 ns1 ns2")
	f(bearer(`{"name":"o","role":"operator"}`), 200, "ns0 ns1 ns2")
	f(bearer(`{"name":"s","role":"reader","namespaces":["ns1"]}`), 200, "ns1")
	f(bearer(`{"name":"w","role":"reader","namespaces":["*2","none"]}`), 200, "ns2")
	f(bearer(`{"name":"n","role":"reader","namespaces":["elsewhere"]}`), 200, "")
	f(bearer(`{"name":"t","role":"admin","tenant":"other"}`), 200, "")
	for _, path := range searching {
		if code, _, _ := r.do("GET", path+"&token=tly_x", ""); code != 401 && code != 400 {
			t.Errorf("%s with a token in the address: %d", path, code)
		}
		for _, method := range []string{"PUT", "DELETE", "PATCH"} {
			if code, _, resp := r.do(method, path, ""); code != 405 || !strings.HasPrefix(resp.Header.Get("Allow"), "GET") {
				t.Errorf("%s %s: %d, allowed are %q", method, path, code, resp.Header.Get("Allow"))
			}
		}
	}
}

// TestContextKeepsToItsScope: the id of a foreign event is as good as none, and neighbours are only the caller's own.
func TestContextKeepsToItsScope(t *testing.T) {
	r := run(t, t.TempDir())
	r.push(numbered(0, 60), "Tally-Source", "s", "Tally-From", "0")
	r.count("*", 60)
	bearer := []string{"Authorization", "Bearer " + r.token(`{"name":"s","role":"reader","namespaces":["ns1"]}`)}
	r.do("POST", "/api/v1/tenants", `{"name":"other"}`)
	other := []string{"Authorization", "Bearer " + r.token(`{"name":"t","role":"admin","tenant":"other"}`)}
	mine, foreign := r.id(`"line 31"`), r.id(`"line 30"`)
	for _, c := range []struct {
		id     string
		header []string
		want   int
	}{{mine, bearer, 200}, {foreign, bearer, 404}, {"nothing", bearer, 404}, {mine, other, 404}, {foreign, nil, 200}, {"", nil, 400}} {
		code, ans, _ := r.do("GET", "/api/v1/context?before=5&after=5&id="+url.QueryEscape(c.id), "", c.header...)
		if code != c.want {
			t.Errorf("id %q as %v: %d, want %d: %s", c.id, c.header, code, c.want, ans)
		}
		if c.want == 200 && c.header != nil && (strings.Contains(ans, `"ns0"`) || strings.Contains(ans, `"ns2"`) || strings.Count(ans, "\n") != 11) {
			t.Errorf("the context of a scoped event: %s", ans)
		}
	}
}

// id is the _id of the one event that matches.
func (r *running) id(query string) string {
	r.t.Helper()
	code, ans, _ := r.do("GET", "/api/v1/query?query="+url.QueryEscape(query), "")
	var e map[string]string
	if err := json.Unmarshal([]byte(ans), &e); err != nil || e["_id"] == "" {
		r.t.Fatalf("%s: %d %s", query, code, ans)
	}
	return e["_id"]
}

// TestHostileParameters: what cannot be meant is a 400, and nothing is ever a 500.
func TestHostileParameters(t *testing.T) {
	r := run(t, t.TempDir())
	r.push(numbered(0, 10))
	r.count("*", 10)
	refused := map[string][]string{
		"/api/v1/query?":          {"limit=-1", "limit=x", "limit=99999999999999999999", "order=up", "cursor=x", "cursor=AAAA", "on_error=ignore", "format=csv", "a=b", "query=a&query=b", "limit=1&limit=2", "query=(", "query=%ff", "start=x", "end=1e99", "start=2026-01-02T00:00:00Z&end=2026-01-01T00:00:00Z", "limit=1&limit2=1"},
		"/api/v1/export?":         {"format=xml", "format=csv", "gzip=maybe", "limit=-1", "order=x", "cursor=%00", "on_error=x", "step=1h", "query=a|b"},
		"/api/v1/count?":          {"limit=1", "query=)", "start=-", "start=%2B", "end=0001-01-01T00:00:00Z"},
		"/api/v1/hits?":           {"", "step=", "step=0s", "step=-1m", "step=x", "step=1h&tz=Mars/Phobos", "step=1h&tz=../../etc/passwd", "step=1h&tz=Local", "step=1h&limit=0", "step=1h&offset=x", "step=1s&start=2020-01-01T00:00:00Z&end=2026-01-01T00:00:00Z"},
		"/api/v1/stats?":          {"fn=drop", "fn=max", "fn=max(", "fn=max()", "top=-1", "top=0", "fn=count&x=1"},
		"/api/v1/fields?":         {"limit=1", "query=\"", "field=x"},
		"/api/v1/values?":         {"", "field=", "field=x&limit=0", "field=x&limit=-5"},
		"/api/v1/context?":        {"", "id=", "id=x&before=-1", "id=x&after=x", "id=x&before=10001", "id=x&limit=1"},
		"/api/v1/query/format?":   {"query=(", "limit=1", "query=a|b"},
		"/api/v1/query/explain?":  {"query=(", "limit=1", "start=x"},
		"/api/v1/tail?":           {"query=(", "limit=1", "start=-1h"},
		"/api/v1/sources?":        {"query=x"},
		"/api/v1/query?limit=0&":  {"query=" + strings.Repeat("(", 101) + "a" + strings.Repeat(")", 101)},
		"/api/v1/count?query=x:~": {`"("`, "%22a%7B9999%7D%22"},
	}
	for path, list := range refused {
		for _, p := range list {
			code, ans, _ := r.do("GET", path+strings.ReplaceAll(p, " ", "+"), "")
			if code != 400 {
				t.Errorf("%s%.80s: %d %.200s", path, p, code, ans)
			}
		}
	}
	for _, path := range []string{
		"/api/v1/query?limit=9223372036854775807&fields=" + url.QueryEscape(strings.Repeat("f,", 5000)), "/api/v1/query?fields=%00,_stream,*,_msg,a*&limit=5",
		"/api/v1/export?limit=9223372036854775807", "/api/v1/export?limit=0&format=csv&fields=a", "/api/v1/export?format=csv&fields=_stream,%22,*",
		"/api/v1/stats?by=_stream,*&fn=uniq(_stream)&top=9223372036854775807", "/api/v1/stats?fn=p99(%22%7C%22)", "/api/v1/values?field=*&prefix=%22%7C+*&limit=999999999",
		"/api/v1/values?field=@timestamp&prefix=2", "/api/v1/fields?prefix=%00", "/api/v1/hits?step=1000000h&tz=Asia/Kolkata", "/api/v1/hits?step=2562047h&offset=2562047h",
		"/api/v1/hits?step=1d&tz=Europe/Berlin&start=1700-01-01T00:00:00Z&end=2200-01-01T00:00:00Z", "/api/v1/hits?step=1d&tz=Europe/Berlin&query=nothing-of-this&by=a,b",
		"/api/v1/count?start=8000000000000&end=8000000000001", "/api/v1/count?start=-9000000000000", "/api/v1/count?start=-200000h",
	} {
		if code, ans, _ := r.do("GET", path, ""); code != 200 {
			t.Errorf("%.100s: %d %.200s", path, code, ans)
		}
	}
	for _, id := range []string{"\x00", "\xff", `"|*`, strings.Repeat("x", 5000), "\ufdd1"} {
		if code, ans, _ := r.do("GET", "/api/v1/context?id="+url.QueryEscape(id), ""); code != 404 {
			t.Errorf("context of %.20q: %d %.200s", id, code, ans)
		}
	}
	for body, kind := range map[string]string{`{`: "application/json", `[]`: "application/json", `{"query":{}}`: "application/json", `{"limit":-1}`: "application/json", "query=" + strings.Repeat("a+", 40_000): "application/x-www-form-urlencoded", "limit=-1": "application/x-www-form-urlencoded", "%": "application/x-www-form-urlencoded"} {
		if code, ans, _ := r.do("POST", "/api/v1/query", body, "Content-Type", kind); code != 400 {
			t.Errorf("POST %.80s: %d %s", body, code, ans)
		}
	}
	r.count("*", 10)
}

// TestParametersInABody: a body is understood for what it is, or refused; it is never ignored, for then everything would be found.
func TestParametersInABody(t *testing.T) {
	r := run(t, t.TempDir())
	r.push(numbered(0, 10))
	r.count("*", 10)
	f := func(kind, body string, want int) {
		t.Helper()
		code, ans, _ := r.do("POST", "/api/v1/query", body, "Content-Type", kind)
		if n := strings.Count(ans, `"_id"`); code != 200 || n != want {
			t.Errorf("%q %s: %d, %d events; %.200s", kind, body, code, n, ans)
		}
	}
	for _, kind := range []string{"", "application/json", "application/x-www-form-urlencoded"} {
		f(kind, `{"query":"NOT *"}`, 0)
		f(kind, `{"limit":3,"order":"asc"}`, 3)
		if kind != "application/json" {
			f(kind, "query=NOT+*", 0)
			f(kind, "limit=3", 3)
		}
	}
	if code, ans, _ := r.do("POST", "/api/v1/query", "<query/>", "Content-Type", "text/xml"); code != 415 {
		t.Errorf("XML: %d %s", code, ans)
	}
	if code, _, _ := r.do("POST", "/api/v1/query", "", "Content-Type", "text/plain"); code != 200 {
		t.Errorf("no body: %d", code)
	}
}

// TestTailEndsWithItsCredentials: what comes after a token is revoked is not shown any more.
func TestTailEndsWithItsCredentials(t *testing.T) {
	r := run(t, t.TempDir())
	secret := r.token(`{"name":"reads","role":"reader"}`)
	_, list, _ := r.do("GET", "/api/v1/tokens", "")
	var tokens struct {
		Tokens []struct{ ID string }
	}
	if err := json.Unmarshal([]byte(list), &tokens); err != nil || len(tokens.Tokens) != 1 {
		t.Fatal(err, list)
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", r.url+"/api/v1/tail", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	s := bufio.NewScanner(resp.Body)
	next := func() string {
		for s.Scan() {
			if line := s.Text(); strings.HasPrefix(line, "data:") {
				return line
			}
		}
		return ""
	}
	r.push(`{"message":"before"}`)
	if got := next(); !strings.Contains(got, "before") {
		t.Fatal(got)
	}
	if code, ans, _ := r.do("DELETE", "/api/v1/tokens/"+tokens.Tokens[0].ID, ""); code != 204 {
		t.Fatal(code, ans)
	}
	r.push(`{"message":"behind"}`)
	if got := next(); !strings.Contains(got, "unauthorized") {
		t.Errorf("after the token was revoked came %s", got)
	}
	if got := next(); got != "" {
		t.Errorf("and then %s", got)
	}
}

// TestListsInPieces: fields=a&fields=b asks for both.
func TestListsInPieces(t *testing.T) {
	r := run(t, t.TempDir())
	r.push(`{"message":"x","a":1,"b":2,"c":3}`)
	r.count("*", 1)
	for _, fields := range []string{"fields=a,b", "fields=a&fields=b"} {
		if _, ans, _ := r.do("GET", "/api/v1/query?"+fields, ""); !strings.Contains(ans, `"a":"1","b":"2"`) || strings.Contains(ans, `"c"`) {
			t.Errorf("%s: %s", fields, ans)
		}
	}
	if _, ans, _ := r.do("GET", "/api/v1/stats?by=a&by=b", ""); !strings.Contains(ans, `"a":"1","b":"2"`) {
		t.Errorf("by: %s", ans)
	}
}
