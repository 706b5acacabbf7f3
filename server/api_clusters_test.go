package server

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// clustered are events in the clusters red-0, red-1 and red-2 by turns, and in the namespaces ns0 and ns1 by turns.
func clustered(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "{\"message\":\"line %d\",\"kubernetes\":{\"namespace\":\"ns%d\"},\"orchestrator\":{\"cluster\":{\"name\":\"red-%d\"}}}\n", i, i%2, i%3)
	}
	return b.String()
}

func (r *running) bearer(request string) []string {
	r.t.Helper()
	return []string{"Authorization", "Bearer " + r.token(request)}
}

// around are queries by which a reader of one cluster could try to see another.
var around = []string{
	"", "*", `* OR ""`, "line OR *", "orchestrator.cluster.name:*", "orchestrator.cluster.name:=red-0 OR *", "NOT orchestrator.cluster.name:=red-1 OR line",
	"orchestrator.cluster.name:in(red-0,red-1,red-2)", `orchestrator.cluster.name:~".*"`, `"orchestrator.cluster.name":red OR line`, `orchestrator.cluster.name:"" OR line`,
	"(orchestrator.cluster.name:=red-0) OR (orchestrator.cluster.name:=red-2) OR (*)", "-orchestrator.cluster.name:=red-9", "i(LINE) OR kubernetes.namespace:*",
}

// TestClusterScopeOfSearches: credentials of some clusters see those, whatever they ask for and wherever.
func TestClusterScopeOfSearches(t *testing.T) {
	r := run(t, t.TempDir())
	r.push(clustered(0, 60) + `{"message":"line of nowhere"}`)
	r.count("*", 61)
	code, ans, _ := r.do("POST", "/api/v1/users", `{"name":"ann","password":"long enough","role":"admin","clusters":["red-1"]}`)
	if code != 200 || !strings.Contains(ans, `"clusters":["red-1"]`) {
		t.Fatalf("%d %s", code, ans)
	}
	basic, _ := http.NewRequest("GET", "/", nil)
	basic.SetBasicAuth("ann", "long enough")
	foreign := regexp.MustCompile(`red-\d`)
	paths := append([]string{"/api/v1/values?field=orchestrator.cluster.name", "/api/v1/values?field=orchestrator.cluster.name&prefix=red", "/api/v1/stats?by=orchestrator.cluster.name",
		"/api/v1/stats?fn=max(orchestrator.cluster.name)", "/api/v1/hits?step=1h&by=orchestrator.cluster.name", "/api/v1/export?format=csv&fields=orchestrator.cluster.name"}, searching...)
	for who, c := range []struct {
		what   string
		header []string
		sees   string
		count  int
	}{
		{"one cluster", r.bearer(`{"name":"a","role":"reader","clusters":["red-1"]}`), "red-1", 20},
		{"an admin of one cluster", []string{"Authorization", basic.Header.Get("Authorization")}, "red-1", 20},
		{"an operator of two, by pattern", r.bearer(`{"name":"b","role":"operator","clusters":["*-2","r*0"]}`), "red-0 red-2", 40},
		{"another cluster", r.bearer(`{"name":"c","role":"reader","clusters":["red","RED-1","red-11"]}`), "", 0},
		{"a cluster and a namespace", r.bearer(`{"name":"d","role":"reader","clusters":["red-1"],"namespaces":["ns0"]}`), "red-1", 10},
		{"a cluster and a foreign namespace", r.bearer(`{"name":"e","role":"reader","clusters":["red-1"],"namespaces":["red-1"]}`), "", 0},
	} {
		for n, q := range around {
			for i, path := range paths {
				if !strings.HasPrefix(path, "/api/v1/count") && (who+n+i)%6 != 0 { // each query meets each path, from one of the six
					continue
				}
				code, ans, _ := r.do("GET", path+"&query="+url.QueryEscape(q), "", c.header...)
				if code != 200 {
					t.Errorf("%s, %s, %s: %d %s", c.what, path, q, code, ans)
				}
				if strings.HasPrefix(path, "/api/v1/query/explain") { // repeats the query
					continue
				}
				for _, cluster := range foreign.FindAllString(ans, -1) {
					if !strings.Contains(c.sees, cluster) {
						t.Errorf("%s, %s, %s shows %s: %.300s", c.what, path, q, cluster, ans)
						break
					}
				}
				if strings.Contains(ans, "nowhere") || strings.HasPrefix(path, "/api/v1/count") && ans != fmt.Sprintf("{\"count\":%d}\n", c.count) {
					t.Errorf("%s, %s, %s: %.300s", c.what, path, q, ans)
				}
			}
		}
		for _, path := range []string{"/api/v1/sources", "/api/v1/sources/x", "/api/v1/explain?id=x", "/api/v1/agents"} {
			if code, ans, _ := r.do("GET", path, "", c.header...); code != 403 {
				t.Errorf("%s, %s: %d %s", c.what, path, code, ans)
			}
		}
		for _, p := range []string{"clusters=*", "cluster=red-0", "scope=*", "orchestrator.cluster.name=red-0", "query=*)+OR+(*", "query=*|*"} {
			if code, ans, _ := r.do("GET", "/api/v1/query?"+p, "", c.header...); code != 400 {
				t.Errorf("%s, %s: %d %s", c.what, p, code, ans)
			}
		}
	}
}

