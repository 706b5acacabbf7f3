package journalbeat7

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tallylog/tally/inputs/positions"
)

const journal = "018329e08e3a45a0ae03694421c4f553"

func cursorOf(number, realtime int) string {
	return fmt.Sprintf("s=%s;i=%x;b=fa3c2e3080dc4cd5be5cb5a43e140d51;m=29102136a4;t=%x;x=84a1467480b8f1af", journal, number, realtime)
}

func text(entries ...string) string {
	s := "update_time: 2018-09-11T10:06:50.895829905Z\njournal_entries:\n"
	for i := 0; i+1 < len(entries); i += 2 {
		s += "- path: " + entries[i] + "\n  cursor: " + entries[i+1] + "\n  realtime_timestamp: 1\n  monotonic_timestamp: 2\n"
	}
	return s
}

type stored struct {
	Source string `json:"source"`
	Next   uint64 `json:"next"`
	Cursor string `json:"cursor"`
}

func open(t *testing.T, dir string) (*positions.Store, *Registry, error) {
	t.Helper()
	store, err := positions.Open(filepath.Join(dir, "positions.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	r, err := Open(filepath.Join(dir, "registry"), store, func(err error) { t.Error(err) })
	return store, r, err
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// An input is handed the cursor of its own entry, by either name, and what it stores is written back under that name.
func TestTakeOver(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "registry"), text("/a", cursorOf(5, 50), "journald::/b::x", cursorOf(6, 60)))
	_, r, err := open(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	f := func(id, path, want string) {
		t.Helper()
		if got := r.Cursor(id, path); got != want {
			t.Errorf("%q %q: %q, want %q", id, path, got, want)
		}
	}
	f("", "/a", cursorOf(5, 50))
	f("x", "/b", cursorOf(6, 60))
	f("new", "/a", cursorOf(5, 50)) // given an id since
	f("", "/b", "")
	f("", "/c", "")
	for key, at := range map[string]string{
		"journald::/a::" + journal: cursorOf(9, 90), "journald::x::/b::" + journal: cursorOf(8, 80), "journald::/never::" + journal: cursorOf(7, 70),
		"journald::/c::" + journal: "", "applog::1": cursorOf(9, 99),
	} {
		if err := r.Set(key, stored{"s", 10, at}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "registry"))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := parse(got)
	if err != nil || len(entries) != 2 || entries["/a"].Cursor != cursorOf(9, 90) || entries["/a"].Realtime != 90 || entries["journald::/b::x"].Cursor != cursorOf(8, 80) {
		t.Errorf("written: %v\n%s", err, got)
	}
}

// Where Journalbeat has read on, the positions of that path go, so that reading begins behind its cursor; where it has not, or is
// behind, they stay.
func TestCatchUp(t *testing.T) {
	f := func(entry string, number, realtime int, gone bool) {
		t.Helper()
		dir := t.TempDir()
		store, r, err := open(t, dir)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		keys := []string{"journald::/a::" + journal, "journald::/a::" + strings.Repeat("f", 32), "journald::x::/a::" + journal}
		for _, key := range keys {
			if err := store.Set(key, stored{"s", 11, cursorOf(10, 100)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "registry"), text(entry, cursorOf(number, realtime)))
		if r, err = Open(filepath.Join(dir, "registry"), store, nil); err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for i, key := range keys {
			var p stored
			has, err := store.Get(key, &p)
			mine := entry == "/a" && i < 2 || entry != "/a" && i == 2
			if err != nil || has == (gone && mine) {
				t.Errorf("%s at %d: %s is there: %v, %v", entry, number, key, has, err)
			}
		}
	}
	f("/a", 12, 120, true)
	f("/a", 10, 100, false)
	f("/a", 9, 90, false)
	f("/a", 10, 101, false) // of one journal the number counts
	f("journald::/a::x", 12, 120, true)
	f("/other", 12, 120, false)
}

// What is no registry is named and left as it is.
func TestUnreadable(t *testing.T) {
	f := func(content string) {
		t.Helper()
		dir := t.TempDir()
		name := filepath.Join(dir, "registry")
		write(t, name, content)
		_, _, err := open(t, dir)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%q: %v", content, err)
		}
		if got, _ := os.ReadFile(name); string(got) != content {
			t.Errorf("%q became %q", content, got)
		}
	}
	f("not: [yaml")
	f("a: b\n")
	f("\x00\x01")
	f(text("/a", "i=1"))
	f(text("/a", "s="+journal+";i=zz"))
	f(text(`""`, cursorOf(1, 1)))
	f(text("/a", cursorOf(1, 1))[:40])
}

func FuzzParse(f *testing.F) {
	f.Add(text("/a", cursorOf(1, 2)))
	f.Add("update_time: x")
	f.Fuzz(func(t *testing.T, s string) {
		entries, err := parse([]byte(s))
		for path, e := range entries {
			if _, bad := parseCursor(e.Cursor); err != nil || bad != nil || path != e.Path {
				t.Fatalf("%q: %v: %+v, %v", s, err, e, bad)
			}
		}
	})
}
