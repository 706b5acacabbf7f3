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
		var output struct {
			Output common.ConfigNamespace `config:"output"`
		}
		if err := c.Unpack(&output); err != nil {
			t.Fatal(err)
		}
		if output.Output.IsSet() {
			if _, err := c.Remove("output", -1); err != nil {
				t.Fatal(err)
			}
		}
		keys, texts := unknownKeys("b", c, output.Output)
		var got []string
		for i, k := range keys {
			_, near, _ := strings.Cut(texts[i], "; ")
			got = append(got, strings.TrimSpace(strings.TrimPrefix(k, "b.")+" "+near))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %q, want %q", yaml, got, want)
		}
	}
	f("inputs: [{type: log, fields.x: 1, multiline.pattern: a}]\noutput.logstash: {hosts: [a], ssl.enabled: false}\nregistry: {path: x, flush: 1s, file_permissions: 0600, migrate_file: y, cleanup_interval: 1m}\nconfig: {inputs.path: a, modules: {path: b, any: 1}}")
	f("modules: []\nautodiscover.providers: []\nshutdown_timeout: 1s\noverwrite_pipelines: true\nconfig_dir: d\njournalbeat_registry: r")
	f("input: []\nregistry_path: x\nshutdown_timout: 1s\nnonsense: 1", "input inputs is", "nonsense", "registry_path registry.path is", "shutdown_timout shutdown_timeout is")
	f("inputs: [{type: log}, {type: filestream, path: [x], fooo: 1, tag: [a]}]\noutput.logstash: {host: a, compresion_level: 1}",
		"inputs.1.fooo", "inputs.1.tag tags is", "output.logstash.compresion_level compression_level is", "output.logstash.host hosts is")
	f("registry.flsh: 1s\nconfig.input: {}", "config.input config.inputs is", "registry.flsh registry.flush is")
}

// They are named with their line at every start, and nothing else happens, as with Filebeat.
func TestUnknownKeysAreNamed(t *testing.T) {
	config := write(t, "filebeat:\n  inputs:\n  - {type: log, path: [/x], paths: [/nowhere/x]}\n  - type: log\n    paths: [/nowhere/x]\n    paths: [/nowhere/y]\n    fooo: 1\n"+
		"  shutdown_timout: 5s\noutput.console:\n  prety: true\n")
	for _, name := range []string{"filebeat", "tallybeat"} {
		code, out := execute(t, name, t.TempDir(), config, "test", "config", "-e", "-E", name+".colour=red")
		for _, want := range []string{config + ":8: filebeat.shutdown_timout: has no effect", config + ":7: filebeat.inputs.1.fooo: has no effect",
			config + ":10: output.console.prety: has no effect: no such key is known here; pretty is", config + ":6: paths: stands in line 5, too", "command line: ", ".colour: has no effect", "Config OK"} {
			if code != 0 || !strings.Contains(out, want) {
				t.Errorf("%s exits with %d, want %q in:\n%s", name, code, want, out)
			}
		}
	}
}
