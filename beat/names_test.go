package beat

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestNameOf(t *testing.T) {
	for program, want := range map[string]string{
		"/usr/bin/filebeat": "filebeat", "journalbeat": "journalbeat", "./tallybeat": Name, "/x/agent": Name, "filebeat.test": Name,
	} {
		if got := nameOf(program); got != want {
			t.Errorf("%s: %s, want %s", program, got, want)
		}
	}
}

// execute runs the agent under a name until it ends.
func execute(t *testing.T, name, home, config string, args ...string) (code int, printed string) {
	t.Helper()
	cmd, out := agent(t, home, config, args...)
	cmd.Args[0] = name
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode(), out.String()
}

// Foreign configurations that cannot work end the agent with 1, name the file, line and key as written, and say what to write.
func TestForeignBadInput(t *testing.T) {
	f := func(name, text string, wants ...string) {
		t.Helper()
		config := write(t, text)
		for _, args := range [][]string{{"test", "config"}, {"run"}, {"export", "config"}} {
			if args[0] == "export" && !strings.Contains(wants[0], "cannot translate") {
				continue // it prints, and checks nothing
			}
			code, out := execute(t, name, t.TempDir(), config, args...)
			if code != 1 {
				t.Errorf("%s %v of\n%s\nexits with %d, want 1", name, args, text, code)
			}
			for _, want := range wants {
				if want = strings.ReplaceAll(want, "F:", config+":"); !strings.Contains(out, want) {
					t.Errorf("%s %v of\n%s\nlacks %q:\n%s", name, args, text, want, out)
				}
			}
		}
	}
	const out = "output.console: {}\n"
	f("filebeat", out+"filebeat.prospectors:\n- paths: [/x]\n  input_type: log\n  type: stdin\n", "cannot translate", "write type alone", "at F:4: filebeat.prospectors.0.input_type")
	f("filebeat", out+"filebeat.inputs: [{type: log, paths: [/x]}]\ngeoip.paths: [/x]\n", "cannot translate", "was removed in 5.0", "at F:3: geoip.paths")
	f("filebeat", out+"filebeat.prospectors:\n- paths: [/x]\n  exclude_lines:\n  - '(a'\n", "error parsing regexp", "at F:5: filebeat.prospectors.0.exclude_lines.0")
	f("filebeat", out+"filebeat.prospectors:\n- paths: [/x]\nprocessors:\n- drop_event.when.regexp.message: '(a'\n", "missing closing )")
	f("filebeat", out+"filebeat.prospectors:\n- input_type: nosuch\n", "unknown input type \"nosuch\"", "at F:3: filebeat.prospectors.0.input_type")
	f("filebeat", out+"output.fanout.outputs.console.type: console\nfilebeat.inputs: [{type: log, paths: [/x]}]\n", "two outputs have the name \"console\"", "at F:1: output.console")
	f("journalbeat", out+"journalbeat.inputs:\n- paths: []\n  include_match: [a=b]\n", "cannot translate", "unknown key", "at F:4: journalbeat.inputs.0.include_match")
	f("journalbeat", out+"journalbeat.inputs:\n- paths: []\n  seek: middle\n", "want head, tail", "at F:3: journalbeat.inputs.0")
	f("tallybeat", out+"tallybeat.inputs:\n- type: applog\n  paths: [/x]\n  processors:\n  - redact: {presets: [emial]}\n", "did you mean email?", "F:6: tallybeat.inputs.0")
	f("tallybeat", out+"tallybeat.inputs:\n- type: filestream\n  id: a\n  paths: [/x]\n  processors:\n  - if.has_fields: [a]\n    then:\n    - grok.patterns: '%{NOSUCH:x}'\n", "the pattern NOSUCH is not known", "tallybeat.inputs.0")
	f("tallybeat", out+"filebeat.inputs: [{type: log, paths: [/x]}]\ntallybeat.inputs: [{type: log, paths: [/x]}]\n", "write one of them", "at F:2: filebeat.inputs")
}

// The state of another program that cannot be read ends the start, and stays as it is.
func TestUnreadableState(t *testing.T) {
	f := func(name, state, content, text string) {
		t.Helper()
		home := t.TempDir()
		file := filepath.Join(home, "data", state)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out := execute(t, name, home, write(t, text), "-e")
		got, err := os.ReadFile(file)
		if code != 1 || !strings.Contains(out, file) || err != nil || string(got) != content {
			t.Errorf("%s with %s %q exits with %d, and leaves %q (%v); want a mention of the file in:\n%s", name, state, content, code, got, err, out)
		}
	}
	filebeat := "filebeat.inputs: [{type: log, paths: [/nowhere/x]}]\noutput.console: {}\n"
	f("journalbeat", "registry", "no registry", "journalbeat.inputs: [{paths: [/nowhere]}]\noutput.console: {}\n")
	f("filebeat", "registry", `[{"source": "/x", "offset": `, filebeat)
	f("filebeat", "registry", `{"/x": {"source": "/x", "offset": 3}}`, filebeat) // as 1.x wrote it
	f("filebeat", "registry/filebeat/meta.json", `{"version": "9"}`, filebeat)
	f("filebeat", "registry/filebeat/meta.json", `{"version"`, filebeat)
	f("tallybeat", "positions.db", "no database", strings.Replace(filebeat, "filebeat", "tallybeat", 1))
}

