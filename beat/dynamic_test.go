package beat

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/elastic/beats/v7/libbeat/common"
)

// node is a directory with an agent under Filebeat's name, its files, and what it ships.
type node struct {
	t    *testing.T
	home string
}

func newNode(t *testing.T) *node { return &node{t, t.TempDir()} }

func (n *node) path(name string) string { return filepath.Join(n.home, name) }

func (n *node) write(name, text string) {
	n.t.Helper()
	if err := os.MkdirAll(filepath.Dir(n.path(name)), 0o755); err != nil {
		n.t.Fatal(err)
	}
	// Files appear under a name that no pattern has, so that none is read half written.
	if err := os.WriteFile(n.path(name+".new"), []byte(text), 0o600); err != nil {
		n.t.Fatal(err)
	}
	if err := os.Rename(n.path(name+".new"), n.path(name)); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) start(config string) (out *output, stop func() int) {
	n.t.Helper()
	config = strings.ReplaceAll(config, "HOME", n.home) + fmt.Sprintf("output.file: {path: %q, filename: out}\n", n.home)
	n.write("filebeat.yml", config)
	cmd, out := agent(n.t, n.home, n.path("filebeat.yml"), "-e")
	cmd.Args[0] = "filebeat"
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	return out, func() int {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		return cmd.ProcessState.ExitCode()
	}
}

// event is the one with this message, nil while there is none.
func (n *node) event(message string) common.MapStr {
	names, _ := filepath.Glob(n.path("out*"))
	for _, name := range names {
		text, _ := os.ReadFile(name)
		for line := range strings.Lines(string(text)) {
			var e common.MapStr
			if json.Unmarshal([]byte(line), &e) == nil && e["message"] == message {
				return e
			}
		}
	}
	return nil
}

