package kubernetes

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/tallylog/tally/server/config"
	"github.com/tallylog/tally/test/rig"
)

var update = flag.Bool("update", false, "write agent.yaml anew")

// objects are the objects of a manifest.
func objects(t *testing.T, manifest []byte) []map[string]any {
	t.Helper()
	var all []map[string]any
	for d := yaml.NewDecoder(bytes.NewReader(manifest)); ; {
		var o map[string]any
		if err := d.Decode(&o); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
}

// file is a file in the ConfigMap of a manifest.
func file(t *testing.T, manifest []byte, name string) string {
	t.Helper()
	for _, o := range objects(t, manifest) {
		if data, ok := o["data"].(map[string]any); ok && o["kind"] == "ConfigMap" {
			text, _ := data[name].(string)
			return text
		}
	}
	t.Fatalf("there is no %s", name)
	return ""
}

func agent(t *testing.T, a Agent) []byte {
	t.Helper()
	m, err := a.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAgentYAML(t *testing.T) {
	m := agent(t, Agent{})
	if *update {
		if err := os.WriteFile("agent.yaml", m, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile("agent.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, m) {
		t.Error("agent.yaml is not what the template gives; go test ./deploy/kubernetes -update writes it")
	}
}

// The two configurations of the design are as they are there.
func TestSeed(t *testing.T) {
	f := func(manifest []byte, name string) {
		t.Helper()
		want, err := os.ReadFile("../../test/e2e/testdata/seed/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if got := file(t, manifest, name); got != string(want) {
			t.Errorf("%s is\n%q, in the design\n%q", name, got, want)
		}
	}
	f(Journal, "journalbeat.yml")
	f(Applog, "filebeat.yml")
}

// The programs take the configurations, under the names and with the flags of the manifests.
func TestConfigurations(t *testing.T) {
	program := rig.Tallybeat(t)
	f := func(manifest []byte, name, beat string) {
		t.Helper()
		dir := t.TempDir()
		text := strings.ReplaceAll(file(t, manifest, name), "/etc/tallybeat/", dir+"/")
		if ca := file(t, manifest, "ca.crt"); ca != "" {
			if err := os.WriteFile(filepath.Join(dir, "ca.crt"), []byte(ca), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(dir, beat)
		if err := os.Symlink(program, link); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(link, "test", "config", "-e", "-c", filepath.Join(dir, name), "--path.home", dir, "-E", "http.enabled=true", "-E", "http.host=127.0.0.1")
		cmd.Env = append(os.Environ(), "LOGSTASH_HOST=127.0.0.1:5044", "NODE_NAME=n1", "TALLY_TOKEN=t", "CLUSTER=c", "SERVER=127.0.0.1:5044")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "Config OK") {
			t.Errorf("%s as %s: %v\n%s", name, beat, err, out)
		}
	}
	f(Journal, "journalbeat.yml", "journalbeat")
	f(Applog, "filebeat.yml", "filebeat")
	f(agent(t, Agent{}), "tallybeat.yml", "tallybeat")
	f(agent(t, Agent{Token: "t", URL: "https://logs.example:5080", Cluster: "a \"b\" # c"}), "tallybeat.yml", "tallybeat")
	if _, err := config.Parse("tally.yml", []byte(file(t, Server, "tally.yml")), os.LookupEnv); err != nil {
		t.Error(err)
	}
}

func TestManifestRefuses(t *testing.T) {
	f := func(a Agent, want string) {
		t.Helper()
		if _, err := a.Manifest(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", a, err, want)
		}
	}
	f(Agent{Namespace: "a: b"}, "no name of a namespace")
	f(Agent{Token: "t"}, "without a URL")
	f(Agent{CA: "x"}, "without a token")
}

// Whatever a value holds, it stays a value.
func TestHostileValues(t *testing.T) {
	const evil = "x\"\n  y: {{.Token}} ${HOME}\n--- # \u2028 \\"
	all := objects(t, agent(t, Agent{Image: evil, Cluster: evil, Token: evil, URL: evil, CA: evil}))
	if len(all) != 7 {
		t.Errorf("%d objects", len(all))
	}
	for _, o := range all {
		if o["kind"] == "Secret" {
			if got := o["stringData"].(map[string]any)["token"]; got != evil {
				t.Errorf("the token is %q", got)
			}
		}
		if o["kind"] == "ConfigMap" {
			if data := o["data"].(map[string]any); data["cluster"] != evil || data["server"] != evil || data["ca.crt"] != evil {
				t.Errorf("the ConfigMap is %q", data)
			}
		}
	}
}
