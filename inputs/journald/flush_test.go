package journald

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/elastic/beats/v7/libbeat/common"
)

// TestFlush copies a journal from memory to disk as journald does at boot, while the input runs, while it is stopped, and
// before it has read all: every line comes once. In some versions of systemd the copies are entries of the same journal.
func TestFlush(t *testing.T) {
	for name, c := range map[string]struct {
		stopped bool
		read    int // lines read before, of 100
		same    bool
	}{
		"running": {false, 100, false}, "stopped": {true, 100, false}, "half read": {true, 60, false},
		"running, same journal": {false, 100, true}, "stopped, same journal": {true, 100, true}, "half read, same journal": {true, 60, true},
	} {
		t.Run(name, func(t *testing.T) {
			memory, disk := t.TempDir(), t.TempDir()
			both := func(string) location {
				return location{
					dirs:     func() []string { return []string{memory, disk} },
					wanted:   func(string) bool { return true },
					volatile: func(path string) bool { return filepath.Dir(path) == memory },
				}
			}
			store := filepath.Join(t.TempDir(), "positions")
			inMemory, onDisk := filepath.Join(memory, "system.journal"), filepath.Join(disk, "system.journal")
			x := new(export)
			x.lines(c.read).write(t, inMemory)
			r := start(t, common.MapStr{}, setup{store: store, locate: both})
			wantLines(t, r.wait(t, c.read), 0, c.read, 1)
			if c.stopped {
				r.stop(t)
			}
			x.lines(100-c.read).write(t, inMemory)
			copies := new(export)
			tmp := filepath.Join(t.TempDir(), "system.journal")
			before := int64(0) // the numbers before those of the copies
			if c.same {
				succeed(t, inMemory, tmp)
				before = 100
			}
			copies.lines(100).write(t, tmp)
			if err := os.Rename(tmp, onDisk); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(inMemory); err != nil {
				t.Fatal(err)
			}
			copies.lines(20).write(t, onDisk)
			shipped := c.read
			if c.stopped {
				r = start(t, common.MapStr{}, setup{store: store, locate: both})
				shipped = 0
			}
			events := r.wait(t, shipped+120-c.read)[shipped:]
			r.stop(t)
			wantLines(t, events, c.read, 120, before+int64(c.read+1))
			skipped := int64(c.read + 1)
			if c.same { // no number is 0, and those of originals that were not read are passed over
				skipped = 100
			}
			if p := positionOf(t, events[0]); p.Skipped != skipped {
				t.Errorf("the first event from disk skips %d units, want %d: the copies", p.Skipped, skipped)
			}
			if len(r.lost) > 0 {
				t.Errorf("reported as lost: %+v", <-r.lost)
			}
		})
	}
}

// TestNoFlush has a journal on disk with entries of the same boot, older than what was read of the one in memory, and no copies
// of it: they come after a while.
func TestNoFlush(t *testing.T) {
	t.Parallel()
	memory, disk := t.TempDir(), t.TempDir()
	x := new(export)
	x.n = 1000
	x.lines(5).write(t, filepath.Join(memory, "system.journal"))
	new(export).lines(5).write(t, filepath.Join(disk, "system.journal"))
	r := start(t, common.MapStr{}, setup{locate: func(string) location {
		return location{
			dirs:     func() []string { return []string{memory, disk} },
			wanted:   func(string) bool { return true },
			volatile: func(path string) bool { return filepath.Dir(path) == memory },
		}
	}})
	wantLines(t, r.wait(t, 10)[5:], 0, 5, 1)
}
