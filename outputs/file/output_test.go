package file

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/outputs"
	_ "github.com/elastic/beats/v7/libbeat/outputs/codec/format"
	"github.com/elastic/beats/v7/libbeat/outputs/outest"
	"github.com/elastic/beats/v7/libbeat/publisher"
)

func group(t *testing.T, dir, options string) (outputs.Group, error) {
	t.Helper()
	cfg, err := common.NewConfigWithYAML(fmt.Appendf(nil, `{path: %q, filename: out, backoff: {init: 1ms, max: 2ms}, %s}`, dir, options), "test")
	if err != nil {
		t.Fatal(err)
	}
	return New(nil, beat.Info{Beat: "tallybeat", Version: "7"}, outputs.NewNilObserver(), cfg)
}

// client returns what the pipeline sees, and the output within.
func client(t *testing.T, dir, options string) (outputs.NetworkClient, *output) {
	t.Helper()
	g, err := group(t, dir, options)
	if err != nil {
		t.Fatal(err)
	}
	c := g.Clients[0].(outputs.NetworkClient)
	t.Cleanup(func() { c.Close() })
	return c, c.(interface{ Client() outputs.NetworkClient }).Client().(*output)
}

func lines(from, n int) []beat.Event {
	out := make([]beat.Event, n)
	for i := range out {
		out[i] = beat.Event{Timestamp: time.Unix(1, 0), Fields: common.MapStr{"message": fmt.Sprintf("line %06d", from+i)}}
	}
	return out
}

// publish sends events as the pipeline does, until they are acknowledged or stop says that it is enough. It returns what is
// left of them and how often it was tried.
func publish(c outputs.NetworkClient, in []beat.Event, stop func() bool) (left, tries int) {
	b := outest.NewBatch(in...)
	acked := false
	var again []publisher.Event
	b.OnSignal = func(s outest.BatchSignal) {
		acked, again = s.Tag == outest.BatchACK, s.Events
	}
	for !stop() {
		tries++
		if c.Connect() != nil {
			continue
		}
		_ = c.Publish(context.Background(), b)
		if acked {
			return 0, tries
		}
		next := make([]beat.Event, len(again))
		for i := range again {
			next[i] = again[i].Content
		}
		signal := b.OnSignal
		b = outest.NewBatch(next...)
		b.OnSignal = signal
		in = next
	}
	return len(in), tries
}

func once(t *testing.T, c outputs.NetworkClient, in []beat.Event) {
	t.Helper()
	n := 0
	if left, _ := publish(c, in, func() bool { n++; return n > 1 }); left > 0 {
		t.Fatalf("%d of %d events were not written", left, len(in))
	}
}

// messages reads the messages of all files in a directory, the oldest first, and fails on a line that is not whole.
func messages(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "out*"))
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(names, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	if !strings.Contains(strings.Join(names, ""), "out-") {
		slices.Reverse(names) // numbers grow with age, dates do not
	}
	var out []string
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 0 && text[len(text)-1] != '\n' {
			t.Errorf("%s ends within a line", name)
		}
		for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
			if line == "" {
				continue
			}
			var e struct{ Message string }
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatalf("%s: torn line %q", name, line)
			}
			out = append(out, strings.TrimPrefix(e.Message, "line "))
		}
	}
	return out
}

// want checks that the files hold the lines from 0 to n, each once and in order.
func want(t *testing.T, dir string, n int) {
	t.Helper()
	got := messages(t, dir)
	if len(got) != n {
		t.Errorf("%d lines, want %d", len(got), n)
	}
	for i, m := range got {
		if m != fmt.Sprintf("%06d", i) {
			t.Fatalf("line %d is %q", i, m)
		}
	}
}

// limited is a file on a disk of so many bytes: what does not fit is written in part, as the kernel does.
type limited struct {
	handle
	free   *int64
	broken *bool // truncating fails too
}

func (l limited) Write(b []byte) (int, error) {
	n := min(int64(len(b)), *l.free)
	k, err := l.handle.Write(b[:n])
	*l.free -= int64(k)
	if err == nil && int(n) < len(b) {
		err = syscall.ENOSPC
	}
	return k, err
}

func (l limited) Truncate(size int64) error {
	if *l.broken {
		return syscall.EIO
	}
	info, err := l.Stat()
	if err != nil {
		return err
	}
	*l.free += info.Size() - size
	return l.handle.Truncate(size)
}

