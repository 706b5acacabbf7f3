package cmd

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tallylog/tally/server/config"
)

// TestFullDisk: where the disk runs full, a backup and a restore say so and leave nothing that looks whole, a copy waits for space, and the
// same commands succeed when there is some; the source stays as it was. Without the right to mount nothing is tried.
func TestFullDisk(t *testing.T) {
	disk, data, dir := t.TempDir(), t.TempDir(), t.TempDir()
	size := func(flags uintptr, size string) error {
		return syscall.Mount("tmpfs", disk, "tmpfs", flags, "size="+size)
	}
	if err := size(0, "256k"); err != nil {
		t.Logf("cannot mount a small file system: %v", err)
		return
	}
	defer func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Errorf("cannot unmount: %v", err)
		}
	}()
	withServer(t, data, config.Default(), func(url string) {
		var lines strings.Builder
		for n := range 5000 {
			fmt.Fprintf(&lines, `{"message":"line %d %x"}`+"\n", n, n*7919)
		}
		ask(t, "POST", url+"/api/v1/push", lines.String(), "Tally-Source", "s", "Tally-From", "0")
	})
	run := func(code int, want string, args ...string) {
		t.Helper()
		var out bytes.Buffer
		if got := Main(args, strings.NewReader(""), &out, &out); got != code || !strings.Contains(out.String(), want) {
			t.Errorf("%v: exit code %d, want %d with %q:\n%s", args, got, code, want, out.String())
		}
	}
	whole := filepath.Join(dir, "whole.tar")
	run(1, "no space left", "storage", "backup", "--data", data, filepath.Join(disk, "b.tar"))
	if left, err := os.ReadDir(disk); err != nil || len(left) > 0 {
		t.Errorf("a backup that failed leaves %v, %v", left, err)
	}
	run(0, "holds everything", "storage", "backup", "--data", data, whole)
	run(1, "no space left", "storage", "restore", whole, "--data", filepath.Join(disk, "r"))
	if err := size(syscall.MS_REMOUNT, "300m"); err != nil {
		t.Fatal(err)
	}
	run(0, "holds the backup", "storage", "restore", whole, "--data", filepath.Join(disk, "r"))
	run(0, "clean", "fsck", "--data", filepath.Join(disk, "r"))

	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 100<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "tally.yml")
	if err := os.WriteFile(file, []byte("storage: {min_free: 220MiB}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, ended := &written{}, make(chan int, 1)
	go func() {
		ended <- Main([]string{"storage", "copy", "--data", data, "--to", filepath.Join(disk, "c"), "-c", file}, strings.NewReader(""), out, out)
	}()
	for end := time.Now().Add(2 * time.Minute); !strings.Contains(out.String(), "waits for disk space"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) || len(ended) > 0 {
			t.Fatalf("the copy does not wait for space:\n%s", out)
		}
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if code := <-ended; code != 0 || !strings.Contains(out.String(), "is whole") {
		t.Errorf("the copy ends with %d:\n%s", code, out)
	}
	run(0, "clean", "fsck", "--data", data)
	withServer(t, data, config.Default(), func(url string) {
		if got := ask(t, "GET", url+"/api/v1/count", ""); got != `{"count":5000}` {
			t.Errorf("the source has %s", got)
		}
	})
}
