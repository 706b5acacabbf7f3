package cmd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tallylog/tally/server/buffer"
)

// TestBackupOfADirectory backs up the directory of a stopped server, restores it, and refuses what must be refused.
func TestBackupOfADirectory(t *testing.T) {
	data, to := t.TempDir(), t.TempDir()
	wal, err := buffer.Open(filepath.Join(data, "wal"), buffer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wal.Append([]byte("a record")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(to, "b.tar")
	f := func(code int, want string, args ...string) {
		t.Helper()
		var out bytes.Buffer
		if got := Main(args, strings.NewReader(""), &out, &out); got != code || !strings.Contains(out.String(), want) {
			t.Errorf("%v: exit code %d, want %d with %q:\n%s", args, got, code, want, out.String())
		}
	}
	f(1, "a server is running", "storage", "backup", "--data", data, file)
	if err := wal.Close(); err != nil {
		t.Fatal(err)
	}
	f(2, "no data directory", "storage", "backup", "--data", to, file)
	f(0, "holds everything up to record 0", "storage", "backup", "--data", data, file)
	f(2, "is there already", "storage", "backup", "--data", data, file)
	f(1, "is not empty", "storage", "restore", file, "--data", data)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	again := filepath.Join(to, "again")
	at := bytes.Index(whole, []byte("a record"))
	for what, b := range map[string][]byte{"cut": whole[:len(whole)/2], "flipped": append(append(bytes.Clone(whole[:at]), whole[at]^1), whole[at+1:]...)} {
		bad := filepath.Join(to, what)
		if err := os.WriteFile(bad, b, 0o600); err != nil {
			t.Fatal(err)
		}
		f(1, "the backup is damaged", "storage", "restore", bad, "--data", again)
		if _, err := os.Stat(again); err == nil {
			t.Errorf("of a %s backup something was restored", what)
		}
	}
	f(0, "up to record 0", "storage", "restore", file, "--data", again)
	wal, err = buffer.Open(filepath.Join(again, "wal"), buffer.Options{})
	if err != nil || wal.Last() != 1 {
		t.Fatalf("the buffer ends at %d: %v", wal.Last(), err)
	}
	_ = wal.Close()
	if left, _ := filepath.Glob(filepath.Join(to, "*.partial")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}
