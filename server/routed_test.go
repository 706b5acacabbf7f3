package server

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/server/config"
)

// TestRouteToTenants: a pipeline hands lines over to other tenants. Each is found there once, however often it is sent, and nowhere else; the account of
// the source is whole where it is sent.
func TestRouteToTenants(t *testing.T) {
	const text = `pipelines:
- name: teams
  processors:
  - grok: {patterns: ["line %{WORD:team} %{INT:n:int}"]}
  - if: {range: {n: {lt: 30}}}
    then: [{route: {tenant: "%{[team]:}"}}]
  - drop_event: {when: {equals: {team: noise}}}
`
	dir := t.TempDir()
	configured := func(o *Options) {
		c, err := config.Parse("tally.yml", []byte(text), os.LookupEnv)
		if err != nil {
			t.Fatal(err)
		}
		o.Config.Pipelines = c.Pipelines
	}
	r := runWith(t, dir, configured)
	readers := map[string][]string{}
	for _, name := range []string{"red", "blue"} {
		if code, ans, _ := r.do("POST", "/api/v1/tenants", `{"name":"`+name+`"}`); code/100 != 2 {
			t.Fatal(code, ans)
		}
		readers[name] = r.bearer(`{"name":"reader-` + name + `","role":"reader","tenant":"` + name + `"}`)
	}
	var lines strings.Builder
	for i := range 50 {
		lines.WriteString(`{"message":"line ` + []string{"red", "blue", "green", "noise", "red"}[i%5] + ` ` + string(rune('0'+i/10)) + string(rune('0'+i%10)) + `"}` + "\n")
	}
	for range 3 { // a client that never saw the answer
		if code, ans, _ := r.do("POST", "/api/v1/push", lines.String(), "Tally-Source", "s", "Tally-From", "0"); code != 200 || strings.Contains(ans, `"reason"`) {
			t.Fatal(code, ans)
		}
	}
	count := func(query, want string, header ...string) {
		t.Helper()
		var ans string
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) { // rows become searchable within a second or two
			if _, ans, _ = r.do("GET", "/api/v1/count?query="+query, "", header...); strings.TrimSpace(ans) == `{"count":`+want+`}` {
				return
			}
		}
		t.Fatalf("%s: %s, want %s", query, ans, want)
	}
	count("team:=red", "12", readers["red"]...)
	count("*", "12", readers["red"]...)
	count("*", "6", readers["blue"]...)
	count("team:=red", "8") // those from 30 on stay
	count("team:=green", "10")
	count("tags:_route_unknown_tenant", "6")
	count("*", "22")
	if _, ans, _ := r.do("GET", "/api/v1/sources", ""); !strings.Contains(ans, `"ranges":[[0,50]]`) || !strings.Contains(ans, `"gaps":[]`) {
		t.Errorf("the account: %s", ans)
	}
	if _, ans, _ := r.do("GET", "/api/v1/sources", "", readers["red"]...); strings.Contains(ans, `"ranges"`) {
		t.Errorf("the other tenant has an account: %s", ans)
	}
	for range 2 { // the second time it is read from the checkpoint
		for position, says := range map[string]string{"0": "handed over to the tenant red", "33": "pipeline teams, processor drop_event"} {
			if said := r.explained("name=s&position="+position, "skipped")["sentence"].(string); !strings.Contains(said, says) {
				t.Errorf("line %s: %s", position, said)
			}
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r = runWith(t, dir, configured)
	}
}
