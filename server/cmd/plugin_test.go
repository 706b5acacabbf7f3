package cmd

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tallylog/tally/plugins/host"
	"github.com/tallylog/tally/plugins/plugintest"
)

// written is what a command writes while it runs.
type written struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *written) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *written) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// TestExamples takes lines through both examples of plugins, in Go and in Python, with tally serve, push, query and plugin list.
func TestExamples(t *testing.T) {
	lines, keywords := plugintest.Program(t, "../../plugins/examples/lines"), plugintest.Program(t, "../../plugins/examples/keywords/keywords.py")
	sum := func(path string) string {
		s, err := host.Checksum(path)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	file := filepath.Join(t.TempDir(), "tally.yml")
	write := func(sum1 string) {
		text := fmt.Sprintf(`plugins:
- {name: lines, path: %s, checksum: "%s", config: {separator: "|"}}
- {name: keywords, path: %s, checksum: "%s"}
pipelines:
- name: all
  processors:
  - plugin: {name: lines}
  - if: {has_fields: [wanted]}
    then:
    - plugin: {name: keywords, config: {words: [red, green], drop: noise}}
  tests:
  - {input: {message: "a red|b", wanted: 1}, want: [{message: a red, keywords: [red]}, {message: b, keywords: null}]}
`, lines, sum1, keywords, sum(keywords))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("sha256:" + strings.Repeat("1", 64))
	var out written
	if code := Main([]string{"serve", "-c", file, "--data", t.TempDir(), "--http", "127.0.0.1:0", "--lumberjack", ""}, nil, &out, &out); code != exitUsage || !strings.Contains(out.String(), "tally.yml:2: plugins[0].checksum: the file") {
		t.Errorf("a wrong checksum: exit %d: %s", code, &out)
	}
	write(sum(lines))
	var tested written
	if code := Main([]string{"clean", "test", file}, nil, &tested, &tested); code != 0 {
		t.Errorf("clean test: exit %d: %s", code, &tested)
	}

	t.Setenv("TALLY_ADMIN_PASSWORD", "a long enough password")
	ctx, cancel := context.WithCancel(t.Context())
	serving := &written{}
	root := New()
	root.SetArgs([]string{"serve", "-c", file, "--data", t.TempDir(), "--http", "127.0.0.1:0", "--lumberjack", ""})
	root.SetOut(serving)
	root.SetErr(serving)
	ended := make(chan error, 1)
	go func() { ended <- root.ExecuteContext(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	var url []string
	for end := time.Now().Add(time.Minute); url == nil; time.Sleep(20 * time.Millisecond) {
		if url = regexp.MustCompile(`page and API  (http://\S+)`).FindStringSubmatch(serving.String()); time.Now().After(end) {
			t.Fatalf("the server does not start: %s", serving)
		}
	}
	t.Setenv("TALLY_URL", url[1])
	t.Setenv("TALLY_USER", "admin")
	t.Setenv("TALLY_PASSWORD", "a long enough password")
	tally := func(in string, args ...string) string {
		t.Helper()
		var out written
		if code := Main(args, strings.NewReader(in), &out, &out); code != 0 {
			t.Fatalf("%s: exit %d: %s", args, code, &out)
		}
		return out.String()
	}
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, `{"message":"first %d red|second %d green red","wanted":1}`+"\n"+`{"message":"noise %d","wanted":1}`+"\n"+`{"message":"plain %d"}`+"\n", i, i, i, i)
	}
	tally(b.String(), "push", "-")
	count := func(query string, want int) {
		t.Helper()
		got := -1
		for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if got = strings.Count(tally("", "query", "--limit", "10000", query), "\n"); got == want {
				return
			}
		}
		t.Errorf("%s: %d events, want %d", query, got, want)
	}
	count("plain", 100)
	count("first keywords:red", 100)
	count("second keywords:green log.line:=2", 100)
	count("noise", 0)
	list := tally("", "plugin", "list")
	for _, want := range []string{"NAME", "lines", "keywords", "running"} {
		if !strings.Contains(list, want) {
			t.Errorf("tally plugin list lacks %s:\n%s", want, list)
		}
	}
	if js := tally("", "plugin", "list", "--json"); !strings.Contains(js, `"name":"keywords","version":"1.0"`) || !strings.Contains(js, `"dropped":100`) || !strings.Contains(js, `"made":100`) {
		t.Error(js)
	}
}

func TestPluginCheck(t *testing.T) {
	f := func(path, config, want string, code int) {
		t.Helper()
		var out written
		if got := Main([]string{"plugin", "check", "--config", config, path}, nil, &out, &out); got != code || !strings.Contains(out.String(), want) {
			t.Errorf("exit %d, want %d, with %q:\n%s", got, code, want, &out)
		}
	}
	lines := plugintest.Program(t, "../../plugins/examples/lines")
	sum, err := host.Checksum(lines)
	if err != nil {
		t.Fatal(err)
	}
	f(lines, "max: 5", "plugins:\n- name: lines\n  path: "+lines+"\n  checksum: "+sum, 0)
	f(lines, "maxx: 5", "unknown option of the plugin; known here are max, separator; did you mean max?", exitFailed)
	f("/no/such/file", "", "no such file", exitFailed)
	rogue := plugintest.Program(t, "../../plugins/plugintest/rogue")
	f(rogue, "mode: garbage", "FAIL an empty batch", exitFailed)
	if err := os.Chmod(lines, 0o722); err != nil {
		t.Fatal(err)
	}
	f(lines, "", "others can change it (mode 0722)", exitFailed)
	if err := os.Chmod(lines, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(lines), 0o777); err != nil {
		t.Fatal(err)
	}
	f(lines, "", "others can write to the directory", exitFailed)
}
