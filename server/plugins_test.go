package server

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tallylog/tally/plugins/host"
	"github.com/tallylog/tally/plugins/plugintest"
	"github.com/tallylog/tally/server/config"
)

// plugged runs a server whose configuration has a plugin named after each mode of the rogue, for the events whose field app is the
// mode.
func plugged(t *testing.T, keys map[string]string) *running {
	t.Helper()
	path := plugintest.Program(t, "../plugins/plugintest/rogue")
	sum, err := host.Checksum(path)
	if err != nil {
		t.Fatal(err)
	}
	plugins, pipelines := "plugins:\n", "pipelines:\n"
	for mode, more := range keys {
		plugins += fmt.Sprintf("- {name: %s, path: %s, checksum: '%s', config: {mode: %s, mark: %s}%s}\n", mode, path, sum, mode, mode, more)
		pipelines += fmt.Sprintf("- name: %s\n  when: {equals: {app: %s}}\n  processors:\n  - plugin: {name: %s}\n", mode, mode, mode)
	}
	c, err := config.Parse("tally.yml", []byte(plugins+pipelines), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	return runWith(t, t.TempDir(), func(o *Options) {
		o.Config.Plugins, o.Config.Pipelines = c.Plugins, c.Pipelines
	})
}

func (r *running) plugins() map[string]host.Status {
	r.t.Helper()
	code, text, _ := r.do("GET", "/api/v1/plugins", "")
	var answer struct{ Plugins []host.Status }
	if err := json.Unmarshal([]byte(text), &answer); err != nil || code != 200 {
		r.t.Fatalf("%d %s", code, text)
	}
	out := map[string]host.Status{}
	for _, p := range answer.Plugins {
		out[p.Name] = p
	}
	return out
}

// TestPlugins: plugins that are killed every second, hang, answer garbage, eat memory, flood their output or forge positions cost no
// line and no other plugin's work, and all of it can be seen.
func TestPlugins(t *testing.T) {
	r := plugged(t, map[string]string{
		"killed": "", "well": "", "hang": ", timeout: 300ms", "garbage": "", "eat": ", memory: 128MiB", "stderr": "", "stdout": "", "more": "", "fewer": "", "id": "", "position": "", "poison": ", on_failure: retry",
	})
	apps := []string{"none"}
	for name := range r.plugins() {
		apps = append(apps, name)
	}
	rounds, sent := 0, 0
	killed := time.Now()
	for began := time.Now(); time.Since(began) < 4*time.Second || rounds < 5; rounds++ {
		var b strings.Builder
		for i := range 10 {
			for _, app := range apps {
				fmt.Fprintf(&b, `{"message":"round %d line %d","app":"%s"}`+"\n", rounds, i, app)
			}
		}
		r.push(b.String(), "Tally-Source", "s", "Tally-From", fmt.Sprint(sent))
		sent += 10 * len(apps)
		if pid := r.plugins()["killed"].PID; pid != 0 && time.Since(killed) > time.Second {
			killed = time.Now()
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
				t.Error(err)
			}
		}
	}
	for _, app := range apps {
		r.count("app:="+app, 10*rounds)
	}
	r.count("rogue:=well", 10*rounds)
	r.count("rogue:=poison", 10*rounds)
	r.count("app:=none tags:*", 0)
	for _, app := range []string{"hang", "garbage", "eat", "stderr", "stdout", "more", "fewer", "id", "position"} {
		r.count("app:="+app+" tags:_pluginfailure error.message:*", 10*rounds)
	}
	r.count("tally.source:=position", 0)
	if _, sources, _ := r.do("GET", "/api/v1/sources", ""); !strings.Contains(sources, fmt.Sprintf(`"ranges":[[0,%d]]`, sent)) || !strings.Contains(sources, `"gaps":[]`) {
		t.Errorf("the account: %s", sources)
	}
	list := r.plugins()
	for name, reason := range map[string]string{"killed": "exit", "hang": "timeout", "garbage": "garbage", "eat": "memory", "stderr": "output", "stdout": "output", "more": "garbage", "fewer": "garbage", "id": "garbage", "position": "garbage"} {
		if p := list[name]; p.Ends[reason] == 0 || p.Restarts == 0 || p.LastError == "" || p.Events != int64(10*rounds) {
			t.Errorf("%+v: want an end by %s", p, reason)
		}
	}
	if p := list["well"]; p.Restarts != 0 || p.Failed != 0 || p.State != host.Running {
		t.Errorf("%+v", p)
	}
	_, metrics, _ := r.do("GET", "/metrics", "")
	for _, want := range []string{`tally_plugin_ends_total{plugin="hang",reason="timeout"}`, `tally_plugin_restarts_total{plugin="killed"}`, `tally_plugin_up{plugin="well"} 1`,
		fmt.Sprintf(`tally_plugin_events_total{plugin="well"} %d`, 10*rounds)} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	for name, p := range list {
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID)); err == nil && p.PID != 0 && strings.Contains(string(b), "plugin") {
			t.Errorf("%s still runs after the server has ended", name)
		}
	}
}