// TestClusterScopeOfContext: the id of an event of a foreign cluster is as good as none, and neighbours are only the caller's own.
func TestClusterScopeOfContext(t *testing.T) {
	r := run(t, t.TempDir())
	r.push(clustered(0, 60), "Tally-Source", "s", "Tally-From", "0")
	r.count("*", 60)
	mine, foreign := r.id(`"line 31"`), r.id(`"line 30"`)
	bearer := r.bearer(`{"name":"s","role":"reader","clusters":["red-1"]}`)
	code, ans, _ := r.do("GET", "/api/v1/context?before=5&after=5&id="+url.QueryEscape(mine), "", bearer...)
	if code != 200 || strings.Count(ans, `"red-1"`) != 11 || strings.Count(ans, "\n") != 11 {
		t.Errorf("the context of an event of one's own: %d %s", code, ans)
	}
	for _, header := range [][]string{bearer, r.bearer(`{"name":"b","role":"admin","clusters":["red-1","red-2"],"namespaces":["ns1"]}`)} {
		if code, ans, _ := r.do("GET", "/api/v1/context?id="+url.QueryEscape(foreign), "", header...); code != 404 || strings.Contains(ans, "red") {
			t.Errorf("the context of a foreign event: %d %s", code, ans)
		}
	}
	if code, ans, _ := r.do("GET", "/api/v1/query?query="+url.QueryEscape("_id:="+foreign), "", bearer...); code != 200 || ans != "" {
		t.Errorf("a foreign event by its id: %d %s", code, ans)
	}
}

// TestClusterScopeOfTails: a live tail sends the events of its own cluster and no other. The event that ends each shows that
// nothing stood before it.
func TestClusterScopeOfTails(t *testing.T) {
	r := run(t, t.TempDir())
	bearer := r.bearer(`{"name":"s","role":"reader","clusters":["red-1"]}`)
	for n, q := range around {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", r.url+"/api/v1/tail?query="+url.QueryEscape(q), nil)
		req.Header.Set(bearer[0], bearer[1])
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(err, resp)
		}
		lines := bufio.NewScanner(resp.Body)
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), ":") { // the watch stands
			t.Fatalf("a live tail begins with %q", lines.Text())
		}
		r.push(clustered(0, 30) + `{"message":"line of nowhere"}`)
		r.push(fmt.Sprintf(`{"message":"line end %d","kubernetes.namespace":"x","orchestrator.cluster.name":"red-1"}`, n))
		got := 0
		for lines.Scan() {
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok {
				continue
			}
			var e map[string]string
			if err := json.Unmarshal([]byte(data), &e); err != nil || e["orchestrator.cluster.name"] != "red-1" {
				t.Fatalf("%s: %v %s", q, err, data)
			}
			if e["message"] == fmt.Sprintf("line end %d", n) {
				break
			}
			got++
		}
		resp.Body.Close()
		if got != 10 || lines.Err() != nil {
			t.Errorf("%s: %d events, want 10; %v", q, got, lines.Err())
		}
	}
}