// The registries of Filebeat 5 and 6 (one file), 7.0 to 7.8 (data.json) and since (a log) are continued: nothing before the offset
// comes again, nothing behind it is passed over.
func TestFilebeatRegistries(t *testing.T) {
	f := func(registry func(state string) map[string]string, text string) {
		t.Helper()
		home, logs := t.TempDir(), t.TempDir()
		file := filepath.Join(logs, "app.log")
		if err := os.WriteFile(file, []byte("shipped before\nnot shipped yet\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		sys := info.Sys().(*syscall.Stat_t)
		state := fmt.Sprintf(`"source":%q,"offset":15,"timestamp":"2026-01-01T00:00:00Z","ttl":-1,"FileStateOS":{"inode":%d,"device":%d}`, file, sys.Ino, sys.Dev)
		for name, content := range registry(state) {
			name = filepath.Join(home, "data", name)
			if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
				t.Fatal(err)
			}
			content = strings.ReplaceAll(content, "IDENTITY", fmt.Sprintf("native::%d-%d", sys.Ino, sys.Dev))
			if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		config := write(t, strings.ReplaceAll(text, "PATH", file)+fmt.Sprintf("\noutput.file: {path: %q, filename: out}\n", logs))
		cmd, out := agent(t, home, config, "-e")
		cmd.Args[0] = "filebeat"
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		read := func() string {
			names, _ := filepath.Glob(filepath.Join(logs, "out*"))
			all := ""
			for _, n := range names {
				b, _ := os.ReadFile(n)
				all += string(b)
			}
			return all
		}
		until(t, "the line behind the offset", out, func() bool { return strings.Contains(read(), "not shipped yet") })
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the agent ended with %v:\n%s", err, out)
		}
		if all := read(); strings.Contains(all, "shipped before") || strings.Count(all, "not shipped yet") != 1 {
			t.Errorf("shipped:\n%s", all)
		}
	}
	native := "filebeat.inputs: [{type: log, paths: [PATH]}]"
	f(func(s string) map[string]string { return map[string]string{"registry": "[{" + s + "}]"} }, "filebeat.prospectors: [{input_type: log, paths: [PATH]}]")
	f(func(s string) map[string]string { return map[string]string{"old/reg": "[{" + s + `,"type":"log"}]`} },
		"filebeat.registry_file: old/reg\nfilebeat.prospectors: [{type: log, paths: [PATH]}]")
	f(func(s string) map[string]string {
		return map[string]string{"registry/filebeat/meta.json": `{"version":"0"}`, "registry/filebeat/data.json": "[{" + s + `,"type":"log"}]`}
	}, native)
	f(func(s string) map[string]string {
		return map[string]string{
			"registry/filebeat/meta.json": `{"version":"1"}`,
			"registry/filebeat/log.json": `{"op":"set","id":1}` + "\n" +
				`{"k":"filebeat::logs::IDENTITY","v":{"id":"IDENTITY","prev_id":"","type":"log","identifier_name":"native","timestamp":[1,1],` + strings.Replace(s, `"timestamp":"2026-01-01T00:00:00Z",`, "", 1) + `}}` + "\n",
		}
	}, native)
}

// The commands that people's scripts use work under each name, with a configuration of that name that has two outputs.
func TestCommandsUnderNames(t *testing.T) {
	for name, section := range map[string]string{
		"filebeat":    "filebeat.prospectors: [{paths: [/nowhere/x]}]\nfilebeat.config.modules.path: ${path.home}/modules.d/*.yml\n",
		"journalbeat": "journalbeat.inputs: [{paths: [/nowhere]}]\n",
		"tallybeat":   "filebeat.inputs: [{type: log, paths: [/nowhere/x]}]\nfilebeat.config.modules.path: ${path.home}/modules.d/*.yml\n",
	} {
		home := t.TempDir()
		config := write(t, section+"output.file.path: /tmp/x\noutput.logstash.hosts: [\"${NOWHERE:127.0.0.1:1}\"]\n")
		if err := os.MkdirAll(filepath.Join(home, "modules.d"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, "modules.d", "nginx.yml.disabled"), []byte("- module: nginx\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		f := func(want string, code int, args ...string) {
			t.Helper()
			got, out := execute(t, name, home, config, args...)
			if got != code || !strings.Contains(out, want) {
				t.Errorf("%s %v exits with %d, want %d and %q:\n%s", name, args, got, code, want, out)
			}
		}
		f("Config OK", 0, "test", "config")
		f("connection refused", 1, "test", "output")
		f(name+":", 0, "export", "config")
		f(name+"-7.", 0, "export", "template")
		f("policy", 0, "export", "ilm-policy")
		f(name+" version 7.", 0, "version")
		f("Created", 0, "keystore", "create", "--force")
		f("events: 77", 0, "export", "config", "-E", "queue.mem.events=77")
		f("tallybeat:", 0, "migrate", config)
		if name != "journalbeat" {
			f("Disabled:\nnginx", 0, "modules", "list")
			f("Enabled nginx", 0, "modules", "enable", "nginx")
			f("already enabled", 0, "modules", "enable", "nginx")
			f("Disabled nginx", 0, "modules", "disable", "nginx")
			f("doesn't exist", 1, "modules", "enable", "nosuch")
		}
	}
}
