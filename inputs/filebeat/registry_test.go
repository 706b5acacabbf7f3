package filebeat

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/elastic/beats/v7/libbeat/logp"
	"github.com/elastic/beats/v7/libbeat/statestore"
	"github.com/elastic/beats/v7/libbeat/statestore/backend/memlog"
)

const seen = "2026-01-02T03:04:05Z"

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tree are the files below dir with what is in them.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		fmt.Fprintf(&all, "%s: %s\n", path, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// Every form is read, and none is changed.
func TestRead(t *testing.T) {
	one := `{"source":"/var/log/a.log","offset":15,"timestamp":"` + seen + `","ttl":-1,"type":"log","FileStateOS":{"inode":12,"device":34}}`
	f := func(name string, files map[string]string, want ...State) {
		t.Helper()
		dir := t.TempDir()
		for file, text := range files {
			write(t, filepath.Join(dir, "data", file), text)
		}
		before := tree(t, dir)
		got, err := Read(filepath.Join(dir, "data", "registry"), dir)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v %v, want %v", name, got, err, want)
		}
		if after := tree(t, dir); after != before {
			t.Errorf("%s: changed from\n%s\nto\n%s", name, before, after)
		}
	}
	at, err := time.Parse(time.RFC3339, seen)
	if err != nil {
		t.Fatal(err)
	}
	a := State{Path: "/var/log/a.log", Inode: 12, Device: 34, Offset: 15, Seen: at}
	f("5 and 6", map[string]string{"registry": "[" + one + "]"}, a)
	f("a migration that did not end", map[string]string{"registry.bak": "[" + one + "]"}, a)
	f("another one that did not end", map[string]string{"registry.bak": "[" + one + "]", "registry/filebeat/meta.json": `{"version": "0"}`}, a)
	f("5, nothing in it", map[string]string{"registry": "[]"})
	f("7.0", map[string]string{"registry/filebeat/meta.json": `{"version":"0"}`, "registry/filebeat/data.json": "[" + one + "]"}, a)
	f("7.17", map[string]string{
		"registry/filebeat/meta.json": `{"version":"1"}`,
		"registry/filebeat/log.json": `{"op":"set","id":1}` + "\n" +
			`{"k":"filebeat::logs::native::12-34","v":{"source":"/var/log/a.log","offset":5,"FileStateOS":{"inode":12,"device":34},"identifier_name":"native"}}` + "\n" +
			`{"op":"set","id":2}` + "\n" +
			`{"k":"filebeat::logs::native::12-34","v":{"source":"/var/log/a.log","offset":15,"FileStateOS":{"inode":12,"device":34},"identifier_name":"native"}}` + "\n" +
			`{"op":"set","id":3}` + "\n" + `{"k":"filebeat::logs::na`, // torn by a crash
	}, State{Path: "/var/log/a.log", Inode: 12, Device: 34, Offset: 15})
}

// What Filebeat's own store writes is read, for all inputs that read files, and nothing else.
func TestKeys(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "registry")
	backend, err := memlog.New(logp.NewLogger("test"), memlog.Settings{Root: root, FileMode: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	registry := statestore.NewRegistry(backend)
	store, err := registry.Get("filebeat")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_700_000_000, 5).UTC()
	stream := func(offset int64) map[string]any {
		return map[string]any{"ttl": 0, "updated": now, "cursor": map[string]any{"offset": offset}, "meta": map[string]any{"source": "/s.log", "identifier_name": "native"}}
	}
	for key, v := range map[string]any{
		"filestream::i::native::7-8":           stream(9),
		"filestream::with::colons::path::/s":   stream(10),
		"filestream::i::native::9-8":           map[string]any{"ttl": 0, "updated": now, "cursor": nil, "meta": map[string]any{"source": "/new.log"}},
		"filebeat::logs::path::/p.log":         map[string]any{"source": "/p.log", "offset": 3, "identifier_name": "path", "FileStateOS": map[string]any{"inode": 1, "device": 2}},
		"journald::x":                          map[string]any{"cursor": map[string]any{"position": "s=1"}},
		"filebeat::other::what is never there": map[string]any{"source": "/no"},
	} {
		if err := store.Set(key, v); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Read(root, dir) // while it is open, as in an agent that runs
	if err != nil {
		t.Fatal(err)
	}
	want := map[State]bool{
		{Path: "/s.log", Inode: 7, Device: 8, Offset: 9, Seen: now}: true,
		{Path: "/s.log", Offset: 10, Seen: now}:                     true,
		{Path: "/new.log", Inode: 9, Device: 8, Seen: now}:          true,
		{Path: "/p.log", Offset: 3}:                                 true,
	}
	for _, s := range got {
		s.Seen = s.Seen.UTC()
		if !want[s] {
			t.Errorf("unwanted %+v", s)
		}
		delete(want, s)
	}
	if len(want) != 0 {
		t.Errorf("missing %+v", want)
	}
	if err := errors.Join(store.Close(), registry.Close()); err != nil {
		t.Error(err)
	}
}

func TestUnreadable(t *testing.T) {
	f := func(file, text, want string) {
		t.Helper()
		dir := t.TempDir()
		if file != "" {
			write(t, filepath.Join(dir, file), text)
		}
		before := tree(t, dir)
		states, err := Read(filepath.Join(dir, "registry"), dir)
		if err == nil || len(states) > 0 || !strings.Contains(err.Error(), filepath.Join(dir, "registry")) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s with %q: %v, %v", file, text, states, err)
		}
		if after := tree(t, dir); after != before {
			t.Errorf("changed from\n%s\nto\n%s", before, after)
		}
	}
	f("", "", "there is none")
	f("registry", "[{", "EOF")
	f("registry", `{"/x":{"offset":3}}`, "cannot unmarshal")
	f("registry/filebeat/meta.json", `{"version":"7"}`, "not supported")
	f("registry/filebeat/meta.json", `{`, "meta file")
	f("registry/filebeat/meta.json", `{"version":"0"}`, "data.json")
}

func TestInUse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "registry")
	if InUse(path) {
		t.Error("in use without a lock file")
	}
	f, err := os.Create(filepath.Join(dir, "filebeat.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if InUse(path) {
		t.Error("in use with a lock that nobody holds")
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if !InUse(path) {
		t.Error("the lock is not seen")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`[{"source":"/var/log/a.log","offset":15,"timestamp":"` + seen + `","FileStateOS":{"inode":12,"device":34}}]`))
	f.Add([]byte(`[{"source":7}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "registry")
		write(t, path, string(text))
		states, err := Read(path, dir)
		if err != nil && states != nil {
			t.Errorf("%v beside %v", states, err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != string(text) {
			t.Errorf("changed: %q %v", b, err)
		}
	})
}
