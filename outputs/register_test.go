package outputs

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	libbeat "github.com/elastic/beats/v7/libbeat/outputs"
	"github.com/elastic/beats/v7/libbeat/paths"

	"github.com/tallylog/tally/outputs/file"
	"github.com/tallylog/tally/outputs/lumberjack"
)

// theirs is libbeat's output as it was before any test has replaced it.
var theirs = reflect.ValueOf(libbeat.FindFactory("logstash")).Pointer()

// libbeat finds our outputs under their names, and still its others.
func TestRegister(t *testing.T) {
	Register(nil, nil)
	f := func(name string, want libbeat.Factory) {
		t.Helper()
		got := libbeat.FindFactory(name)
		if got == nil || want != nil && reflect.ValueOf(got).Pointer() != reflect.ValueOf(want).Pointer() {
			t.Errorf("output %q is %v", name, got)
		}
	}
	f("logstash", lumberjack.New)
	f("file", file.New)
	f("fanout", nil)
	f("tally", nil)
	f("elasticsearch", nil)
	f("kafka", nil)
	if reflect.ValueOf(libbeat.FindFactory("logstash")).Pointer() == theirs {
		t.Error("output logstash is still libbeat's")
	}
}

// The configuration that each README shows is taken.
func TestReadmes(t *testing.T) {
	Register(nil, nil)
	if err := paths.InitPaths(&paths.Path{Home: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	for folder, kind := range map[string]string{"lumberjack": "logstash", "file": "file", "fanout": "fanout", "push": "tally"} {
		text, err := os.ReadFile(filepath.Join(folder, "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		_, sample, _ := strings.Cut(string(text), "```yaml\n")
		sample, _, ok := strings.Cut(sample, "```\n")
		cfg, err := common.NewConfigWithYAML([]byte(sample), folder)
		if err != nil || !ok {
			t.Fatalf("%s: %v", folder, err)
		}
		o, err := cfg.Child("output."+kind, -1)
		if err != nil {
			t.Fatalf("%s: %v", folder, err)
		}
		g, err := libbeat.Load(nil, beat.Info{Beat: "tallybeat", IndexPrefix: "tallybeat"}, nil, kind, o)
		if err != nil || len(g.Clients) != 1 {
			t.Errorf("%s: %v", folder, err)
			continue
		}
		if err := g.Clients[0].Close(); err != nil {
			t.Errorf("%s: %v", folder, err)
		}
	}
}