// A full disk holds events up and loses none, doubles none, tears none, wherever in a line it fills up, and however many files a
// batch begins. Nor is anything doubled when the agent is stopped while the disk is full, and sends what was not acknowledged again.
func TestFullDisk(t *testing.T) {
	f := func(options string, room int64, broken, restart bool) {
		t.Helper()
		dir := t.TempDir()
		free, cutFails := int64(1<<20), false
		start := func() outputs.NetworkClient {
			c, o := client(t, dir, "rotate_on_startup: false, number_of_files: 100, "+options)
			o.file.open = func(name string, flag int, perm fs.FileMode) (handle, error) {
				f, err := openFile(name, flag, perm)
				if err != nil {
					return nil, err
				}
				return limited{f, &free, &cutFails}, nil
			}
			return c
		}
		c := start()
		once(t, c, lines(0, 10))
		free, cutFails = room, broken
		tries := 0
		left, _ := publish(c, lines(10, 100), func() bool {
			if tries++; tries == 4 && !restart {
				cutFails, free = false, free+1<<20
			}
			return tries > 20 || restart && tries > 3
		})
		if restart {
			if left != 100 {
				t.Fatalf("room %d: %d events left of 100", room, left)
			}
			cutFails, free = false, free+1<<20
			c = start() // its predecessor is closed after each failure
			once(t, c, lines(10, 100))
		} else if left > 0 || tries < 4 {
			t.Fatalf("room %d: %d events left after %d tries", room, left, tries)
		}
		once(t, c, lines(110, 10))
		want(t, dir, 120)
	}
	for room := int64(0); room < 4000; room += 333 {
		for _, options := range []string{"", "rotate_every_kb: 2", "rotate_every_kb: 2, suffix: date"} {
			f(options, room, false, false)
			f(options, room, true, false)
			f(options, room, false, true)
		}
	}
}

// While the disk is full, rotation removes no older files but those that it would have removed once.
func TestFullDiskKeepsOlderFiles(t *testing.T) {
	for _, suffix := range []string{"count", "date"} {
		dir := t.TempDir()
		c, o := client(t, dir, "rotate_every_kb: 2, number_of_files: 10, suffix: "+suffix)
		once(t, c, lines(0, 100))
		free, cutFails := int64(5000), false
		o.file.open = func(name string, flag int, perm fs.FileMode) (handle, error) {
			f, err := openFile(name, flag, perm)
			if err != nil {
				return nil, err
			}
			return limited{f, &free, &cutFails}, nil
		}
		tries := 0
		publish(c, lines(100, 100), func() bool { tries++; return tries > 30 })
		got := messages(t, dir)
		if len(got) != 100 || got[0] != "000000" {
			t.Errorf("%s: %d lines, the first %s", suffix, len(got), got[0])
		}
	}
}

// The same on a real full disk, where this process may mount one.
func TestFullTmpfs(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tally", dir, "tmpfs", 0, "size=1m"); err != nil {
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
			t.Logf("not allowed to mount (%v): TestFullDisk stands alone", err)
			return
		}
		t.Fatal(err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 600<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _ := client(t, dir, "")
	const n = 20_000
	next, fails := 0, 0
	for next < n {
		tries := 0
		left, _ := publish(c, lines(next, min(2048, n-next)), func() bool {
			if tries++; tries > 3 {
				fails++
				if err := syscall.Mount("tally", dir, "tmpfs", syscall.MS_REMOUNT, "size=64m"); err != nil {
					t.Fatal(err)
				}
			}
			return tries > 5
		})
		if left > 0 {
			t.Fatalf("%d events left", left)
		}
		next += 2048
	}
	if fails == 0 {
		t.Fatal("the disk was never full, so this shows nothing")
	}
	want(t, dir, n)
}

func TestRotation(t *testing.T) {
	f := func(options string, files, kept int) {
		t.Helper()
		dir := t.TempDir()
		c, o := client(t, dir, options)
		for i := range 40 {
			once(t, c, lines(100*i, 100))
		}
		names, _ := filepath.Glob(filepath.Join(dir, "out*"))
		if len(names) != files {
			t.Errorf("%s: files %v, want %d", options, names, files)
		}
		got := messages(t, dir)
		if len(got) < kept || got[len(got)-1] != "003999" {
			t.Fatalf("%s: %d lines, the last %s; want at least %d", options, len(got), got[len(got)-1], kept)
		}
		for i := range got {
			if want := fmt.Sprintf("%06d", 4000-len(got)+i); got[i] != want {
				t.Fatalf("%s: line %d is %s, want %s", options, i, got[i], want)
			}
		}
		for _, name := range names {
			if info, err := os.Stat(name); err != nil || info.Size() > o.file.max || info.Mode().Perm() != o.file.perm {
				t.Errorf("%s: %v %v", options, info, err)
			}
		}
	}
	f("rotate_every_kb: 10, number_of_files: 3, permissions: 0640", 4, 200)
	f("rotate_every_kb: 10, number_of_files: 3, suffix: date", 4, 200)
	f("rotate_every_kb: 10000", 1, 4000)
}

