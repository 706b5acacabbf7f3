package beat

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/elastic/beats/v7/libbeat/common"
)

// Several outputs become children of the fan-out; one, or one that is enabled, stays what it is.
func TestFanOut(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		parse := func(text string) *common.Config {
			c, err := common.NewConfigWithYAML([]byte(text), "test")
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		tree := func(c *common.Config) (m map[string]any) {
			if err := c.Unpack(&m); err != nil {
				t.Fatal(err)
			}
			return m
		}
		c := parse(in)
		err := fanOut(c)
		if strings.HasPrefix(want, "error: ") {
			if err == nil || !strings.Contains(err.Error(), want[7:]) {
				t.Errorf("%s: %v, want %s", in, err, want)
			}
			return
		}
		if got := tree(c); err != nil || !reflect.DeepEqual(got, tree(parse(want))) {
			t.Errorf("%s\nbecomes %v, %v\nwant    %s", in, got, err, want)
		}
	}
	f(`{a: 1}`, `{a: 1}`)
	f(`{output.file.path: x}`, `{output.file.path: x}`)
	f(`{output: {file: {path: x}, logstash: {enabled: false}}}`, `{output: {file: {path: x}, logstash: {enabled: false}}}`)
	f(`{output: {file: {path: x}, logstash.hosts: [a]}}`, `{output.fanout.outputs: {file: {path: x}, logstash: {hosts: [a]}}}`)
	f(`{output: {file: {path: x}, console.pretty: true, logstash.enabled: false}, b: 2}`, `{output.fanout.outputs: {file: {path: x}, console: {pretty: true}}, b: 2}`)
	f(`{output: {file: {path: x}, fanout: {spill.after: 5s, outputs: {two: {type: file}}}}}`,
		`{output.fanout: {spill.after: 5s, outputs: {file: {path: x}, two: {type: file}}}}`)
	f(`{output: {file: {path: x}, fanout.outputs.file.path: y}}`, `error: two outputs have the name "file" accessing 'output.file'`)
}

// The seed's two outputs, side by side: both get everything, also when the Logstash side is down at first, and each once over
// a restart.
func TestTwoOutputs(t *testing.T) {
	addr, batches := sink(t)
	dir, home := t.TempDir(), t.TempDir()
	lines := filepath.Join(dir, "app.log")
	const n = 300
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "line number %d\n", i)
	}
	if err := os.WriteFile(lines, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	config := write(t, fmt.Sprintf(`
tallybeat.inputs:
  - type: applog
    paths: [%q]
output.logstash:
  hosts: ["${LOGSTASH_HOST}"]
  backoff.init: 100ms
output.file:
  path: %q
  filename: copy
`, lines, dir))
	run := func(host string, ok func() bool) {
		t.Helper()
		cmd, out := agent(t, home, config, "-e")
		cmd.Env = append(cmd.Env, "LOGSTASH_HOST="+host)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		until(t, "what is wanted", out, ok)
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatalf("the agent ended with %v:\n%s", err, out)
		}
	}
	copied := func() (messages []string) {
		names, _ := filepath.Glob(filepath.Join(dir, "copy*"))
		for _, name := range names {
			text, _ := os.ReadFile(name)
			for _, line := range strings.Split(string(text), "\n") {
				var e event
				if json.Unmarshal([]byte(line), &e) == nil {
					messages = append(messages, e.Message)
				}
			}
		}
		return messages
	}
	spilled := func() bool {
		names, _ := filepath.Glob(filepath.Join(home, "data", "fanout", "logstash", "*.spill"))
		return len(names) > 0
	}
	run("127.0.0.1:1", func() bool { return len(copied()) >= n && spilled() })
	got := map[string]int{}
	run(addr, func() bool {
		select {
		case b := <-batches:
			for _, raw := range b.Events {
				got[fmt.Sprint(raw.(map[string]any)["message"])]++
			}
			b.ACK()
		case <-time.After(10 * time.Millisecond):
		}
		return len(got) == n && !spilled()
	})
	if m := copied(); len(m) != n {
		t.Errorf("%d lines in the file, want %d", len(m), n)
	}
	for i := range n {
		if k := got[fmt.Sprint("line number ", i)]; k != 1 {
			t.Errorf("line %d came %d times", i, k)
		}
	}
}

// The commands see several outputs as the agent does, and name the place of what is wrong as it is written.
func TestOutputCommands(t *testing.T) {
	addr, _ := sink(t)
	in := "tallybeat.inputs:\n  - type: applog\n    paths: [/nowhere/x]\n"
	f := func(text, want string, code int, args ...string) {
		t.Helper()
		cmd, out := agent(t, t.TempDir(), write(t, in+text), args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		timer.Stop()
		if got := cmd.ProcessState.ExitCode(); got != code || !strings.Contains(out.String(), want) {
			t.Errorf("%v of\n%s\nexits with %d, want %d and %q:\n%s", args, text, got, code, want, out)
		}
	}
	two := fmt.Sprintf("output.logstash:\n  hosts: [%q]\noutput.file:\n  path: %q\n", addr, t.TempDir())
	f(two, "Config OK", 0, "test", "config")
	f(two, "peer: Lumberjack v2", 0, "test", "output")
	f(two, "    outputs:\n      file:", 0, "export", "config")
	f(two, "      console:", 0, "export", "config", "-E", "output.console.pretty=true")
	f("output.console: {}\n", "      console:\n        pretty: true", 0, "export", "config", "-E", "output.file.path=/x", "-E", "output.console.pretty=true")
	f(two, "output:\n  file:\n    enabled: false", 0, "export", "config", "-E", "output.file.enabled=false")
	f(two+"  number_of_files: 1\n", ":6: output.file", 1, "test", "config")
	f(two+"  permissions: x\n", ":8: output.file.permissions", 1, "test", "config")
	f(two+"output.fanout.outputs.file.path: x\n", "two outputs have the name \"file\"", 1, "test", "config")
	f("output.fanout.outputs:\n  a: {type: file, path: /tmp}\n  b: {type: nosuch}\n", ":6: output.fanout.outputs.b.type", 1, "test", "config")
	f("output.tally:\n  hosts: [a]\n  compression: lz4\n", "none of zstd, gzip and none", 1, "test", "config")
}

// What is delivered in the last moment is acknowledged before the agent ends, unless the configuration says how long to wait.
func TestWaitForAcks(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		c := common.MustNewConfigFrom(in)
		if err := waitForAcks(c, "filebeat"); err != nil {
			t.Fatal(err)
		}
		if got, err := c.String("filebeat.shutdown_timeout", -1); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %s", in, got, err, want)
		}
	}
	f(`{output.file.path: x}`, "5s")
	f(`{filebeat.shutdown_timeout: 0s, output.file.path: x}`, "0s")
	f(`{filebeat.shutdown_timeout: 1m}`, "1m")
}
