package beat

import (
	"fmt"
	"strings"
	"testing"

	"github.com/elastic/beats/v7/libbeat/common"
)

func TestUnknownKeys(t *testing.T) {
	f := func(yaml string, want ...string) {
		t.Helper()
		c, err := common.NewConfigWithYAML([]byte(yaml), "test")
		if err != nil {
			t.Fatal(err)
		}
		keys, texts := unknownKeys(c)
		var got []string
		for i, k := range keys {
			_, near, _ := strings.Cut(texts[i], "; ")
			got = append(got, strings.TrimSpace(k+" "+near))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %q, want %q", yaml, got, want)
		}
	}
	f("inputs: [{type: log, nonsense: 1}]\nregistry: {path: x, flush: 1s, file_permissions: 0600, migrate_file: y, cleanup_interval: 1m}\nconfig: {inputs.path: a, modules: {path: b, any: 1}}")
	f("modules: []\nautodiscover.providers: []\nshutdown_timeout: 1s\noverwrite_pipelines: true\nconfig_dir: d\njournalbeat_registry: r")
	f("input: []\nregistry_path: x\nshutdown_timout: 1s\nnonsense: 1", "input inputs is", "nonsense", "registry_path registry.path is", "shutdown_timout shutdown_timeout is")
	f("registry.flsh: 1s\nconfig.input: {}", "config.input config.inputs is", "registry.flsh registry.flush is")
}

// They are named with their line at every start, and nothing else happens, as with Filebeat.
func TestUnknownKeysAreNamed(t *testing.T) {
	config := write(t, "filebeat:\n  inputs: [{type: log, paths: [/nowhere/x]}]\n  shutdown_timout: 5s\noutput.console: {}\n")
	for _, name := range []string{"filebeat", "tallybeat"} {
		code, out := execute(t, name, t.TempDir(), config, "test", "config", "-e", "-E", name+".colour=red")
		for _, want := range []string{config + ":3: filebeat.shutdown_timout: has no effect", "command line: ", ".colour: has no effect", "Config OK"} {
			if code != 0 || !strings.Contains(out, want) {
				t.Errorf("%s exits with %d, want %q in:\n%s", name, code, want, out)
			}
		}
	}
}
