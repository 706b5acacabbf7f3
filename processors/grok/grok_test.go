package grok

import (
	"fmt"
	"strings"
	"testing"

	theirs "github.com/elastic/go-grok"

	"github.com/tallylog/tally/processors/processortest"
)

const access = `83.149.9.216 - frank [17/May/2015:10:05:03 +0000] \"GET /presentations/logstash-monitorama-2013/images/kibana-search.png HTTP/1.1\" 200 203023 \"http://semicomplete.com/presentations/logstash-monitorama-2013/\" \"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/32.0.1700.77 Safari/537.36\"`

func TestKit(t *testing.T) { processortest.Check(t, "grok", New) }

func TestProcess(t *testing.T) {
	f := processortest.Rows(t, New)
	f(`patterns: '%{HTTPD_COMBINEDLOG}'`, `{"message":"`+access+`"}`, `{"message":"`+access+`","source.address":"83.149.9.216","user.name":"frank",
		"timestamp":"17/May/2015:10:05:03 +0000","http.request.method":"GET","url.original":"/presentations/logstash-monitorama-2013/images/kibana-search.png","http.version":"1.1",
		"http.response.status_code":200,"http.response.body.size":203023,"http.request.referrer":"http://semicomplete.com/presentations/logstash-monitorama-2013/",
		"user_agent.original":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/32.0.1700.77 Safari/537.36"}`)
	f(`patterns: ['%{INT:n:int} ms', '%{WORD:w}']`, `{"message":"took 007 ms"}`, `{"message":"took 007 ms","n":7}`)
	f(`patterns: ['^%{INT:n:int}$', '%{WORD:w}']`, `{"message":"took 7 ms"}`, `{"message":"took 7 ms","w":"took"}`)
	f(`{patterns: '%{MINE:x.y:float}', pattern_definitions: {MINE: '\d+\.\d+'}, field: f, target_prefix: p}`, `{"f":"a 1.50"}`, `{"f":"a 1.50","p":{"x":{"y":1.5}}}`)
	f(`patterns: '%{INT:a}'`, `{"message":"none"}`, `error: no pattern matches`)
	f(`patterns: '(?P<a>\d+)'`, `{"text":"1"}`, `error: "message" is missing`)
	f(`{patterns: '%{INT:a}', ignore_missing: true}`, `{"text":"1"}`, `{"text":"1"}`)
	f(`{patterns: '%{INT:a}', ignore_failure: true}`, `{"message":"x"}`, `{"message":"x"}`)
	f(`{patterns: '%{INT:a}', overwrite_keys: false}`, `{"message":"1","a":"2"}`, `error: there already`)
	f(`patterns: '%{INT:n:int}'`, `{"message":"99999999999999999999"}`, `error: is no whole number`)
	f(`patterns: '%{TIMESTAMP_ISO8601:@timestamp}'`, `{"message":"x"}`, `error: no pattern`)
	f(`patterns: '(?P<message>b+)'`, `{"message":"abbc"}`, `{"message":"bb"}`)
}

func TestRefused(t *testing.T) {
	f := processortest.Refused(t, New)
	f("field: x\n", "test.yml:1: the key patterns is missing")
	f("patterns: []\n", "test.yml:1: patterns: at least one")
	f("patterns:\n- '%{IPRHOST:a}'\n", "test.yml:2: patterns: the pattern IPRHOST is not known; did you mean IPORHOST?")
	f("patterns: '%{INT:a:integer}'\n", "the type integer is not known")
	f("patterns: '('\n", "missing closing )")
	f("patterns: '%{A:x}'\npattern_definitions: {A: '%{B}%{B}', B: '%{A}%{A}'}\n", "the pattern A contains itself: A > B > A")
	f("patterns: '%{A:x}'\npattern_definitions: {A: '%{B}', B: '%{A}'}\n", "the pattern A contains itself: A > B > A") // took minutes once
	doubled := "patterns: '%{P0}'\npattern_definitions:\n  P40: x\n"
	for i := range 40 {
		doubled += fmt.Sprintf("  P%d: '%%{P%d}%%{P%d}'\n", i, i+1, i+1)
	}
	f(doubled, "the pattern P0 is too long when expanded")
	f("patterns: '%{INT:tally.source}'\n", "cannot be set")
}

// TestBounded holds that a pattern which makes other matchers go back for ever does not.
func TestBounded(t *testing.T) {
	p, err := Compile(`^(?P<a>(a+)+)+$`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := p.Match(nil, strings.Repeat("a", 5000)+"!"); ok {
		t.Error("it matches")
	}
	m := &machine{}
	if got := m.run(p.prog, strings.Repeat("a", 5000)+"!"); got != unsure {
		t.Errorf("the matcher of our own ends with %d, not for want of work", got)
	}
}

func line() string { return strings.ReplaceAll(access, `\"`, `"`) }

// TestOwn holds that common patterns are matched without falling back.
func TestOwn(t *testing.T) {
	p, _ := Compile(`%{HTTPD_COMBINEDLOG}`, nil)
	for _, text := range []string{line(), line()[:150], "", strings.Repeat("x ", 2000), "kernel: something else [1] happened, and this line has nothing of an access log"} {
		m := &machine{}
		if m.run(p.prog, text) == unsure {
			t.Errorf("%.60q needs package regexp", text)
		}
	}
}

func BenchmarkCombined(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `patterns: '%{HTTPD_COMBINEDLOG}'`), `{"message":"`+access+`"}`)
}

func BenchmarkCombinedNoMatch(b *testing.B) {
	p := processortest.Make(b, New, "patterns: '%{HTTPD_COMBINEDLOG}'\nignore_failure: true\n")
	processortest.Bench(b, p, `{"message":"`+access[:200]+`"}`)
}

func BenchmarkSyslog(b *testing.B) {
	processortest.Bench(b, processortest.Make(b, New, `patterns: '%{SYSLOGLINE}'`), `{"message":"May 17 10:05:03 node1 sshd[1234]: Accepted publickey for root from 10.0.0.7 port 51234 ssh2"}`)
}

func BenchmarkCombinedGoGrok(b *testing.B) {
	g, err := theirs.NewComplete()
	if err != nil {
		b.Fatal(err)
	}
	if err := g.Compile(`%{HTTPD_COMBINEDLOG}`, true); err != nil {
		b.Fatal(err)
	}
	text := line()
	b.ReportAllocs()
	for b.Loop() {
		if m, err := g.ParseTypedString(text); err != nil || len(m) != 10 {
			b.Fatal(m, err)
		}
	}
}

func FuzzConfig(f *testing.F) {
	processortest.FuzzConfig(f, New, `patterns: "%{WORD:a} %{NUMBER:b.c:float}"`, `{patterns: ["%{X:y}"], pattern_definitions: {X: "%{Z}", Z: "(?P<z___w>a|%{INT})"}}`, `patterns: ["(?i)^(a|b)*?$", "[^x]{3,}\\b"]`)
}
