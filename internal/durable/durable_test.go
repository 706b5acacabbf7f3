package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func content(t *testing.T, path string) (string, fs.FileMode) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), st.Mode().Perm()
}

func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	f := func(text string, perm, want fs.FileMode) {
		t.Helper()
		if err := Replace(path, []byte(text), perm); err != nil {
			t.Fatal(err)
		}
		if got, mode := content(t, path); got != text || mode != want {
			t.Errorf("%q with %v, want %q with %v", got, mode, text, want)
		}
		if _, err := os.Stat(path + Extension); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the file beside stays: %v", err)
		}
	}
	f("first", 0o600, 0o600)
	f("", 0o600, 0o600)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	f("an operator gave it to a group", 0o600, 0o640)
}

// TestLeftBeside: what a crash left, and what somebody put there, does not shine through.
func TestLeftBeside(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "state"), filepath.Join(dir, "other")
	if err := os.WriteFile(path+Extension, []byte("half of a long text"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, mode := content(t, path); got != "x" || mode != 0o600 {
		t.Errorf("%q with %v", got, mode)
	}
	if err := os.WriteFile(other, []byte("another's"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, path+Extension); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, []byte("y"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, _ := content(t, other); got != "another's" {
		t.Errorf("written through a link: %q", got)
	}
	if got, _ := content(t, path); got != "y" {
		t.Errorf("%q", got)
	}
}

// TestFailed: an error names the file, leaves the old text, and leaves nothing beside.
func TestFailed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o755); err != nil { // a directory that a rename cannot replace
		t.Fatal(err)
	}
	if err := Replace(path, []byte("x"), 0o600); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(path + Extension); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file beside stays: %v", err)
	}
	missing := filepath.Join(dir, "missing", "state")
	if err := Replace(missing, []byte("x"), 0o600); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("got %v", err)
	}
}

func TestSyncDir(t *testing.T) {
	dir := t.TempDir()
	if err := SyncDir(dir); err != nil {
		t.Error(err)
	}
	missing := filepath.Join(dir, "missing")
	if err := SyncDir(missing); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("got %v", err)
	}
}