// TestClusterScopeOfPushes: whoever may write to one cluster can name no other, in whatever form; all that is accepted is in
// their own.
func TestClusterScopeOfPushes(t *testing.T) {
	r := run(t, t.TempDir())
	one, many := r.bearer(`{"name":"one","role":"push","clusters":["red-1"]}`), r.bearer(`{"name":"many","role":"push","clusters":["red-1","eu-*"]}`)
	both := r.bearer(`{"name":"both","role":"push","clusters":["red-1"],"namespaces":["ns0"]}`)
	accepted := 0
	f := func(who []string, fields string, want int, header ...string) {
		t.Helper()
		code, ans, _ := r.do("POST", "/api/v1/push", `{"message":"pushed"`+fields+`}`, append(header, who...)...)
		var n struct{ Accepted int }
		if code == 200 {
			if err := json.Unmarshal([]byte(ans), &n); err != nil || n.Accepted != 1 {
				t.Errorf("%s: %v %s", fields, err, ans)
			}
			accepted += n.Accepted
		}
		if want != 0 && code != want || code != 200 && code != 403 {
			t.Errorf("%s: %d %s, want %d", fields, code, ans, want)
		}
	}
	f(one, ``, 200)
	f(one, `,"orchestrator.cluster.name":"red-1"`, 200)
	f(one, `,"orchestrator":{"cluster":{"name":"red-1"}}`, 200)
	for _, name := range []string{`"red-0"`, `"Red-1"`, `"red-1 "`, `" red-1"`, `"red-1\u0000"`, `"red-1\n"`, `"red-1,red-0"`, `"red-*"`, `"*"`, `""`, `1`, `true`, `["red-1"]`, `["red-1","red-0"]`} {
		f(one, `,"orchestrator.cluster.name":`+name, 403)
		f(one, `,"orchestrator":{"cluster":{"name":`+name+`}}`, 403)
		f(many, `,"orchestrator":{"cluster.name":`+name+`}`, 403)
	}
	f(one, `,"orchestrator.cluster.name":"red-0"`, 403, "Tally-Cluster", "red-1", "X-Scope-OrgID", "red-1")
	// What names two clusters, or in place of a name an object or nothing, is refused or becomes the one that is allowed.
	for _, fields := range []string{
		`,"orchestrator.cluster.name":"red-1","orchestrator":{"cluster":{"name":"red-0"}}`, `,"orchestrator":{"cluster":{"name":"red-0"}},"orchestrator.cluster.name":"red-1"`,
		`,"orchestrator.cluster.name":"red-1","orchestrator.cluster.name":"red-0"`, `,"orchestrator.cluster.name":"red-0","orchestrator.cluster.name":"red-1"`,
		`,"orchestrator":{"cluster":{"name":{"x":"red-0"}}}`, `,"orchestrator":{"cluster":{"name":null}}`, `,"orchestrator.cluster.name":{}`, `,"orchestrator":"red-0"`, `,"orchestrator.cluster":"red-0"`,
		`,"orchestrator":{"cluster":{"name":"red-1"}},"orchestrator":{"cluster":{"name":"red-0"}}`, `,"@metadata":{"orchestrator.cluster.name":"red-0"}`,
	} {
		f(one, fields, 0)
	}
	f(many, ``, 403)
	f(many, `,"kubernetes":{"namespace":"red-1"}`, 403)
	f(both, ``, 200)
	f(both, `,"kubernetes.namespace":"ns0"`, 200)
	f(both, `,"kubernetes.namespace":"ns1"`, 403)
	f(both, `,"kubernetes.namespace":"ns0","orchestrator.cluster.name":"red-0"`, 403)
	f(both, `,"kubernetes.namespace":"red-1","orchestrator.cluster.name":"ns0"`, 403)
	code, ans, _ := r.do("POST", "/api/v1/push", `{"message":"pushed"}`+"\n"+clustered(0, 1), one...)
	if code != 200 || !strings.Contains(ans, `"accepted":1`) || !strings.Contains(ans, `{"line":2,"reason":"kubernetes.namespace or orchestrator.cluster.name is outside`) {
		t.Errorf("an event that is allowed beside one that is not: %d %s", code, ans)
	}
	accepted++
	bulk := `{"create":{"_index":"apps"}}` + "\n" + `{"message":"pushed","orchestrator":{"cluster":{"name":"red-0"}}}` + "\n"
	if code, ans, _ := r.do("POST", "/_bulk", bulk, append(one, "Content-Type", "application/x-ndjson")...); code != 403 {
		t.Errorf("_bulk: %d %s", code, ans)
	}
	if code, ans, _ := r.do("POST", "/loki/api/v1/push", `{"streams":[{"stream":{"cluster":"red-0"},"values":[["1763773323123456789","pushed"]]}]}`, append(one, "Content-Type", "application/json")...); code != 403 {
		t.Errorf("Loki: %d %s", code, ans)
	}
	r.push(`{"message":"last"}`)
	r.count("last", 1) // and with it all that was accepted before
	r.count("pushed", accepted)
	r.count("pushed orchestrator.cluster.name:=red-1", accepted)
	if accepted < 6 {
		t.Error("only " + strconv.Itoa(accepted) + " events are accepted")
	}
}
