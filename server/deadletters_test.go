package server

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/server/config"
	"github.com/tallylog/tally/strictyaml"
)

// TestDeadLetters: a pipeline rejects lines; they are seen, stay over a restart, and are stored exactly once after it is mended, however
// often they are replayed and sent again. Each sees what its scope allows.
func TestDeadLetters(t *testing.T) {
	const broken = "pipelines:\n- name: numbers\n  on_failure: dead_letter\n  processors:\n  - grok: {patterns: 'line %{INT:even:int}0$'}\n"
	text := broken
	config := func(o *Options) {
		c, err := config.Parse("tally.yml", []byte(broken), os.LookupEnv)
		if err != nil {
			t.Fatal(err)
		}
		o.Config.Pipelines = c.Pipelines
		o.ReadPipelines = func() (strictyaml.Node, error) {
			n, err := strictyaml.Parse("tally.yml", []byte(text), os.LookupEnv)
			return n.At("pipelines"), err
		}
	}
	dir := t.TempDir()
	r := runWith(t, dir, config)
	send := func() { r.push(numbered(0, 100), "Tally-Source", "s", "Tally-From", "0") }
	send()
	send()
	r.push(`{"message":"no position","kubernetes":{"namespace":"ns1"}}`)
	r.count("*", 9) // 10, 20, …: the pattern wants a digit before the 0
	type list struct {
		Letters []struct {
			ID, Reason, Message, Namespace string
			Times                          int
		}
		Cursor string
		Totals *struct{ Letters, Rejected, Replayed int }
	}
	letters := func(query string, header ...string) (l list) {
		t.Helper()
		code, ans, _ := r.do("GET", "/api/v1/deadletters?"+query, "", header...)
		if err := json.Unmarshal([]byte(ans), &l); code != 200 || err != nil {
			t.Fatalf("%d %s %v", code, ans, err)
		}
		return l
	}
	l := letters("limit=1000")
	if len(l.Letters) != 92 || l.Totals.Letters != 92 || l.Letters[1].Times != 2 || !strings.Contains(l.Letters[0].Reason, "grok: ") {
		t.Fatalf("%d letters, totals %+v, the newest %+v", len(l.Letters), l.Totals, l.Letters[:2])
	}
	sources := func(want string) {
		t.Helper()
		if _, ans, _ := r.do("GET", "/api/v1/sources?name=s", ""); !strings.Contains(ans, want) {
			t.Errorf("the account of s has no %s: %s", want, ans)
		}
	}
	sources(`"gaps":[{"from":0,"to":10,"reason":"rejected"},{"from":11,"to":20,"reason":"rejected"}`)

	// What became of a line that was rejected is told with who did it, why, and where it is now.
	if _, ans, _ := r.do("GET", "/api/v1/explain?name=s&position=13", ""); !strings.Contains(ans, `"state":"lost"`) ||
		!strings.Contains(ans, "Line 13 of s was rejected by the pipeline numbers (grok: no pattern matches). It is the dead letter ") {
		t.Errorf("a rejected line is explained by %s", ans)
	}

	// Who may see and do what.
	_, ans, _ := r.do("POST", "/api/v1/tokens", `{"name":"x","role":"operator","namespaces":["ns1"]}`)
	var token, reader struct{ Token string }
	_ = json.Unmarshal([]byte(ans), &token)
	_, ans, _ = r.do("POST", "/api/v1/tokens", `{"name":"y","role":"reader"}`)
	_ = json.Unmarshal([]byte(ans), &reader)
	scoped, reads := []string{"Authorization", "Bearer " + token.Token}, []string{"Authorization", "Bearer " + reader.Token}
	narrow := letters("limit=1000", scoped...)
	for _, x := range narrow.Letters {
		if x.Namespace != "ns1" {
			t.Errorf("a token of ns1 sees %+v", x)
		}
	}
	if len(narrow.Letters) == 0 || narrow.Totals != nil {
		t.Errorf("a token of ns1 sees %d letters and totals %+v", len(narrow.Letters), narrow.Totals)
	}
	foreign := ""
	for _, x := range l.Letters {
		if x.Namespace == "ns2" {
			foreign = "/api/v1/deadletters/" + x.ID
		}
	}
	for _, c := range []struct {
		method, path string
		header       []string
		want         int
	}{
		{"GET", foreign, nil, 200}, {"GET", foreign, scoped, 404}, {"DELETE", foreign, scoped, 404}, {"POST", foreign + "/replay", scoped, 404},
		{"GET", foreign, reads, 200}, {"DELETE", foreign, reads, 403}, {"POST", "/api/v1/deadletters/replay?all=true", reads, 403},
		{"DELETE", "/api/v1/deadletters", nil, 400}, {"POST", "/api/v1/deadletters/replay", nil, 400}, {"GET", "/api/v1/deadletters?limit=0", nil, 400},
		{"GET", "/api/v1/deadletters?x=1", nil, 400}, {"GET", "/api/v1/deadletters?start=soon", nil, 400}, {"POST", "/api/v1/deadletters/replay?all=true&pipelines=x", nil, 400},
	} {
		if code, ans, _ := r.do(c.method, c.path, "", c.header...); code != c.want {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, code, ans, c.want)
		}
	}

	replay := func(query, want string) {
		t.Helper()
		if code, ans, _ := r.do("POST", "/api/v1/deadletters/replay?"+query, ""); code != 200 || strings.TrimSpace(ans) != want {
			t.Errorf("replay %s: %d %s, want %s", query, code, ans, want)
		}
	}
	replay("all=true", `{"stored":0,"duplicates":0,"dropped":0,"rejected":92}`)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = runWith(t, dir, config)
	text = "pipelines:\n- name: numbers\n  on_failure: dead_letter\n  processors:\n  - drop_event: {when: {contains: {message: '5'}}}\n  - grok: {patterns: '%{WORD:first} '}\n"
	if code, ans, _ := r.do("POST", "/api/v1/pipelines/reload", ""); code != 200 {
		t.Fatal(ans)
	}
	replay("namespace=ns0&source=s", `{"stored":25,"duplicates":0,"dropped":6,"rejected":0}`)
	send()
	replay("start=-1h", `{"stored":1,"duplicates":48,"dropped":12,"rejected":0}`)
	replay("all=true", `{"stored":0,"duplicates":0,"dropped":0,"rejected":0}`)
	r.count("*", 9+25+48+1)
	r.count("first:=no", 1)
	sources(`"ranges":[[0,100]],"gaps":[]`)
	if got := letters(""); len(got.Letters) != 0 || got.Totals.Replayed != 92 {
		t.Errorf("at the end there are %+v", got)
	}
}

// TestTooOld: what is older than the retention is no line that was lost without a word.
func TestTooOld(t *testing.T) {
	r := runWith(t, t.TempDir(), func(o *Options) { o.Config.Retention.Age = config.Duration(48 * time.Hour) })
	r.push(`{"@timestamp":"2020-01-01T00:00:00Z","message":"old"}`+"\n"+`{"message":"new"}`, "Tally-Source", "s", "Tally-From", "0")
	r.count("*", 1)
	_, ans, _ := r.do("GET", "/api/v1/deadletters?stage=store", "")
	if !strings.Contains(ans, `"reason":"too_old`) || !strings.Contains(ans, `"message":"old"`) {
		t.Errorf("the letters: %s", ans)
	}
	if _, ans, _ = r.do("GET", "/api/v1/sources?name=s", ""); !strings.Contains(ans, `"ranges":[[1,2]],"gaps":[{"from":0,"to":1,"reason":"rejected"}]`) {
		t.Errorf("the account: %s", ans)
	}
}
