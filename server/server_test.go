package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tallylog/tally/server/config"
)

const password = "a long enough password"

// patience is how long a test waits for what must come; on a slow machine with other work that may be long.
const patience = 2 * time.Minute

// running is a server on ports of its own.
type running struct {
	t    testing.TB
	dir  string
	url  string
	lj   string
	stop func() error
}

func run(t testing.TB, dir string) *running {
	t.Helper()
	return runWith(t, dir, func(*Options) {})
}

// runWith runs a server with other options than those of run.
func runWith(t testing.TB, dir string, change func(*Options)) *running {
	t.Helper()
	c := config.Default()
	c.HTTP.Address, c.Lumberjack.Address = "127.0.0.1:0", "127.0.0.1:0"
	c.Buffer.Checkpoint = config.Duration(2 * time.Second)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	ready := make(chan *running, 1)
	go func() {
		o := Options{Config: c, Dir: dir, AdminPassword: password, Log: slog.New(slog.DiscardHandler), Started: func(http, lj, _ string) {
			ready <- &running{t: t, dir: dir, url: "http://" + http, lj: lj}
		}}
		change(&o)
		ended <- Run(ctx, o)
	}()
	select {
	case r := <-ready:
		r.stop = sync.OnceValue(func() error { cancel(); return <-ended })
		t.Cleanup(func() {
			if err := r.stop(); err != nil {
				t.Error(err)
			}
		})
		return r
	case err := <-ended:
		cancel()
		t.Fatal(err)
	case <-time.After(patience):
		cancel()
		t.Fatal("the server does not start")
	}
	return nil
}

func (r *running) do(method, path string, body string, header ...string) (int, string, *http.Response) {
	r.t.Helper()
	req, err := http.NewRequest(method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.SetBasicAuth("admin", password)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp
}

func (r *running) push(body string, header ...string) string {
	r.t.Helper()
	code, ans, _ := r.do("POST", "/api/v1/push", body, header...)
	if code != 200 {
		r.t.Fatalf("push: %d %s", code, ans)
	}
	return strings.TrimSpace(ans)
}

// count asks until the answer is want; rows become searchable within a second or two.
func (r *running) count(query string, want int) {
	r.t.Helper()
	var ans string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		_, ans, _ = r.do("GET", "/api/v1/count?query="+url.QueryEscape(query), "")
		if strings.TrimSpace(ans) == fmt.Sprintf(`{"count":%d}`, want) {
			return
		}
	}
	r.t.Fatalf("count of %s: %s, want %d", query, ans, want)
}

func numbered(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "{\"message\":\"line %d\",\"n\":%d,\"level\":\"%s\",\"kubernetes\":{\"namespace\":\"ns%d\"}}\n", i, i, []string{"info", "error"}[i%2], i%3)
	}
	return b.String()
}

