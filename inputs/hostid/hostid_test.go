package hostid

import (
	"os"
	"path/filepath"
	"testing"
)

func TestGet(t *testing.T) {
	dir := func(files map[string]string) string {
		root := t.TempDir()
		for name, text := range files {
			p := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return root
	}
	const machine, product, boot = "etc/machine-id", "sys/class/dmi/id/product_uuid", "proc/sys/kernel/random/boot_id"
	base := get(dir(map[string]string{machine: "aaa\n", product: "p1\n", boot: "b1\n"}), "")
	if len(base) != 20 {
		t.Fatalf("id %q", base)
	}
	f := func(same bool, files map[string]string, configured string) {
		t.Helper()
		if got := get(dir(files), configured); (got == base) != same {
			t.Errorf("%v, configured %q: %s, the first machine has %s", files, configured, got, base)
		}
	}
	f(true, map[string]string{machine: "aaa", product: "p1", boot: "after a reboot"}, "")
	f(true, map[string]string{"var/lib/dbus/machine-id": "aaa", product: "p1"}, "")
	f(false, map[string]string{machine: "aaa\n", product: "clone\n"}, "")
	f(false, map[string]string{machine: "bbb\n", product: "p1\n"}, "")
	f(false, map[string]string{machine: "aaa\n", product: "p1\n"}, "node-7")
	f(false, map[string]string{machine: "aaa\n"}, "")
	f(false, map[string]string{machine: "\n", boot: "b1"}, "")
	if first, second := Get(), Get(); first != second {
		t.Error("the id of this machine changes from call to call")
	}
}
