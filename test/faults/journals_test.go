package faults

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/test/rig"
)

// journals is one case: an agent that reads a journal.
type journals struct {
	*rig.Journal
	t     *testing.T
	dir   string
	gate  *gate
	agent *rig.Agent
	gone  string // the reason with which lines may be missing, empty where none may
	note  string
}

// TestJournals does to journals what systemd, disks and operators do to them while an agent reads, and counts. Where entries are gone
// before they can be read, the account must name as many, with the reason.
func TestJournals(t *testing.T) {
	s := rig.NewServer(t, t.TempDir(), "").Start()
	f := func(name, path string, run func(*journals)) {
		t.Run(name, func(t *testing.T) {
			before := map[string]bool{}
			for _, src := range s.Sources("") {
				before[src.ID] = true
			}
			dir := t.TempDir()
			word := strings.ReplaceAll(name, " ", "-")
			c := &journals{t: t, dir: dir, gate: newGate(t, s.Lumberjack), Journal: rig.NewJournal(t, dir, word)}
			c.gate.set(true)
			c.agent = rig.NewAgent(t, c.gate.addr(), fmt.Sprintf("- type: journald\n  paths: [%q]\n", filepath.Join(dir, path)))
			run(c)
			mark := fmt.Sprintf("%q", word)
			accounted := func() (stored, lost, conflicts int64, whole bool) {
				whole = true
				for _, src := range s.Sources("") {
					if before[src.ID] || src.Kind != "journal" {
						continue
					}
					conflicts += src.Conflicts
					whole = whole && len(src.Ranges)+len(src.Gaps) > 0 && end(src) == int64(c.Lines)+1
					for _, g := range src.Gaps {
						if g.To == nil || g.Reason != c.gone {
							whole = false
							continue
						}
						lost += *g.To - g.From
					}
				}
				stored = int64(s.Count(mark))
				return stored, lost, conflicts, whole
			}
			limit := time.Now().Add(time.Minute)
			if *long {
				limit = limit.Add(10 * time.Minute)
			}
			stored, gone, conflicts, whole := accounted()
			for ; (!whole || stored+gone < int64(c.Lines)) && time.Now().Before(limit); stored, gone, conflicts, whole = accounted() {
				time.Sleep(100 * time.Millisecond)
			}
			c.agent.Stop()
			lost, doubled := rig.Tallied(s.Events(mark, "message"), c.Lines, func(m string) int { return number(strings.TrimPrefix(m, word+" ")) })
			if !whole || conflicts > 0 {
				t.Errorf("the account is not whole, or has conflicts (%d): %+v", conflicts, s.Sources(""))
			}
			if gone > 0 {
				c.note = fmt.Sprintf("%d gone before they could be read, named %s; %s", gone, c.gone, c.note)
			}
			if c.gone != "" && gone == 0 {
				t.Error("nothing was lost, so that the case shows nothing")
			}
			report(t, row{name: name, written: c.Lines, lost: lost - int(gone), doubled: doubled, note: strings.TrimSuffix(c.note, "; ")})
		})
	}
	rotated := func(c *journals) {
		c.agent.Start()
		c.Write(size(20_000, 200_000), 25)
		c.rotations()
	}
	f("one journal file rotated under load", "system.journal", rotated)
	f("directory of journals rotated under load", "", rotated)
	f("agent killed while journals rotate", "system.journal", func(c *journals) {
		c.agent.Start()
		for range size(4, 10) {
			c.Write(size(3_000, 20_000), 10)
			c.Rotate()
			time.Sleep(200 * time.Millisecond)
			c.agent.Kill()
			c.Write(500, 1)
			c.agent.Start()
		}
	})
	f("journal vacuumed with unread entries", "system.journal", func(c *journals) {
		c.gone = "vacuumed"
		c.agent.Start()
		c.Write(100, 1)
		rig.Eventually(c.t, time.Minute, "the first lines are stored", func() bool { return s.Count(`"journal-vacuumed-with-unread-entries"`) >= 100 })
		c.agent.Stop()
		c.Write(size(2_000, 20_000), 1)
		old := c.Rotate()
		c.Write(1000, 1)
		if err := os.Remove(old); err != nil {
			c.t.Fatal(err)
		}
		c.agent.Start()
	})
	f("journal corrupted", "system.journal", func(c *journals) {
		c.gone = "corrupt"
		c.Write(size(5_000, 50_000), 1)
		old := c.Rotate()
		c.Write(1000, 1)
		st, err := os.Stat(old)
		if err != nil {
			c.t.Fatal(err)
		}
		text, err := os.ReadFile(old)
		if err != nil {
			c.t.Fatal(err)
		}
		used := len(bytes.TrimRight(text, "\x00"))
		rig.Patch(c.t, old, int64(used)-int64(used)/8, bytes.Repeat([]byte{0xA5}, 16<<10))
		c.note = fmt.Sprintf("16 KiB of %d overwritten", st.Size()>>10)
		c.agent.Start()
	})
	f("journal truncated while it is read", "system.journal", func(c *journals) {
		c.gone = "corrupt"
		c.gate.set(false)
		c.Write(size(40_000, 200_000), 1)
		old := c.Rotate()
		c.Write(1000, 1)
		c.agent.Start()
		c.mapped(old)
		if err := os.Truncate(old, 12<<20); err != nil {
			c.t.Fatal(err)
		}
		c.gate.set(true)
		c.note = "the agent lives on"
	})
}

// end is the number behind the last that the account knows of.
func end(src rig.Source) (to int64) {
	for _, r := range src.Ranges {
		to = max(to, r[1])
	}
	for _, g := range src.Gaps {
		if g.To != nil {
			to = max(to, *g.To)
		}
	}
	return to
}

// rotations notes how often the journal was rotated.
func (c *journals) rotations() {
	files, err := filepath.Glob(filepath.Join(c.dir, "system@*"))
	if err != nil || len(files) == 0 {
		c.t.Fatalf("the journal was not rotated: %v", err)
	}
	c.note = fmt.Sprintf("rotated %d times", len(files))
}

// mapped waits until the agent has the file open.
func (c *journals) mapped(path string) {
	c.t.Helper()
	f := &files{t: c.t, agent: c.agent}
	f.opened(path)
}
