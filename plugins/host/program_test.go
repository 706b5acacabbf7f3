package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// script makes an executable in a directory of mode 0700.
func script(t *testing.T, text string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "program-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "p")
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func runs(t *testing.T, f *os.File) string {
	t.Helper()
	cmd := exec.Command("/proc/self/fd/3")
	cmd.ExtraFiles = []*os.File{f}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatal(err, string(out))
	}
	return strings.TrimSpace(string(out))
}

// TestLoad: what runs is what was verified, whatever becomes of the file; and nobody can change it.
func TestLoad(t *testing.T) {
	path := script(t, "#!/bin/sh\necho first\n")
	f, sum, err := load(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho second\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := runs(t, f); got != "first" {
		t.Errorf("%q ran", got)
	}
	if _, err := f.WriteAt([]byte("x"), 0); err == nil {
		t.Error("the sealed copy can be written to")
	}
	g, other, err := load(path)
	if err != nil || other == sum {
		t.Fatal(err, "the checksum is the same")
	}
	g.Close()
}

// TestPrivate is the way of kernels without files in memory.
func TestPrivate(t *testing.T) {
	f, err := newPrivate()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("#!/bin/sh\necho private\n"); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(f.Name())
	if f, err = seal(f); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the directory is still there: %v", err)
	}
	if got := runs(t, f); got != "private" {
		t.Errorf("%q ran", got)
	}
	if _, err := f.Write([]byte("x")); err == nil {
		t.Error("the copy can be written to")
	}
}

func TestUntrusted(t *testing.T) {
	f := func(what string, change func(path string) string, want string) {
		t.Helper()
		path := change(script(t, "#!/bin/sh\n"))
		if f, _, err := load(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", what, err, want)
			f.Close()
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	f("writable by the group", func(p string) string { must(os.Chmod(p, 0o770)); return p }, "others can change it")
	f("not executable", func(p string) string { must(os.Chmod(p, 0o600)); return p }, "not executable")
	f("a sticky directory", func(p string) string { must(os.Chmod(filepath.Dir(p), 0o777|os.ModeSticky)); return p }, "others can write to the directory")
	f("a directory", func(p string) string { must(os.Mkdir(p+"-dir", 0o700)); return p + "-dir" }, "no regular file")
	f("a directory above", func(p string) string {
		dir := filepath.Join(filepath.Dir(p), "sub")
		must(os.Mkdir(dir, 0o700))
		must(os.Rename(p, filepath.Join(dir, "p")))
		must(os.Chmod(filepath.Dir(p), 0o777))
		return filepath.Join(dir, "p")
	}, "others can write to the directory")
	f("a link into such a directory", func(p string) string {
		link := script(t, "") + "-link"
		must(os.Symlink(p, link))
		must(os.Chmod(filepath.Dir(p), 0o777))
		return link
	}, "others can write to the directory")
	f("missing", func(p string) string { return p + "-not" }, "no such file")
}
