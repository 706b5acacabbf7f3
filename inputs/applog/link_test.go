package applog

import (
	"os"
	"slices"
	"testing"
)

// What happens to a file that is listed by a symbolic link is noticed at once, though no pattern leads to its directory: the rescan is an
// hour away. As with kubelet's and docker's files, the link stays while the file behind it is rotated.
func TestLinkedFile(t *testing.T) {
	r := newRig(t)
	r.options.Controls = true
	r.do(os.MkdirAll(r.path("pods/1"), 0o755))
	r.do(os.MkdirAll(r.path("containers"), 0o755))
	r.write("pods/1/0.log", numbered(0, 10))
	r.do(os.Symlink("../pods/1/0.log", r.path("containers/a.log")))
	r.run(map[string]any{"rescan_interval": "1h"}, "containers/*.log")
	r.sink.wait(t, 10)
	r.write("pods/1/0.log", numbered(10, 20))
	r.sink.wait(t, 20)
	r.do(os.Rename(r.path("pods/1/0.log"), r.path("pods/1/0.log.1")))
	r.write("pods/1/0.log", numbered(20, 30))
	es := r.sink.wait(t, 30)
	wantNumbered(t, es, 30)
	if a, b := position(es[0]).Source, position(es[29]).Source; a == b {
		t.Errorf("the file behind the link and the one that took its place are both %s", a)
	}
	r.write("pods/1/0.log", numbered(30, 40))
	r.sink.wait(t, 40)
	// A second link into the same directory, made while the agent runs; then the first goes, and the second's file is still watched.
	r.write("pods/1/other.log", "other file\n")
	r.do(os.Symlink(r.path("pods/1/other.log"), r.path("containers/b.log")))
	r.sink.wait(t, 41)
	r.do(os.Remove(r.path("containers/a.log")))
	r.write("pods/1/other.log", "other line\n")
	r.sink.wait(t, 42)
	// The pod goes: its files are read to their ends, and these are told, that of the renamed one too.
	r.do(os.RemoveAll(r.path("pods")))
	lines, told := split(r.sink.wait(t, 45))
	if len(lines) != 42 || !slices.Equal(slices.Sorted(slices.Values(told)), []string{"complete 22", "complete 820", "complete 820"}) {
		t.Errorf("%d lines, told %q", len(lines), told)
	}
	wantWhole(t, lines)
}

// A directory that patterns lead through and that a link leads into has one watch for both.
func TestLinkIntoWatchedDirectory(t *testing.T) {
	r := newRig(t)
	r.do(os.MkdirAll(r.path("d/logs"), 0o755))
	r.write("d/hidden", numbered(0, 1))
	r.do(os.Symlink("../hidden", r.path("d/logs/a.log")))
	r.run(map[string]any{"rescan_interval": "50ms"}, "*/logs/*.log", "*/later/*.log")
	r.sink.wait(t, 1)
	r.write("d/hidden", numbered(1, 2))
	r.sink.wait(t, 2)
	r.do(os.Remove(r.path("d/logs/a.log")))
	r.do(os.MkdirAll(r.path("d/later"), 0o755))
	r.write("d/later/b.log", numbered(2, 3))
	wantNumbered(t, r.sink.wait(t, 3), 3)
}
