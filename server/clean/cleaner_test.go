package clean

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/record"
	"github.com/tallylog/tally/strictyaml"
)

// cleaner has a configuration that the test may change.
func cleaner(t *testing.T, text *string) *Cleaner {
	t.Helper()
	c, err := New(parse(t, *text), func() (strictyaml.Node, error) { return strictyaml.Parse("tally.yml", []byte(*text), noEnvironment) }, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func one(c *Cleaner, line string) string {
	b := &record.Batch{Events: make([]event.Event, 1)}
	b.Events[0].Put("message", line)
	c.Clean(b)
	if len(b.Events) == 0 {
		return "dropped"
	}
	s, _ := b.Events[0].Get("tags")
	return s
}

func TestReload(t *testing.T) {
	text := "- name: a\n  processors: [{add_tags: {tags: one}}]\n"
	c := cleaner(t, &text)
	f := func(config, wantErr, wantTags string) {
		t.Helper()
		text = config
		err := c.Reload()
		if (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Errorf("%v, want %s", err, wantErr)
		}
		if got := one(c, "x"); got != wantTags {
			t.Errorf("tags %s, want %s", got, wantTags)
		}
	}
	if got := one(c, "x"); got != `["one"]` {
		t.Error(got)
	}
	f("- name: a\n  processors: [{add_tags: {tags: two}}]\n", "", `["two"]`)
	f("- name: a\n  processors: [{add_tag: {tags: three}}]\n", "tally.yml:2: [0].processors[0].add_tag: unknown processor", `["two"]`)
	f("- name: a\n  processors: [{add_tags: {tags: four}}]\n  tests: [{input: x, want: {tags: [five]}}]\n", "1 tests fail; a, test 1: tags", `["two"]`)
	f("[", "tally.yml:1", `["two"]`)
	if n := c.Pipelines().List[0].Stats.Events.Load(); n != 5 {
		t.Errorf("the pipeline has counted %d events, not those since start", n)
	}
	f("", "", "")
	c.Load = func() (strictyaml.Node, error) { return strictyaml.Node{}, errors.New("gone") }
	f("", "gone", "")
	c.Load = nil
	f("", "without a configuration file", "")
}

// TestConcurrent changes the pipelines while batches pass.
func TestConcurrent(t *testing.T) {
	text := "- processors: [{add_tags: {tags: one}}, {grok: {patterns: '%{INT:n}'}}]\n"
	c := cleaner(t, &text)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 200 {
				if got := one(c, "17"); got != `["one"]` {
					t.Error(got)
					return
				}
			}
		})
	}
	for range 20 {
		if err := c.Reload(); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
}

func TestHandlers(t *testing.T) {
	text := "- name: web\n  when: {contains: {message: GET}}\n  processors: [{grok: {patterns: '^%{WORD:verb} %{INT:n:int}'}}, {drop_event: {when: {equals: {n: 0}}}}]\n"
	c := cleaner(t, &text)
	mux := http.NewServeMux()
	allowed := true
	c.Routes(mux, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !allowed {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			h.ServeHTTP(w, r)
		})
	})
	f := func(method, path, body string, code int, want string) {
		t.Helper()
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
		got := w.Body.String()
		if w.Code != code || !strings.Contains(got, want) {
			t.Errorf("%s %s: %d %s\nwant %d %s", method, path, w.Code, got, code, want)
		}
	}
	one(c, "GET x")
	f("GET", "/api/v1/pipelines", "", 200, `"continue":false,"dropped":0,"events":1,"joined":0,"made":0,"name":"web","rejected":0,"steps":[{"processor":"grok"`)
	f("GET", "/api/v1/pipelines", "", 200, `"failures":1`)
	f("POST", "/api/v1/pipelines/test", `{"lines":["GET 1"]}`, 200, `"event":{"message":"GET 1","verb":"GET","n":1}`)
	f("POST", "/api/v1/pipelines/test", `{"lines":["GET 1"]}`, 200, `"processor":"grok","set":{"n":1,"verb":"GET"}`)
	f("POST", "/api/v1/pipelines/test", `{"events":[{"message":"GET 0"}]}`, 200, `"dropped":true,"event":null`)
	f("POST", "/api/v1/pipelines/test", `{"lines":["GET"]}`, 200, `"error":"grok: no pattern matches"`)
	f("POST", "/api/v1/pipelines/test", `{"config":"- processors: [{add_tags: {tags: t}}]\n  tests: [{input: x, want: {y: 1}}]","lines":["a"]}`, 200, `"tests":{"failed":[{"pipeline":"pipeline 1","case":"test 1"`)
	f("POST", "/api/v1/pipelines/test", `{"config":"- processors: [{add_tagz: }]"}`, 400, `config:1: [0].processors[0].add_tagz: unknown processor`)
	f("POST", "/api/v1/pipelines/test", `{"config":"pipelines: /etc/passwd"}`, 400, `a list is wanted`)
	f("POST", "/api/v1/pipelines/test", `{"config":"- processors: [{add_tags: {tags: \"${HOME}\"}}]"}`, 400, `HOME is not set`)
	f("POST", "/api/v1/pipelines/test", `nonsense`, 400, `the body is not`)
	f("POST", "/api/v1/pipelines/test", `{"events":[1]}`, 400, `not a JSON object`)
	f("POST", "/api/v1/pipelines/test", `{"lines":[`+strings.Repeat(`"",`, 1001)+`""]}`, 400, `at most 1000`)
	f("POST", "/api/v1/pipelines/reload", "", 200, `{"pipelines":1}`)
	text = "- x\n"
	f("POST", "/api/v1/pipelines/reload", "", 409, "tally.yml:1")
	allowed = false
	f("GET", "/api/v1/pipelines", "", 403, "")
	f("POST", "/api/v1/pipelines/reload", "", 403, "")
	if n := c.Pipelines().List[0].Stats.Events.Load(); n != 1 {
		t.Errorf("a try counts: %d", n)
	}
}

func TestExplain(t *testing.T) {
	p := pipelines(t, "- processors:\n  - multiline: {pattern: '^ '}\n  - add_tags: {tags: t}\n  - drop_fields: {fields: x, ignore_missing: true}\n  - drop_event: {when: {equals: {message: z}}}\n")
	b, err := batch([]string{`{"message":"a","x":1}`, `{"message":" b"}`, `{"message":"z"}`})
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(Results(p.Explain(b)))
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"dropped":false,"event":{"message":"a\n b","log.lines":2,"tags":["t"]},"joined":false,"steps":[` +
		`{"line":2,"pipeline":"pipeline 1","processor":"multiline","set":{"log.lines":2,"message":"a\n b"}},` +
		`{"line":3,"pipeline":"pipeline 1","processor":"add_tags","set":{"tags":["t"]}},{"line":4,"pipeline":"pipeline 1","processor":"drop_fields","removed":["x"],"set":{}}]},` +
		`{"dropped":false,"event":null,"joined":true,"steps":[]},` +
		`{"dropped":true,"event":null,"joined":false,"steps":[{"line":2,"pipeline":"pipeline 1","processor":"multiline","set":{}},` +
		`{"line":3,"pipeline":"pipeline 1","processor":"add_tags","set":{"tags":["t"]}},{"line":4,"pipeline":"pipeline 1","processor":"drop_fields","set":{}},` +
		`{"dropped":true,"line":5,"pipeline":"pipeline 1","processor":"drop_event","set":{}}]}]`
	if string(got) != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}
