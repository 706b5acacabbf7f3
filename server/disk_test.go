package server

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tallylog/tally/strictyaml"
)

// TestLettersOnAFullDisk: while the disk has no room for dead letters their client waits and gets no acknowledgement; when there is room
// again it sends the same, and each is there once. A backup on a full disk fails with a reason and leaves nothing. Without the right to
// mount, package deadletter's and admit's own tests stand for it.
func TestLettersOnAFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=96m"); err != nil {
		t.Logf("cannot mount a small file system: %v", err)
		return
	}
	defer func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Errorf("cannot unmount: %v", err)
		}
	}()
	dir := filepath.Join(disk, "data")
	n, err := strictyaml.Parse("tally.yml", []byte("- name: all\n  on_failure: dead_letter\n  processors:\n  - grok: {patterns: '^never$'}\n"), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	r := runWith(t, dir, func(o *Options) {
		o.Config.Pipelines, o.Config.Storage.MinFree, o.Config.Storage.DeadLetters = n, 1<<20, 64<<20
	})
	defer func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	}()
	ballast := filepath.Join(disk, "ballast")
	fill := func() {
		t.Helper()
		f, err := os.Create(ballast)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for b := make([]byte, 1<<16); err == nil; {
			_, err = f.Write(b)
		}
	}
	body := strings.Repeat(`{"message":"`+strings.Repeat("x", 4000)+`"}`+"\n", 200)
	r.push(body, "Tally-Source", "s", "Tally-From", "0")
	fill()
	done := make(chan string, 1)
	go func() {
		code, ans := 0, ""
		for code != 200 { // 503 once it has waited for too long: the same again
			code, ans, _ = r.do("POST", "/api/v1/push", body, "Tally-Source", "s", "Tally-From", "200")
		}
		done <- ans
	}()
	select {
	case ans := <-done:
		t.Errorf("on a full disk the answer is %s", ans)
	case <-time.After(time.Second):
	}
	if code, ans, _ := r.do("POST", "/api/v1/storage/backup", ""); code != 500 || !strings.Contains(ans, "no backup was taken") {
		t.Errorf("a backup on a full disk: %d %.200s", code, ans)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, snapshotPrefix+"*")); len(left) > 0 {
		t.Errorf("%v is left of it", left)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if ans := <-done; !strings.Contains(ans, `"accepted":0`) {
		t.Errorf("with room again the answer is %s", ans)
	}
	if _, ans, _ := r.do("GET", "/api/v1/deadletters?limit=1", ""); !strings.Contains(ans, `"letters":400`) {
		t.Errorf("the letters: %.600s", ans)
	}
	if _, ans, _ := r.do("GET", "/api/v1/sources?name=s", ""); !strings.Contains(ans, `"gaps":[{"from":0,"to":400,"reason":"rejected"}]`) {
		t.Errorf("the account: %s", ans)
	}
}
