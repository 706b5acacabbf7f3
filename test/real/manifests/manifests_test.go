//go:build kube

package manifests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tallylog/tally/deploy/kubernetes"
	"github.com/tallylog/tally/test/real/kube"
)

// The API server takes every manifest as it stands: first without making anything (it needs the namespace for that), then for good.
func TestManifests(t *testing.T) {
	c := kube.Start(t)
	c.MustRun("", "create", "namespace", "tally")
	files, err := filepath.Glob("../../../deploy/kubernetes/*.yaml")
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	manifests := map[string]string{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		manifests[filepath.Base(name)] = string(text)
	}
	token, err := kubernetes.Agent{Token: "t", URL: "https://logs.example:5080", CA: "-----BEGIN CERTIFICATE-----\n", Cluster: "prod \"eu\""}.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	manifests["agent with a token"] = string(token)
	apply := func(text string, more ...string) (string, error) {
		return c.Run(text, append([]string{"apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-"}, more...)...)
	}
	for name, text := range manifests {
		if out, err := apply(text, "--dry-run=server"); err != nil || strings.Contains(out, "Warning") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		// What the check is for: a key that is not known is refused.
		for _, key := range []string{"readOnly: ", "matchLabels:", "sideEffects:"} {
			if wrong := strings.Replace(text, key, "x"+key, 1); wrong != text {
				if out, err := apply(wrong, "--dry-run=server"); err == nil {
					t.Errorf("%s with x%s is taken:\n%s", name, key, out)
				}
				break
			}
		}
		if out, err := apply(text); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// The right that the agent has is enough for what it asks, and is no more.
func TestRights(t *testing.T) {
	c := kube.Start(t)
	m, err := kubernetes.Agent{}.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	c.MustRun(string(m), "apply", "--server-side", "-f", "-")
	f := func(want string, args ...string) {
		t.Helper()
		out, _ := c.Run("", append([]string{"auth", "can-i", "--as=system:serviceaccount:tally:tallybeat", "-A"}, args...)...)
		if got := strings.TrimSpace(out); got != want {
			t.Errorf("can-i %v: %q, want %s", args, got, want)
		}
	}
	f("yes", "watch", "pods")
	f("yes", "list", "pods")
	f("no", "delete", "pods")
	f("no", "get", "pods", "--subresource=log")
	f("no", "get", "secrets")
	f("no", "list", "configmaps")
}
