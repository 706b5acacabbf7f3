package beat

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	f := func(cgroup string, files map[string]string, want int64) {
		t.Helper()
		root := t.TempDir()
		self := filepath.Join(root, "self")
		files["self"] = cgroup
		for name, text := range files {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := memoryLimit(self, root); got != want {
			t.Errorf("%q %v: %d, want %d", cgroup, files, got, want)
		}
	}
	f("", map[string]string{}, 0)
	f("0::/\n", map[string]string{"memory.max": "209715200\n"}, 209715200)
	f("0::/a/b\n", map[string]string{"a/b/memory.max": "max\n", "a/memory.max": "1000\n"}, 1000)
	f("0::/a/b\n", map[string]string{"a/b/memory.max": "900\n", "a/memory.max": "1000\n"}, 900)
	f("5:cpu,memory:/k\n3:cpuset:/k\n", map[string]string{"memory/k/memory.limit_in_bytes": "800\n"}, 800)
	f("5:memory:/\n", map[string]string{"memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0)
	f("5:memory:/../..\n:::\nrubbish", map[string]string{"memory/memory.limit_in_bytes": "700\n"}, 700)
}
