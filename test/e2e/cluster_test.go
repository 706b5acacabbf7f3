package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/tallylog/tally/test/rig"
)

// TestCluster joins a cluster as its manifest does: the agent pushes over HTTP with the token of the manifest, its lines and its
// account arrive, and the cluster shows it.
func TestCluster(t *testing.T) {
	s := rig.NewServer(t, t.TempDir(), "").Start()
	code, body, err := s.Request("POST", "/api/v1/clusters", `{"name":"prod"}`)
	var invitation struct{ Code string }
	if err != nil || code != 200 || json.Unmarshal([]byte(body), &invitation) != nil {
		t.Fatalf("%d %s %v", code, body, err)
	}
	code, manifest, err := s.Request("GET", "/install/"+invitation.Code, "")
	if err != nil || code != 200 {
		t.Fatalf("%d %s %v", code, manifest, err)
	}
	logs, home := t.TempDir(), t.TempDir()
	file := filepath.Join(logs, "app.log")
	write(t, file, "one\ntwo\nthree\n")
	config := filepath.Join(home, "tallybeat.yml")
	text := fmt.Sprintf(`name: node-7
tallybeat.inputs:
- type: applog
  paths: ["%s/*.log"]
processors:
- add_fields: {target: orchestrator.cluster, fields: {name: prod}}
output.tally:
  hosts: ["http://%s"]
  token: "%s"
`, logs, s.HTTP, secretOf(t, manifest))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	rig.Start(t, nil, rig.Tallybeat(t), "-e", "-c", config, "--path.home", home, "--strict.perms=false")
	s.WaitCount(`orchestrator.cluster.name:="prod"`, 3, time.Minute)
	rig.Eventually(t, time.Minute, "the cluster shows its agent", func() bool {
		var ans struct {
			Clusters []struct {
				Name    string
				Events  int
				Missing []string
				Agents  []struct{ Node, Version string }
			}
		}
		if err := s.Get("/api/v1/clusters", nil, &ans); err != nil || len(ans.Clusters) != 1 || len(ans.Clusters[0].Agents) != 1 {
			return false
		}
		c := ans.Clusters[0]
		if c.Name != "prod" || c.Agents[0].Node != "node-7" || c.Agents[0].Version == "" || c.Events != 3 || len(c.Missing) != 0 {
			t.Errorf("the cluster is %+v", c)
		}
		return true
	})
	if src := s.Sources(file); len(src) != 1 || fmt.Sprint(src[0].Ranges) != fmt.Sprintf("[[0 %d]]", size(t, file)) {
		t.Errorf("account %+v", src)
	}
}

// secretOf is the token in a manifest.
func secretOf(t *testing.T, manifest string) string {
	t.Helper()
	for d := yaml.NewDecoder(strings.NewReader(manifest)); ; {
		var o struct {
			Kind string
			Data map[string]string `yaml:"stringData"`
		}
		if err := d.Decode(&o); err != nil {
			t.Fatalf("no Secret in the manifest: %v", err)
		}
		if o.Kind == "Secret" {
			return o.Data["token"]
		}
	}
}
