package runs

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tallylog/tally/test/rig"
)

// visitor is a browser behind the balancer: each of its requests takes a new connection, and so goes to the next server.
type visitor struct {
	h      *herd
	c      http.Client
	cookie *http.Cookie
	csrf   string
}

func (h *herd) visit() *visitor {
	return &visitor{h: h, c: http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}}
}

// do sends a request through the balancer and returns status and body.
func (v *visitor) do(method, path, body string) (int, string) {
	v.h.t.Helper()
	req, err := http.NewRequest(method, "http://"+v.h.http.addr+path, strings.NewReader(body))
	if err != nil {
		v.h.t.Fatal(err)
	}
	if v.cookie != nil {
		req.AddCookie(v.cookie)
		req.Header.Set("Tally-CSRF", v.csrf)
	}
	resp, err := v.c.Do(req)
	if err != nil {
		v.h.t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, c := range resp.Cookies() {
		v.cookie = c
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		v.h.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// ask is do that wants a status, and decodes the answer into to where that is not nil.
func (v *visitor) ask(method, path, body string, want int, to any) string {
	v.h.t.Helper()
	code, text := v.do(method, path, body)
	if code != want {
		v.h.t.Fatalf("%s %s behind the balancer: %d %.300s, want %d", method, path, code, text, want)
	}
	if to != nil {
		if err := json.Unmarshal([]byte(text), to); err != nil {
			v.h.t.Fatalf("%s %s: %v in %.300s", method, path, err, text)
		}
	}
	return text
}

// balanced holds that somebody behind a balancer that sends each request to another server does not notice.
func (h *herd) balanced() {
	h.t.Helper()
	v := h.visit()
	var who struct{ User, CSRF string }
	v.ask("POST", "/api/v1/login", fmt.Sprintf(`{"user":"admin","password":%q}`, rig.Password), 200, &who)
	v.csrf = who.CSRF
	for range 2 * len(h.servers) {
		v.ask("GET", "/api/v1/me", "", 200, &who)
		if who.CSRF != v.csrf {
			h.t.Errorf("one server has another CSRF token than the next: %q, %q", who.CSRF, v.csrf)
		}
	}
	for i := range h.servers {
		v.ask("PUT", fmt.Sprintf("/api/v1/searches/s%d", i), `{"query":"*"}`, 204, nil)
	}
	var kept struct{ Searches []struct{ Name string } }
	for range h.servers {
		if v.ask("GET", "/api/v1/searches", "", 200, &kept); len(kept.Searches) != len(h.servers) {
			h.t.Errorf("a server knows %d of %d searches", len(kept.Searches), len(h.servers))
		}
	}
	// A cluster is joined with a code that another server made, and its token pushes anywhere.
	var inv struct{ ID, Code string }
	v.ask("POST", "/api/v1/clusters", `{"name":"behind"}`, 200, &inv)
	first := v.ask("GET", "/install/"+inv.Code, "", 200, nil)
	for range h.servers {
		if v.ask("GET", "/install/"+inv.Code, "", 200, nil) != first {
			h.t.Error("two servers give two manifests for one code")
		}
		if list := v.ask("GET", "/api/v1/clusters", "", 200, nil); !strings.Contains(list, `"behind"`) {
			h.t.Errorf("a server does not know the cluster: %.300s", list)
		}
	}
	v.ask("DELETE", "/api/v1/clusters/"+inv.ID, "", 204, nil)
	for range h.servers {
		v.ask("GET", "/install/"+inv.Code, "", 404, nil)
	}
	var reload struct{ Servers []string }
	if v.ask("POST", "/api/v1/pipelines/reload", "", 200, &reload); len(reload.Servers) != len(h.servers) {
		h.t.Errorf("the pipelines of %q alone are read again", reload.Servers)
	}
	h.letters(v)
	h.audit(v)
	h.tail(v)
	v.ask("POST", "/api/v1/logout", "", 204, nil)
	for range h.servers {
		v.ask("GET", "/api/v1/me", "", 401, nil)
	}
}

// letters holds that dead letters are seen, replayed and dropped wherever they lie.
func (h *herd) letters(v *visitor) {
	h.t.Helper()
	for i, s := range h.servers {
		for n := range 2 {
			line := fmt.Sprintf(`{"message":"letter %d of %d","picky":"yes"}`, n, i)
			if code, text, err := s.Request("POST", "/api/v1/push", line); err != nil || code != 200 {
				h.t.Fatalf("a push: %d %s %v", code, text, err)
			}
		}
	}
	type list struct {
		Letters []struct{ ID, Server, Message string }
		Cursor  string
		Totals  struct{ Letters int }
		Missing []string
	}
	total := 2 * len(h.servers)
	var seen []string
	var one list
	for cursor := ""; len(seen) == 0 || cursor != ""; cursor = one.Cursor { // each page is asked of another server
		one = list{}
		v.ask("GET", "/api/v1/deadletters?limit=1&cursor="+url.QueryEscape(cursor), "", 200, &one)
		if len(one.Letters) != 1 || one.Totals.Letters != total || len(seen) > total {
			h.t.Fatalf("page %d of the dead letters is %+v", len(seen), one)
		}
		seen = append(seen, one.Letters[0].Message+" at "+one.Letters[0].Server)
	}
	slices.Sort(seen)
	var want []string
	for i := range h.servers {
		for n := range 2 {
			want = append(want, fmt.Sprintf("letter %d of %d at server-%d", n, i, i))
		}
	}
	slices.Sort(want)
	if !slices.Equal(seen, want) {
		h.t.Errorf("dead letters page by page:\n%q, want\n%q", seen, want)
	}
	v.ask("GET", "/api/v1/deadletters?limit=10&cursor=5", "", 400, nil)
	var all list
	v.ask("GET", "/api/v1/deadletters", "", 200, &all)
	id := all.Letters[0].ID
	for range h.servers {
		if text := v.ask("GET", "/api/v1/deadletters/"+id, "", 200, nil); !strings.Contains(text, all.Letters[0].Message) {
			h.t.Errorf("letter %s is %s", id, text)
		}
	}
	var done struct{ Stored, Dropped int }
	if v.ask("POST", "/api/v1/deadletters/"+id+"/replay?pipelines=false", "", 200, &done); done.Stored != 1 {
		h.t.Errorf("a replay stored %d", done.Stored)
	}
	for range h.servers {
		v.ask("POST", "/api/v1/deadletters/"+id+"/replay?pipelines=false", "", 404, nil)
	}
	if v.ask("DELETE", "/api/v1/deadletters?all=true", "", 200, &done); done.Dropped != total-1 {
		h.t.Errorf("%d of %d letters are dropped", done.Dropped, total-1)
	}
}

// audit holds that what was done at any server is in the log that any shows, page by page, newest first.
func (h *herd) audit(v *visitor) {
	h.t.Helper()
	var mark []string
	for i, s := range h.servers {
		mark = append(mark, fmt.Sprintf("audited-%d", i))
		if code, text, err := s.Request("POST", "/api/v1/tokens", fmt.Sprintf(`{"name":%q,"role":"reader"}`, mark[i])); err != nil || code != 200 {
			h.t.Fatalf("a token: %d %s %v", code, text, err)
		}
	}
	var found []string
	last := "9"
	cursor := ""
	for range 100 {
		var p struct {
			Audit  []struct{ Time, Server, Action, Detail string }
			Cursor string
		}
		v.ask("GET", "/api/v1/audit?limit=5&before="+url.QueryEscape(cursor), "", 200, &p)
		for _, e := range p.Audit {
			if e.Time > last {
				h.t.Errorf("an entry of %s comes behind one of %s", e.Time, last)
			}
			last = e.Time
			for i, m := range mark {
				if e.Action == "token.create" && strings.Contains(e.Detail, m) && e.Server == fmt.Sprintf("server-%d", i) {
					found = append(found, m)
				}
			}
		}
		if cursor = p.Cursor; cursor == "" {
			break
		}
	}
	slices.Sort(found)
	if !slices.Equal(found, mark) || cursor != "" {
		h.t.Errorf("the audit log has %q, want %q each once", found, mark)
	}
}

// tail holds that a live tail shows what any server takes in, once.
func (h *herd) tail(v *visitor) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for range h.servers { // at each of them
		req, err := http.NewRequestWithContext(ctx, "GET", "http://"+h.http.addr+"/api/v1/tail?query=followed", nil)
		if err != nil {
			h.t.Fatal(err)
		}
		req.AddCookie(v.cookie)
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil || resp.StatusCode != 200 {
			h.t.Fatalf("a live tail: %v %v", resp, err)
		}
		want := map[string]int{}
		for i, s := range h.servers {
			for n, header := range [][]string{nil, {"Tally-Source", fmt.Sprint("followed-", time.Now().UnixNano()), "Tally-From", "0"}} { // the second is perhaps admitted by another
				line := fmt.Sprintf("followed %d %d %d", i, n, time.Now().UnixNano())
				want[line] = 1
				if code, text, err := s.Request("POST", "/api/v1/push", fmt.Sprintf(`{"message":%q}`, line), header...); err != nil || code != 200 {
					h.t.Fatalf("a push: %d %s %v", code, text, err)
				}
			}
		}
		lines := bufio.NewScanner(resp.Body)
		for left := len(want); left > 0 && lines.Scan(); {
			data, is := strings.CutPrefix(lines.Text(), "data: ")
			var e struct{ Message string }
			if !is || json.Unmarshal([]byte(data), &e) != nil || e.Message == "" {
				continue
			}
			if want[e.Message]--; want[e.Message] < 0 {
				h.t.Errorf("the live tail shows %q, which is unknown or was there", e.Message)
			}
			left--
		}
		resp.Body.Close()
		for line, n := range want {
			if n > 0 {
				h.t.Errorf("the live tail did not show %q: %v", line, lines.Err())
			}
		}
	}
}

// pushOld stores a line of 25 days ago, which the first retention keeps and the second does not, and returns its day.
func (h *herd) pushOld() string {
	h.t.Helper()
	at := time.Now().UTC().Add(-25 * 24 * time.Hour)
	line := fmt.Sprintf(`{"@timestamp":%q,"message":"old"}`, at.Format(time.RFC3339))
	if code, text, err := h.servers[0].Request("POST", "/api/v1/push", line); err != nil || code != 200 {
		h.t.Fatalf("a push: %d %s %v", code, text, err)
	}
	day := at.Format(time.DateOnly)
	rig.Eventually(h.t, 2*time.Minute, "the old line is stored", func() bool { return slices.Contains(h.days(h.servers[1]), day) })
	return day
}

// days are those that a server lists as stored.
func (h *herd) days(s *rig.Server) (list []string) {
	var ans struct{ Partitions []struct{ Day string } }
	if err := s.Get("/api/v1/storage", nil, &ans); err != nil {
		return nil // it is asked again
	}
	for _, p := range ans.Partitions {
		list = append(list, p.Day)
	}
	return list
}

// removed holds that a day that is past the retention that all servers have now is removed, once, and that all tell of it.
func (h *herd) removed(day string) {
	h.t.Helper()
	for _, s := range h.servers {
		var ans struct {
			Removed []struct{ Day, Reason string }
			Classes []struct {
				Age float64 `json:"age_days"`
			}
		}
		for end := time.Now().Add(4 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
			err := s.Get("/api/v1/storage", nil, &ans)
			if err == nil && len(ans.Removed) > 0 && !slices.Contains(h.days(s), day) {
				break
			}
			if time.Now().After(end) {
				h.t.Fatalf("what is past the retention is not removed, or not told by every server: %+v %v %q", ans, err, h.days(s))
			}
		}
		if len(ans.Removed) != 1 || ans.Removed[0].Day != day || ans.Removed[0].Reason != "age" || len(ans.Classes) != 1 || ans.Classes[0].Age != 20 {
			h.t.Errorf("storage %+v, want the day %s removed, and the age of 20 days", ans, day)
		}
	}
}
