package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tallylog/tally/test/rig"
)

// TestFullDisk lets the server's disk run full while an agent sends: the client waits, queries go on, and after space is there
// again everything arrives, once.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: mounting a small file system needs root; run the tests as root to see what a full disk does")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: cannot mount a small tmpfs, so a full disk is not tried: %v %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v %s", err, out)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	s := rig.NewServer(t, filepath.Join(dir, "data"), "buffer: {checkpoint: 2s}\n").Start()
	if err := os.WriteFile(ballast, make([]byte, 48<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	const total = 60_000
	file := filepath.Join(t.TempDir(), "app.log")
	if err := writeLines(file, total, time.Second); err != nil {
		t.Fatal(err)
	}
	a := rig.NewAgent(t, s.Lumberjack, fmt.Sprintf("- type: applog\n  paths: [%q]\n", file)).Start()
	s.Logged("the buffer has no space")
	if s.Exited() || a.Exited() {
		t.Fatal("a full disk ended a process")
	}
	if n := s.Count("*"); n < 0 || n >= total {
		t.Errorf("while the disk is full %d events are found, want some, not all %d", n, total)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	s.WaitCount("*", total, 2*time.Minute)
	if lost, doubled := rig.Tallied(s.Events("*", "message"), total, number); lost != 0 || doubled != 0 {
		t.Errorf("%d lost, %d doubled", lost, doubled)
	}
	if code := s.Stop(); code != 0 {
		t.Errorf("the server ended with %d", code)
	}
}
