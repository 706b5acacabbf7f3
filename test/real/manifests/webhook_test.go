//go:build kube

package manifests

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/tallylog/tally/deploy/kubernetes"
	"github.com/tallylog/tally/test/real/kube"
	"github.com/tallylog/tally/test/rig"
)

// server starts a tally with TLS, whose certificate the cluster's CA has signed, and waits until it answers.
func server(t *testing.T, c *kube.Cluster) *rig.Process {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "tally.yml")
	text := fmt.Sprintf("http:\n  tls: {certificate: %q, key: %q}\n", filepath.Join(c.Dir, "api.crt"), filepath.Join(c.Dir, "api.key"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := rig.Port(t)
	p := rig.Start(t, nil, rig.Tally(t), "serve", "-c", config, "--data", filepath.Join(dir, "data"), "--http", addr, "--lumberjack", rig.Port(t))
	rig.Eventually(t, time.Minute, "the server listens", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	install(t, c, addr)
	return p
}

// install applies the webhook's manifest, with the address of the test's server in place of a Service, which nothing here would serve.
func install(t *testing.T, c *kube.Cluster, addr string) {
	t.Helper()
	ca, err := os.ReadFile(c.CA)
	if err != nil {
		t.Fatal(err)
	}
	var o map[string]any
	if err := yaml.Unmarshal(kubernetes.Webhook, &o); err != nil {
		t.Fatal(err)
	}
	hook := o["webhooks"].([]any)[0].(map[string]any)
	path := hook["clientConfig"].(map[string]any)["service"].(map[string]any)["path"].(string)
	hook["clientConfig"] = map[string]any{"url": "https://" + addr + path, "caBundle": base64.StdEncoding.EncodeToString(ca)}
	// A server that does not answer yet must not pass for one that adds nothing.
	hook["failurePolicy"] = "Fail"
	text, err := yaml.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	c.MustRun(string(text), "apply", "--server-side", "--validate=strict", "-f", "-")
}

// The API server asks tally about a pod, and the pod has its volumes; a wrong annotation keeps it from being made.
func TestWebhook(t *testing.T) {
	c := kube.Start(t)
	c.Namespace("shop")
	p := server(t, c)
	create := func(name, notes string) (string, error) {
		return c.Run(fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q,"namespace":"shop","annotations":{%s}},
			"spec":{"containers":[{"name":"web","image":"web:2"},{"name":"side","image":"s:1"}]}}`, name, notes), "create", "-f", "-")
	}
	type pod struct {
		Spec struct {
			Volumes []struct {
				Name     string
				EmptyDir *struct{ Medium string }
			}
			Containers []struct {
				VolumeMounts []struct{ Name, MountPath string }
			}
		}
	}
	get := func(name string) (out pod) {
		t.Helper()
		if err := json.Unmarshal([]byte(c.MustRun("", "-n", "shop", "get", "pod", name, "-o", "json")), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	applog := func(p pod) string {
		var all []string
		for _, v := range p.Spec.Volumes {
			if strings.HasPrefix(v.Name, "applog-") && v.EmptyDir != nil && v.EmptyDir.Medium == "" {
				all = append(all, v.Name)
			}
		}
		for i, ct := range p.Spec.Containers {
			for _, m := range ct.VolumeMounts {
				if strings.HasPrefix(m.Name, "applog-") {
					all = append(all, fmt.Sprintf("%d:%s=%s", i, m.Name, m.MountPath))
				}
			}
		}
		return strings.Join(all, " ")
	}
	// The webhook comes into force some moments after it was made: then a wrong annotation is refused.
	rig.Eventually(t, time.Minute, "the webhook is asked", func() bool {
		out, err := create("wrong", `"tallylog/applog":"web=var/log/web"`)
		if err == nil {
			c.MustRun("", "-n", "shop", "delete", "pod", "wrong", "--now", "--force")
			return false
		}
		if !strings.Contains(out, `applog: log directory web=var/log/web: the path "var/log/web" is not absolute`) {
			t.Fatalf("refused for another reason: %s", out)
		}
		return true
	})
	notes := `"tallylog/applog":"web=/var/log/web, audit=/data/audit","tallylog/service-uuid":"5c1f"`
	if out, err := create("good", notes); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	want := "applog-5c1f-endname-web applog-5c1f-endname-audit 0:applog-5c1f-endname-web=/var/log/web 0:applog-5c1f-endname-audit=/data/audit"
	if got := applog(get("good")); got != want {
		t.Errorf("the pod has %q, want %q", got, want)
	}
	if out, err := create("plain", `"a":"b"`); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if got := applog(get("plain")); got != "" {
		t.Errorf("a pod that asks for nothing has %q", got)
	}
	// One that has its volumes already, as tally applog compose made them, gets none twice.
	full := c.MustRun("", "-n", "shop", "get", "pod", "good", "-o", "json")
	full = strings.ReplaceAll(full, `"name": "good"`, `"name": "again"`)
	var o map[string]any
	if err := json.Unmarshal([]byte(full), &o); err != nil {
		t.Fatal(err)
	}
	delete(o["metadata"].(map[string]any), "uid")
	delete(o["metadata"].(map[string]any), "resourceVersion")
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	c.MustRun(string(text), "create", "-f", "-")
	if got := applog(get("again")); got != want {
		t.Errorf("composed twice the pod has %q, want %q", got, want)
	}
	// Pods that do not ask are not sent, so they are made though the server is away and the policy is Fail.
	p.Kill()
	if out, err := create("meanwhile", `"a":"b"`); err != nil {
		t.Errorf("%v %s", err, out)
	}
	if out, err := create("asks", notes); err == nil || !strings.Contains(out, "failed calling webhook") {
		t.Errorf("%v %s", err, out)
	}
}

// What tally applog compose prints is taken, strictly.
func TestComposed(t *testing.T) {
	c := kube.Start(t)
	c.Namespace("shop")
	text, err := os.ReadFile("../../../deploy/applog/testdata/composed.yaml")
	if err != nil {
		t.Fatal(err)
	}
	out := c.MustRun(string(text), "apply", "--server-side", "--validate=strict", "--dry-run=server", "-f", "-")
	if !strings.Contains(out, "deployment.apps/web") {
		t.Errorf("got %s", out)
	}
}

// The manifest that a server gives out for a registered cluster.
func TestInstall(t *testing.T) {
	c := kube.Start(t)
	s := rig.NewServer(t, t.TempDir(), "").Start()
	code, answer, err := s.Request("POST", "/api/v1/clusters", `{"name":"prod-eu"}`)
	if err != nil || code != 200 {
		t.Fatalf("%d %s %v", code, answer, err)
	}
	var invitation struct{ Code string }
	if err := json.Unmarshal([]byte(answer), &invitation); err != nil {
		t.Fatal(err)
	}
	code, manifest, err := s.Request("GET", "/install/"+invitation.Code, "")
	if err != nil || code != 200 {
		t.Fatalf("%d %s %v", code, manifest, err)
	}
	// The objects lie in a namespace that the manifest itself makes, so it is applied.
	if out, err := c.Run(manifest, "apply", "--server-side", "--validate=strict", "-f", "-"); err != nil || strings.Contains(out, "Warning") || !strings.Contains(out, "daemonset.apps/") {
		t.Errorf("%v\n%s", err, out)
	}
}