// A line longer than a file may be has a file of its own.
func TestLongLine(t *testing.T) {
	dir := t.TempDir()
	c, _ := client(t, dir, "rotate_every_kb: 1")
	in := lines(0, 3)
	in[1].Fields["more"] = strings.Repeat("x", 5000)
	once(t, c, in)
	want(t, dir, 3)
	if info, err := os.Stat(filepath.Join(dir, "out.1")); err != nil || info.Size() < 5000 {
		t.Errorf("%v %v", info, err)
	}
}

func TestStartup(t *testing.T) {
	f := func(options, before, active, older string) {
		t.Helper()
		dir := t.TempDir()
		name := filepath.Join(dir, "out")
		if err := os.WriteFile(name, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		c, _ := client(t, dir, options+"codec.format.string: '%{[message]}'")
		once(t, c, lines(0, 1))
		got, _ := os.ReadFile(name)
		old, _ := os.ReadFile(name + ".1")
		if string(got) != active || string(old) != older {
			t.Errorf("%q %q: file %q, older %q", options, before, got, old)
		}
	}
	f("", "a\nb\n", "line 000000\n", "a\nb\n")
	f("", "a\ntorn", "line 000000\n", "a\n")
	f("", "", "line 000000\n", "")
	f("rotate_on_startup: false, ", "a\nb\n", "a\nb\nline 000000\n", "")
	f("rotate_on_startup: false, ", "a\ntorn", "a\nline 000000\n", "")
	f("rotate_on_startup: false, ", strings.Repeat("torn", 40<<10), "line 000000\n", "")
}

// A file that somebody moves away or truncates is no hole to write into.
func TestMovedAway(t *testing.T) {
	dir := t.TempDir()
	c, _ := client(t, dir, "")
	name := filepath.Join(dir, "out")
	once(t, c, lines(0, 2))
	if err := os.Rename(name, filepath.Join(dir, "out.1")); err != nil {
		t.Fatal(err)
	}
	once(t, c, lines(2, 2))
	want(t, dir, 4)
	if err := os.Truncate(name, 0); err != nil {
		t.Fatal(err)
	}
	once(t, c, lines(2, 3))
	want(t, dir, 5)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	once(t, c, lines(0, 1))
	want(t, dir, 1)
}

func TestCodecs(t *testing.T) {
	f := func(codec, want string) {
		t.Helper()
		dir := t.TempDir()
		c, _ := client(t, dir, "codec: "+codec)
		once(t, c, []beat.Event{{Timestamp: time.Unix(1, 0), Fields: common.MapStr{"message": "<m>"}}, {Timestamp: time.Unix(1, 0), Fields: common.MapStr{"message": "n"}}})
		got, err := os.ReadFile(filepath.Join(dir, "out"))
		if err != nil || !strings.HasPrefix(string(got), want) {
			t.Errorf("%s: %q, %v, want %q", codec, got, err, want)
		}
	}
	const head = `{"@timestamp":"1970-01-01T00:00:01.000Z","@metadata":{"beat":"tallybeat","type":"_doc","version":"7"},"message":"`
	f("{json: {}}", head+"<m>\"}\n")
	f("{json.escape_html: true}", head+`\u003cm\u003e"}`+"\n")
	f("{json.pretty: true}", "{\n  \"@timestamp\"")
	f("{format.string: '%{[message]}'}", "<m>\nn\n")
	f("{format.string: '%{[nosuch]}'}", "")
}

func TestOptions(t *testing.T) {
	for _, options := range []string{"number_of_files: 1", "number_of_files: 2000", "rotate_every_kb: 0", "permissions: 07777", "suffix: week", "codec.nosuch: {}"} {
		if _, err := group(t, t.TempDir(), options); err == nil {
			t.Errorf("%s is taken", options)
		}
	}
	cfg := common.MustNewConfigFrom(map[string]any{"backoff": map[string]any{"init": 0}})
	if _, err := New(nil, beat.Info{}, outputs.NewNilObserver(), cfg); err == nil {
		t.Error("a back-off of 0 is taken")
	}
}
