package applog

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is written to one file costs no reading of the others, however many there are.
func TestRestingFilesAreNotRead(t *testing.T) {
	r := newRig(t)
	const files, lines = 2000, 30
	for i := range files {
		r.write(fmt.Sprint(i, ".log"), fmt.Sprintf("the first line of file %d\n", i))
	}
	r.run(nil, "*.log")
	r.sink.wait(t, files)
	r.waitRecord("the last line acknowledged", func(rec record) bool { return rec.Offset > 0 && strings.HasSuffix(rec.Path, "/7.log") })
	before := readCalls(t)
	for i := range lines {
		r.write("7.log", "another line\n")
		r.sink.wait(t, files+i+1)
	}
	if n := readCalls(t) - before; n > files {
		t.Errorf("%d lines of one file took %d reads", lines, n)
	}
}

// readCalls is how often this process has called read(2) and its like (proc(5), io).
func readCalls(t *testing.T) (n int) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "syscr:")
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Names that lead nowhere, such as those of temporary files beside the way to the logs, are not taken for a rotation.
func TestConcerns(t *testing.T) {
	cfg, err := parseMap(map[string]any{"paths": []string{"/tmp/pods/*/app.log"}})
	if err != nil {
		t.Fatal(err)
	}
	d := &discoverer{in: &Input{cfg: cfg}}
	root := &dir{path: "/", at: roots(cfg.patterns)}
	tmp := &dir{path: "/tmp"}
	tmp.at, _ = step(cfg.patterns, root.at, "tmp")
	pods := &dir{path: "/tmp/pods"}
	pods.at, _ = step(cfg.patterns, tmp.at, "pods")
	pod := &dir{path: "/tmp/pods/1"}
	pod.at, _ = step(cfg.patterns, pods.at, "1")
	for _, n := range []*dir{root, tmp, pods, pod} {
		n.files = hasFiles(cfg.patterns, n.at)
	}
	for _, c := range []struct {
		dir  *dir
		name string
		want bool
	}{{root, "tmp", true}, {root, "var", false}, {tmp, "pods", true}, {tmp, "x", false}, {pods, "x", true}, {pod, "app.log.1", true}, {tmp, "", true}, {nil, "x", true}} {
		if got := d.concerns(c.dir, notice{name: c.name}); got != c.want {
			path := "a target's directory"
			if c.dir != nil {
				path = filepath.Join(c.dir.path, c.name)
			}
			t.Errorf("%s: %v, want %v", path, got, c.want)
		}
	}
}
