package build

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMissing(t *testing.T) {
	there := filepath.Join(t.TempDir(), "there")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got := missing([]part{
		{[]string{"/no/such/file", there}, "a"},
		{[]string{"no-such-program-anywhere", "/no/such/file"}, "b"},
		{[]string{"no-such-program-anywhere", "sh"}, "c"},
	})
	if want := []string{"b"}; !slices.Equal(got, want) {
		t.Errorf("missing: %v, want %v", got, want)
	}
}

func TestSummary(t *testing.T) {
	var s summary
	for _, line := range []string{
		"ok  \tm/a\t0.1s",
		"ok  \tm/b\t(cached)",
		"?   \tm/c\t[no test files]",
		"--- FAIL: TestX (0.00s)",
		"    x_test.go:1: no",
		"FAIL",
		"FAIL\tm/d\t0.2s",
		"FAIL\tm/e [build failed]",
		"FAIL",
	} {
		s.line(line)
	}
	if s.ok != 2 || s.silent != 1 || !slices.Equal(s.failed, []string{"m/d", "m/e"}) || s.done() != 5 {
		t.Errorf("%+v", s)
	}
}

// run starts a shell script as a child and waits until it says that it is ready.
func runScript(t *testing.T, script string) *child {
	t.Helper()
	c, err := start("script", filepath.Join(t.TempDir(), "logs", "script.log"), "sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(2 * time.Minute); !strings.Contains(c.tail(), "ready"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the script did not become ready")
		}
	}
	return c
}

func TestChildStops(t *testing.T) {
	c := runScript(t, `trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done`)
	if err := c.stop(2 * time.Minute); err != nil {
		t.Errorf("an orderly end: %v", err)
	}
	if !strings.HasSuffix(c.tail(), "bye") {
		t.Errorf("the last line is not in the log: %q", c.tail())
	}
}

func TestChildIsKilled(t *testing.T) {
	c := runScript(t, `trap '' TERM; echo ready; while :; do sleep 0.05; done`)
	if err := c.stop(300 * time.Millisecond); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("a child that does not listen: %v", err)
	}
}

func TestRunSaysWhichChildDied(t *testing.T) {
	c := runScript(t, `echo ready; sleep 0.1; echo the reason; exit 3`)
	r := &running{stop: make(chan os.Signal), above: ancestors(), children: []*child{c}}
	err := r.wait()
	if err == nil || !strings.Contains(err.Error(), "script ended by itself (exit status 3)") || !strings.Contains(err.Error(), "the reason") {
		t.Errorf("died with %v", err)
	}
	if err := r.stopAll(); err != nil {
		t.Errorf("ending what has ended: %v", err)
	}
}

func TestRunStopsWhenOrphaned(t *testing.T) {
	c := runScript(t, `trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done`)
	r := &running{stop: make(chan os.Signal), above: [2]int{-1, -1}, children: []*child{c}}
	if err := r.wait(); !errors.Is(err, errAsked) {
		t.Errorf("the parents are others, but it ended with %v", err)
	}
	if err := r.stopAll(); err != nil {
		t.Error(err)
	}
}

func TestAncestors(t *testing.T) {
	a := ancestors()
	if a[0] != os.Getppid() {
		t.Errorf("ancestors %v, want the parent %d first", a, os.Getppid())
	}
}