func TestPushAndQuery(t *testing.T) {
	r := run(t, t.TempDir())
	if got, want := r.push(numbered(0, 1000), "Tally-Source", "s", "Tally-From", "0"), `{"accepted":1000,"duplicates":0,"rejected":[],"rejected_count":0}`; got != want {
		t.Errorf("push: %s", got)
	}
	if got := r.push(numbered(0, 1000), "Tally-Source", "s", "Tally-From", "0"); !strings.Contains(got, `"duplicates":1000`) {
		t.Errorf("push again: %s", got)
	}
	r.count("*", 1000)
	r.count("error", 0)
	r.count("level:error n:>=500", 250)
	r.count(`"line 77"`, 1)
	f := func(path, want string) {
		t.Helper()
		code, ans, _ := r.do("GET", path, "")
		if got := fmt.Sprint(code, " ", strings.TrimSpace(ans)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", path, got, want)
		}
	}
	f("/api/v1/stats?by=level", `200 {"rows":[{"count":500,"level":"error"},{"count":500,"level":"info"}]}`)
	f("/api/v1/stats?fn=max(n)", `200 {"rows":[{"max(n)":999}]}`)
	f("/api/v1/stats?fn=count&by=kubernetes.namespace&top=1", `200 {"rows":[{"count":334,"kubernetes.namespace":"ns0"}]}`)
	f("/api/v1/values?field=level", `200 {"values":[{"count":500,"value":"error"},{"count":500,"value":"info"}]}`)
	f("/api/v1/query?query=a%7Cb", `400 {"error":{"code":"query","message":"column 2: pipes are not part of the language; use the parameters of the API (limit, fields, /stats, /hits), or quote the text"}}`)
	f("/api/v1/query?limit=-1", `400 {"error":{"code":"parameter","message":"limit \"-1\" is no whole number of at least 0"}}`)
	f("/api/v1/query?start=yesterday", `400 {"error":{"code":"time","message":"start \"yesterday\" is no time: write RFC 3339 (2026-01-02T15:04:05Z), milliseconds since 1970, or -1h"}}`)
	f("/api/v1/query?sort=x", `400 {"error":{"code":"parameter","message":"unknown parameter \"sort\"; known here are query, start, end, limit, order, fields, cursor, on_error"}}`)
	f("/api/v1/nothing", `404 {"error":{"code":"not_found","message":"there is no GET /api/v1/nothing"}}`)
	f("/readyz", `200 {"status":"ready"}`)
	code, ans, _ := r.do("GET", "/api/v1/sources?name=s", "")
	if code != 200 || !strings.Contains(ans, `"ranges":[[0,1000]],"gaps":[]`) || !strings.Contains(ans, `"duplicates":1000`) {
		t.Errorf("sources: %s", ans)
	}
	code, ans, _ = r.do("GET", "/metrics", "")
	if code != 200 || !strings.Contains(ans, "tally_admitted_events_total 1000") || !strings.Contains(ans, "tally_store_rows 1000") {
		t.Errorf("metrics: %d %.200s", code, ans)
	}
}

// TestPaging walks all pages while events arrive: none is missing and none comes twice.
func TestPaging(t *testing.T) {
	r := run(t, t.TempDir())
	r.push(numbered(0, 500))
	r.count("*", 500)
	for _, order := range []string{"asc", "desc"} {
		seen := map[string]int{}
		cursor := ""
		for page := 0; ; page++ {
			q := url.Values{"limit": {"70"}, "order": {order}, "cursor": {cursor}, "fields": {"n"}, "query": {"line"}}
			code, ans, resp := r.do("GET", "/api/v1/query?"+q.Encode(), "")
			if code != 200 {
				t.Fatal(ans)
			}
			rows := strings.Split(strings.TrimSpace(ans), "\n")
			for _, row := range rows {
				var e map[string]string
				if row == "" {
					continue
				}
				if err := json.Unmarshal([]byte(row), &e); err != nil {
					t.Fatal(err)
				}
				if e["level"] != "" || e["message"] == "" || e["@timestamp"] == "" {
					t.Fatalf("fields of %s", row)
				}
				seen[e["n"]]++
			}
			if cursor = resp.Trailer.Get("Tally-Cursor"); cursor == "" || ans == "" {
				break
			}
			if page == 1 {
				r.push(numbered(10_000, 10_050))
			}
			if page > 100 {
				t.Fatal("paging does not end")
			}
		}
		for i := range 500 {
			if seen[fmt.Sprint(i)] != 1 {
				t.Fatalf("%s: event %d came %d times", order, i, seen[fmt.Sprint(i)])
			}
		}
	}
}