// TestPluginDropsAndSplits: what a plugin drops is skipped in the account, and a split line that comes again is stored once.
func TestPluginDropsAndSplits(t *testing.T) {
	r := plugged(t, map[string]string{"drop": "", "split": ""})
	body := `{"message":"a","app":"drop"}` + "\n" + `{"message":"b","app":"split"}` + "\n" + `{"message":"c","app":"drop"}` + "\n"
	for range 2 {
		r.push(body, "Tally-Source", "s", "Tally-From", "0")
	}
	r.count("app:=split", 2)
	r.count("m:=2", 1)
	r.count("app:=drop", 0)
	if _, sources, _ := r.do("GET", "/api/v1/sources", ""); !strings.Contains(sources, `"ranges":[[0,3]]`) || !strings.Contains(sources, `"gaps":[]`) {
		t.Errorf("the account: %s", sources)
	}
	if _, m, _ := r.do("GET", "/metrics", ""); !strings.Contains(m, `tally_pipeline_dropped_total{pipeline="drop"} 4`) || !strings.Contains(m, `tally_pipeline_made_total{pipeline="split"} 2`) ||
		!strings.Contains(m, `tally_plugin_dropped_events_total{plugin="drop"} 4`) {
		t.Error("the metrics lack what was dropped and made")
	}
}

// TestPluginScope: a plugin cannot move an event out of what its sender may write.
func TestPluginScope(t *testing.T) {
	r := plugged(t, map[string]string{"namespace": ""})
	_, ans, _ := r.do("POST", "/api/v1/tokens", `{"name":"a","role":"push","namespaces":["a","b"]}`)
	var token struct{ Token string }
	if err := json.Unmarshal([]byte(ans), &token); err != nil || token.Token == "" {
		t.Fatal(ans)
	}
	// The plugin sets kubernetes.namespace to its mark, "namespace".
	code, ans, _ := r.do("POST", "/api/v1/push", `{"message":"x","app":"namespace","kubernetes":{"namespace":"a"}}`, "Authorization", "Bearer "+token.Token)
	if code != 200 {
		t.Fatal(code, ans)
	}
	r.count("kubernetes.namespace:=namespace", 0)
	r.count("tags:_namespace_out_of_scope original.kubernetes.namespace:=namespace", 1)
	// And who may only try pipelines cannot choose a program.
	path := r.plugins()["namespace"].Path
	conf, _ := json.Marshal(map[string]any{"config": fmt.Sprintf("pipelines:\n- processors:\n  - plugin: {name: x, path: %q, checksum: 'sha256:%064x'}\n", path, 1), "lines": []string{"x"}})
	if code, ans, _ := r.do("POST", "/api/v1/pipelines/test", string(conf)); code != 400 || !strings.Contains(ans, "only plugins that the server's configuration names") {
		t.Errorf("%d %s", code, ans)
	}
	conf, _ = json.Marshal(map[string]any{"config": "pipelines:\n- processors:\n  - plugin: {name: namespace, config: {mode: split}}\n", "lines": []string{"x"}})
	if code, ans, _ := r.do("POST", "/api/v1/pipelines/test", string(conf)); code != 200 || !strings.Contains(ans, `"more":[{"message":"x","m":"2"}]`) {
		t.Errorf("%d %s", code, ans)
	}
}
