package build

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The version that the programs say is that of the module that they are built from.
func TestKubeVersion(t *testing.T) {
	text, err := os.ReadFile("../../test/real/kube/programs/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if want := "k8s.io/kubernetes v" + kubeVersion + "\n"; !strings.Contains(string(text), want) {
		t.Errorf("go.mod does not require %s", want)
	}
}

func TestTreeSum(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a")
	sum := func(text string) string {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := treeSum(dir)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	one := sum("1")
	if two := sum("2"); one == two || one != sum("1") {
		t.Errorf("sums %s and %s", one, two)
	}
	if _, err := treeSum(filepath.Join(dir, "none")); err == nil {
		t.Error("a directory that is not there has a sum")
	}
}