func TestTail(t *testing.T) {
	r := run(t, t.TempDir())
	req, _ := http.NewRequestWithContext(t.Context(), "GET", r.url+"/api/v1/tail?query=level:error", nil)
	req.SetBasicAuth("admin", password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatal(err, resp)
	}
	defer resp.Body.Close()
	s := bufio.NewScanner(resp.Body)
	if !s.Scan() || !strings.HasPrefix(s.Text(), ":") {
		t.Fatalf("it begins with %q", s.Text())
	}
	r.push(numbered(0, 10))
	n := 0
	for n < 5 && s.Scan() {
		if data, ok := bytes.CutPrefix(s.Bytes(), []byte("data: ")); ok {
			var e map[string]string
			if err := json.Unmarshal(data, &e); err != nil || e["level"] != "error" || e["_id"] == "" {
				t.Fatalf("%v: %s", err, data)
			}
			n++
		}
	}
	if n != 5 {
		t.Errorf("%d events: %v", n, s.Err())
	}
}

// TestScope: a token of one namespace sees that namespace, whatever it asks for.
func TestScope(t *testing.T) {
	r := run(t, t.TempDir())
	r.push(numbered(0, 300))
	r.count("*", 300)
	_, ans, _ := r.do("POST", "/api/v1/tokens", `{"name":"x","role":"reader","namespaces":["ns1"]}`)
	var made struct{ ID, Token string }
	if err := json.Unmarshal([]byte(ans), &made); err != nil || made.Token == "" {
		t.Fatal(ans)
	}
	bearer := []string{"Authorization", "Bearer " + made.Token}
	for _, q := range []string{"*", "", "kubernetes.namespace:*", "kubernetes.namespace:ns0 OR *", "NOT kubernetes.namespace:ns1 OR line", `* OR ""`} {
		_, ans, _ := r.do("GET", "/api/v1/query?limit=1000&query="+url.QueryEscape(q), "", bearer...)
		if strings.Contains(ans, `"ns0"`) || strings.Contains(ans, `"ns2"`) {
			t.Errorf("%s gives a foreign namespace: %.300s", q, ans)
		}
		for _, path := range []string{"/api/v1/count?", "/api/v1/hits?step=1h&", "/api/v1/stats?by=kubernetes.namespace&", "/api/v1/fields?", "/api/v1/values?field=kubernetes.namespace&"} {
			_, ans, _ := r.do("GET", path+"query="+url.QueryEscape(q), "", bearer...)
			if strings.Contains(ans, "300") || strings.Contains(ans, "200") || strings.Contains(ans, "ns0") {
				t.Errorf("%s %s: %s", path, q, ans)
			}
		}
	}
	if code, _, _ := r.do("POST", "/api/v1/push", `{}`, bearer...); code != 403 {
		t.Errorf("a reader pushes: %d", code)
	}
	if code, _, _ := r.do("DELETE", "/api/v1/tokens/"+made.ID, ""); code/100 != 2 {
		t.Errorf("revoke: %d", code)
	}
	if code, _, _ := r.do("GET", "/api/v1/count", "", bearer...); code != 401 {
		t.Errorf("a revoked token: %d", code)
	}
}

func TestRestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	r := run(t, dir)
	r.push(numbered(0, 1000), "Tally-Source", "s", "Tally-From", "0")
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = run(t, dir)
	r.count("*", 1000)
	if got := r.push(numbered(500, 1500), "Tally-Source", "s", "Tally-From", "500"); !strings.Contains(got, `"accepted":500,"duplicates":500`) {
		t.Errorf("push: %s", got)
	}
	r.count("*", 1500)
}

// TestSecondServer: the same directory, or the same port, twice is refused.
func TestSecondServer(t *testing.T) {
	r := run(t, t.TempDir())
	c := config.Default()
	c.HTTP.Address, c.Lumberjack.Address = "127.0.0.1:0", "127.0.0.1:0"
	o := Options{Config: c, Dir: r.dir, Log: slog.New(slog.DiscardHandler), Started: func(string, string, string) { t.Error("a second server started") }}
	if err := Run(t.Context(), o); err == nil {
		t.Error("the same directory twice")
	}
	o.Dir = t.TempDir()
	o.Config.HTTP.Address = strings.TrimPrefix(r.url, "http://")
	if err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "cannot listen for HTTP") {
		t.Errorf("the same port twice: %v", err)
	}
}