// Files of config.prospectors are read in the words of their time, at every reload; one that cannot be used is named with its place, and
// what it started before runs on.
func TestReloadedFilesAreTranslated(t *testing.T) {
	n := newNode(t)
	input := func(log string) string {
		return fmt.Sprintf("- input_type: log\n  document_type: access\n  scan_frequency: 200ms\n  paths: [%q]\n", n.path(log))
	}
	n.write("a.log", "from a\n")
	n.write("b.log", "from b\n")
	n.write("inputs.d/a.yml", input("a.log"))
	out, stop := n.start("filebeat.config.prospectors: {enabled: true, path: HOME/inputs.d/*.yml, reload: {enabled: true, period: 300ms}}\n")
	until(t, "the line of the first file", out, func() bool { return n.event("from a") != nil })
	e := n.event("from a")
	for key, want := range map[string]any{"type": "access", "input_type": "log", "source": n.path("a.log"), "offset": 0.0, "beat.version": "7.17.29"} {
		if got, err := e.GetValue(key); err != nil || got != want {
			t.Errorf("%s is %v (%v), want %v", key, got, err, want)
		}
	}
	until(t, "the note about a key", out, func() bool {
		return strings.Contains(out.String(), n.path("inputs.d/a.yml")+":1: 0.input_type: is type now")
	})
	n.write("inputs.d/b.yml", input("b.log"))
	until(t, "the line of the second file", out, func() bool { return n.event("from b") != nil })

	n.write("inputs.d/a.yml", input("a.log")+"  type: stdin\n")
	until(t, "a mention of the wrong key", out, func() bool {
		return strings.Contains(out.String(), n.path("inputs.d/a.yml")+":1: 0.input_type") && strings.Contains(out.String(), "write type alone")
	})
	n.write("inputs.d/b.yml", "- type: log\n  paths: [}\n")
	until(t, "a mention of the wrong line", out, func() bool { return strings.Contains(out.String(), n.path("inputs.d/b.yml")+":2:") })
	for _, log := range []string{"a.log", "b.log"} {
		f, err := os.OpenFile(n.path(log), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(f, "later in %s\n", log)
		f.Close()
		until(t, "a line of an input whose file is wrong now", out, func() bool { return n.event("later in "+log) != nil })
	}
	n.write("c.log", "from c\n")
	n.write("inputs.d/b.yml", input("c.log"))
	until(t, "the line of the mended file", out, func() bool { return n.event("from c") != nil })
	if strings.Contains(out.String(), "Config reloader started") {
		t.Errorf("Filebeat loads the files, too:\n%s", out)
	}
	if code := stop(); code != 0 {
		t.Errorf("the agent ended with %d:\n%s", code, out)
	}
}

// Files that are read once are refused at start, by test config, too.
func TestFilesReadOnce(t *testing.T) {
	f := func(list, text, want, place string) {
		t.Helper()
		n := newNode(t)
		n.write("inputs.d/a.yml", text)
		n.write("module/README", "no modules\n")
		n.write("filebeat.yml", fmt.Sprintf("filebeat.config.%s.path: %s\noutput.console: {}\n", list, n.path("inputs.d/*.yml")))
		for _, args := range [][]string{{"test", "config"}, {"-e"}} {
			code, out := execute(t, "filebeat", n.home, n.path("filebeat.yml"), args...)
			if code != 1 || !strings.Contains(out, want) || !strings.Contains(out, n.path("inputs.d/a.yml")+place) {
				t.Errorf("%v with %q exits with %d, want %q and the place a.yml%s in:\n%s", args, text, code, want, place, out)
			}
		}
	}
	f("inputs", "- type: log\n  paths: [/x]\n- type: nosuch\n", "unknown input type", ":3")
	f("inputs", "- type: log\n  paths: [/x]\n  close_older: 5m\n  close_inactive: 4m\n", "write close_inactive alone", ":3: 0.close_older")
	f("inputs", "- type: log\n  include_lines: ['(']\n  paths: [/x]\n", "include_lines", ":2: 0.include_lines")
	f("inputs", "type: log\ninput_type: stdin\n", "write type alone", ":2")
	f("inputs", "- type: log\n  paths: [\n", "yaml", "")
	f("modules", "- module: nosuch\n", "nosuch", ":1")
}

// The whole configurations in filebeat.config_dir, of which the inputs count.
func TestConfigDir(t *testing.T) {
	n := newNode(t)
	n.write("a.log", "from a\n")
	n.write("b.log", "from b\n")
	n.write("main.log", "from main\n")
	n.write("conf.d/a.yml", fmt.Sprintf("filebeat:\n  prospectors:\n  - input_type: log\n    document_type: access\n    paths: [%q]\n", n.path("a.log")))
	n.write("conf.d/b.yml", fmt.Sprintf("filebeat.inputs: [{type: log, paths: [%q]}]\n", n.path("b.log")))
	out, stop := n.start("filebeat.config_dir: HOME/conf.d\nfilebeat.prospectors: [{paths: [HOME/main.log]}]\n")
	until(t, "the lines", out, func() bool {
		return n.event("from a") != nil && n.event("from b") != nil && n.event("from main") != nil
	})
	if e := n.event("from a"); e["type"] != "access" || e["source"] != n.path("a.log") {
		t.Errorf("event %v", e)
	}
	if place := n.path("conf.d/a.yml") + ":3: filebeat.prospectors.0.input_type: is type now"; !strings.Contains(out.String(), place) {
		t.Errorf("%q is not in:\n%s", place, out)
	}
	if code := stop(); code != 0 {
		t.Errorf("the agent ended with %d:\n%s", code, out)
	}
	code, text := execute(t, "filebeat", n.home, n.path("filebeat.yml"), "migrate", n.path("filebeat.yml"))
	if code != 0 || !strings.Contains(text, n.path("a.log")) || strings.Contains(text, "\n  config_dir") {
		t.Errorf("migrate ends with %d:\n%s", code, text)
	}
	n.write("conf.d/b.yml", "filebeat.prospectors:\n- type: log\n  input_type: stdin\n")
	code, text = execute(t, "filebeat", n.home, n.path("filebeat.yml"), "test", "config")
	if code != 1 || !strings.Contains(text, n.path("conf.d/b.yml")+":3: filebeat.prospectors.0.input_type") {
		t.Errorf("test config ends with %d:\n%s", code, text)
	}
}
