package beat

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tallylog/tally/plugins/host"
	"github.com/tallylog/tally/plugins/plugintest"
)

// TestPlugins: an agent whose plugin is killed again and again, and that is stopped half-way, ships each line once, in order; and it
// takes its plugin along when it ends, even by kill -9.
func TestPlugins(t *testing.T) {
	path := plugintest.Program(t, "../plugins/plugintest/rogue")
	sum, err := host.Checksum(path)
	if err != nil {
		t.Fatal(err)
	}
	addr, batches := sink(t)
	file := filepath.Join(t.TempDir(), "app.log")
	var text strings.Builder
	const lines = 20_000
	for i := range lines {
		fmt.Fprintf(&text, "line number %d\n", i)
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	config := write(t, fmt.Sprintf(`
tallybeat.inputs:
  - type: applog
    paths: [%q]
processors:
  - drop_fields: {fields: [log.offset]}
  - plugin:
      name: rogue
      path: %s
      checksum: %s
      config: {mark: seen}
      when: {contains: {message: line}}
  - add_fields: {target: "", fields: {behind: "yes"}}
output.logstash: {hosts: [%q], bulk_max_size: 500}
`, file, path, sum, addr))
	home := t.TempDir()
	next, marked, tagged := 0, 0, 0
	resent := false
	run := func(until int, end syscall.Signal) {
		t.Helper()
		cmd, out := agent(t, home, config, "-e")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		killed := time.Now()
		for next < until {
			select {
			case b := <-batches:
				for _, raw := range b.Events {
					js, err := json.Marshal(raw)
					if err != nil {
						t.Fatal(err)
					}
					var e struct {
						Message, Rogue, Behind string
						Tags                   []string
					}
					if err := json.Unmarshal(js, &e); err != nil {
						t.Fatal(err)
					}
					n, _ := strconv.Atoi(strings.TrimPrefix(e.Message, "line number "))
					if n < next && resent {
						continue // it was sent before the agent was killed, and not acknowledged
					}
					if n != next || e.Behind != "yes" || (e.Rogue == "seen") == (len(e.Tags) > 0) {
						t.Fatalf("want line %d, got %s", next, js)
					}
					if next++; e.Rogue == "seen" {
						marked++
					} else {
						tagged++
					}
				}
				b.ACK()
			case <-time.After(3 * time.Minute):
				t.Fatalf("line %d did not come; the agent printed:\n%s", next, out)
			}
			if time.Since(killed) > 100*time.Millisecond {
				killed = time.Now()
				for _, pid := range children(cmd.Process.Pid) {
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
			}
		}
		var left []int
		waitFor(t, "the plugin to run", func() bool { left = children(cmd.Process.Pid); return len(left) > 0 })
		if err := cmd.Process.Signal(end); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); end == syscall.SIGTERM && err != nil {
			t.Fatalf("the agent ended with %v:\n%s", err, out)
		}
		waitFor(t, "the plugin to end with the agent", func() bool {
			for _, pid := range left {
				if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && !strings.Contains(string(b), ") Z ") {
					return false
				}
			}
			return true
		})
	}
	run(lines/2, syscall.SIGKILL)
	resent = true
	run(lines, syscall.SIGTERM)
	if marked == 0 {
		t.Error("no line has been through the plugin")
	}
	t.Logf("%d lines through the plugin, %d passed by while it was down", marked, tagged)
}

func waitFor(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); !f(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// children are the processes that a process has started.
func children(pid int) (out []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, f := range tasks {
		b, _ := os.ReadFile(f)
		for _, s := range strings.Fields(string(b)) {
			if id, err := strconv.Atoi(s); err == nil {
				out = append(out, id)
			}
		}
	}
	return out
}
