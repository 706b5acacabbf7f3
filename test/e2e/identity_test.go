package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/tallylog/tally/test/rig"
)

// TestSameLinesInTheSameInode: a pod that comes and goes writes the same lines each time, into a file that has the inode of the one
// before, and the agent does not remember that. They are other lines all the same, told apart by the birth of the file, which
// the agent must be allowed to ask for.
func TestSameLinesInTheSameInode(t *testing.T) {
	s := rig.NewServer(t, t.TempDir(), "").Start()
	dir := t.TempDir()
	const n = 100
	ship := func(file string, want int) {
		a := rig.NewAgent(t, s.Lumberjack, fmt.Sprintf("- {type: applog, paths: [%q]}\n", file)).Start()
		s.WaitCount("*", want, time.Minute)
		a.Stop()
	}
	inode := func(file string) uint64 {
		st, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		return st.Sys().(*syscall.Stat_t).Ino
	}
	first := filepath.Join(dir, "first.log")
	write(t, first, numbered(0, n))
	ino := inode(first)
	ship(first, n)
	if err := os.Remove(first); err != nil {
		t.Fatal(err)
	}
	// The file system gives the inode to one of the next files, unless somebody else is faster.
	second := ""
	for i := range 500 {
		name := filepath.Join(dir, fmt.Sprintf("second-%d.log", i))
		write(t, name, numbered(0, n))
		if second = name; inode(name) == ino {
			break
		}
	}
	t.Logf("the inode was reused: %t", inode(second) == ino)
	ship(second, 2*n)
	if src := s.Sources(""); len(src) != 2 || src[0].Duplicates+src[1].Duplicates != 0 {
		t.Errorf("accounts %+v", src)
	}
}
