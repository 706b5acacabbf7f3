package cmd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const cleanSample = `pipelines:
- name: web
  processors:
  - grok: {patterns: '^%{WORD:http.request.method} %{NOTSPACE:url.path} %{INT:http.response.status_code:int}$'}
  - drop_event: {when: {equals: {url.path: /healthz}}}
  - if: {range: {http.response.status_code: {gte: 500}}}
    then:
    - add_tags: {tags: broken}
  - drop_fields: {fields: http.request, ignore_missing: true}
  tests:
  - name: ok
    input: GET /a 200
    want: {http.response.status_code: 200, tags: null}
`

// clean runs tally clean on a file with this text.
func runClean(t *testing.T, text, stdin string, args ...string) (code int, out, errOut string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "p.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var o, e bytes.Buffer
	code = Main(append(append([]string{"clean"}, args...), file), strings.NewReader(stdin), &o, &e)
	return code, o.String(), strings.ReplaceAll(e.String(), file, "p.yml")
}

func TestCleanTest(t *testing.T) {
	f := func(text string, code int, out, errOut string) {
		t.Helper()
		gotCode, gotOut, gotErr := runClean(t, text, "", "test")
		if gotCode != code || gotOut != out || gotErr != errOut {
			t.Errorf("%d %q %q\nwant %d %q %q", gotCode, gotOut, gotErr, code, out, errOut)
		}
	}
	f(cleanSample, 0, "ok: 1 pipelines, 1 tests\n", "")
	f(strings.Replace(cleanSample, "code: 200", "code: 201", 1), 1, "FAIL web: ok\n  http.response.status_code: got 200, want 201\n", "tally: 1 of 1 tests fail\n")
	f(strings.Replace(cleanSample, "name: web", "nmae: web", 1), 2, "",
		"tally: p.yml:2: pipelines[0].nmae: unknown key; known here are continue, name, on_failure, processors, tests, use, when; did you mean name?\n")
	f(strings.TrimPrefix(cleanSample, "pipelines:\n"), 0, "ok: 1 pipelines, 1 tests\n", "")
	f("log: {level: info}\npipelines:\n- use: nginx\n", 0, "ok: 1 pipelines, 0 tests\n", "")
	f("log: {level: loud}\npipelines:\n- use: nginx\n", 2, "", "tally: p.yml:1: log.level: \"loud\" is none of debug, info, warn, error\n")
	f("processors:\n- drop_event:\ntests: [{input: x, dropped: true}]\n", 0, "ok: 1 pipelines, 1 tests\n", "")
	f("piplines: []\n", 2, "", "tally: p.yml:1: piplines: unknown key; known here are pipelines; did you mean pipelines?\n")
	if code := Main([]string{"clean", "test", "/no/such/file"}, nil, &bytes.Buffer{}, &bytes.Buffer{}); code != 2 {
		t.Errorf("a file that is not there: %d", code)
	}
}

const cleanLines = "GET /a 200\nGET /healthz 200\nnonsense\nGET /b 500"

func TestCleanRunJSON(t *testing.T) {
	code, out, errOut := runClean(t, cleanSample, cleanLines, "run", "--json")
	want := `{"message":"GET /a 200","url.path":"/a","http.response.status_code":200}
{"message":"nonsense","tags":["_grokparsefailure"],"error.message":"grok: no pattern matches"}
{"message":"GET /b 500","url.path":"/b","http.response.status_code":500,"tags":["broken"]}
`
	if code != 0 || out != want || errOut != "" {
		t.Errorf("%d %s\n got %s\nwant %s", code, errOut, out, want)
	}
}

func TestCleanRun(t *testing.T) {
	code, out, errOut := runClean(t, cleanSample, cleanLines, "run")
	want := `line 1: GET /a 200
  pipeline web
    grok (line 4)
      + http.request.method: "GET"
      + http.response.status_code: 200
      + url.path: "/a"
    drop_fields (line 9)
      - http.request.method
line 2: GET /healthz 200
  pipeline web
    grok (line 4)
      + http.request.method: "GET"
      + http.response.status_code: 200
      + url.path: "/healthz"
    drop_event (line 5): drops the event
  dropped
line 3: nonsense
  pipeline web
    grok (line 4): grok: no pattern matches
      + error.message: "grok: no pattern matches"
      + tags: ["_grokparsefailure"]
    drop_fields (line 9): no change
line 4: GET /b 500
  pipeline web
    grok (line 4)
      + http.request.method: "GET"
      + http.response.status_code: 500
      + url.path: "/b"
      add_tags (line 8)
        + tags: ["broken"]
    drop_fields (line 9)
      - http.request.method
`
	if code != 0 || out != want {
		t.Errorf("%d %s\n got %s\nwant %s", code, errOut, out, want)
	}
	if _, out, _ := runClean(t, "- use: nginx\n", "x\n", "run"); out != "line 1: x\n  no pipeline changes it\n" {
		t.Errorf("got %q", out)
	}
	java := "- processors: [{multiline: {preset: java}}]\n"
	if _, out, _ := runClean(t, java, "a\n\tat b\nc\n", "run", "--json"); out != "{\"message\":\"a\\n\\tat b\",\"log.lines\":2}\n{\"message\":\"c\"}\n" {
		t.Errorf("got %q", out)
	}
}
