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

// identity is one case in which it is doubtful which source a line is of.
type identity struct {
	t         *testing.T
	s         *rig.Server
	dir, name string
	lines     int   // written so far
	conflicts int64 // the account must count so many
	resent    int64 // and at least so many that came again
	note      string
}

// identities runs one case after the other against one server: whatever is doubted, every line is stored once, and what is under one
// number twice is counted.
type identities struct {
	t *testing.T
	s *rig.Server
}

func (all identities) run(name string, run func(*identity)) {
	all.t.Run(name, func(t *testing.T) {
		before := map[string]bool{}
		for _, src := range all.s.Sources("") {
			before[src.ID] = true
		}
		c := &identity{t: t, s: all.s, dir: t.TempDir(), name: strings.ReplaceAll(name, " ", "-")}
		run(c)
		c.stored()
		mark := fmt.Sprintf("%q", c.name)
		gaps, conflicts, resent := 0, int64(0), int64(0)
		for _, src := range c.s.Sources("") {
			if !before[src.ID] {
				gaps, conflicts, resent = gaps+len(src.Gaps), conflicts+src.Conflicts, resent+src.Duplicates
			}
		}
		if gaps > 0 || conflicts != c.conflicts || resent < c.resent {
			t.Errorf("%d gaps, %d conflicts, %d lines came again; want 0, %d, and at least %d: %+v", gaps, conflicts, resent, c.conflicts, c.resent, c.s.Sources(""))
		}
		lost, doubled := rig.Tallied(c.s.Events(mark, "message"), c.lines, func(m string) int { return number(strings.TrimPrefix(m, c.name+" ")) })
		report(t, row{name: name, written: c.lines, lost: lost, doubled: doubled, note: c.note + fmt.Sprintf("%d came again and were refused, %d conflicts", resent, conflicts)})
	})
}

// write appends numbered lines of one length.
func (c *identity) write(file string, n int) {
	c.t.Helper()
	var b bytes.Buffer
	for range n {
		fmt.Fprintf(&b, "%s line %06d of a file\n", c.name, c.lines)
		c.lines++
	}
	c.add(file, b.String())
}

func (c *identity) add(file, text string) {
	c.t.Helper()
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// agent prepares an agent that reads what is below the directory of the case.
func (c *identity) agent(kind, options string) *rig.Agent {
	path := filepath.Join(c.dir, "*.log")
	if kind == "journald" {
		path = c.dir
	}
	return rig.NewAgent(c.t, c.s.Lumberjack, fmt.Sprintf("- type: %s\n  id: x\n  paths: [%q]\n%s", kind, path, options))
}

// stored waits for all that was written.
func (c *identity) stored() {
	c.t.Helper()
	rig.Eventually(c.t, 2*time.Minute, fmt.Sprint(c.lines, " lines are stored"), func() bool { return c.s.Count(fmt.Sprintf("%q", c.name)) >= c.lines })
}

// came waits until at least n lines have come again.
func (c *identity) came(n int64, before int64) {
	c.t.Helper()
	rig.Eventually(c.t, 2*time.Minute, fmt.Sprint(n, " lines have come again"), func() bool { return c.again() >= before+n })
}

func (c *identity) again() (sum int64) {
	for _, src := range c.s.Sources("") {
		sum += src.Duplicates
	}
	return sum
}

func (c *identity) stop(a *rig.Agent) {
	c.t.Helper()
	if code := a.Stop(); code != 0 {
		c.t.Fatalf("the agent ended with %d", code)
	}
}

// TestFileIdentity has files of which it is doubtful whether they are those that were read.
func TestFileIdentity(t *testing.T) {
	all := identities{t, rig.NewServer(t, t.TempDir(), "").Start()}
	all.run("machine cloned with its files", func(c *identity) {
		log := filepath.Join(c.dir, "app.log")
		a := c.agent("applog", "").Start()
		c.write(log, 100)
		c.stored()
		c.stop(a)
		cloned := a.Save()
		text, err := os.Stat(log)
		if err != nil {
			t.Fatal(err)
		}
		a.Start()
		c.write(log, 50)
		c.stored()
		c.stop(a)
		// The clone has the same file, with the same inode and birth, and the same registry; then it writes lines of its own.
		if err := os.Truncate(log, text.Size()); err != nil {
			t.Fatal(err)
		}
		cloned()
		c.write(log, 40)
		c.conflicts = 40
		a.Start()
		c.stored()
		c.stop(a)
	})
	all.run("registry lost and set back", func(c *identity) {
		log := filepath.Join(c.dir, "app.log")
		before := c.again()
		a := c.agent("applog", "").Start()
		c.write(log, 100)
		c.stored()
		c.stop(a)
		old := a.Save()
		a.Start()
		c.write(log, 100)
		c.stored()
		a.Kill()
		a.Forget()
		c.write(log, 10)
		a.Start()
		c.stored()
		c.came(200, before)
		c.stop(a)
		old()
		c.write(log, 10)
		a.Start()
		c.stored()
		c.came(310, before)
		c.stop(a)
		c.resent = 310
	})
	for _, kind := range []string{"applog", "filestream", "log"} {
		all.run("device number changed under "+kind, func(c *identity) {
			log := filepath.Join(c.dir, "app.log")
			before := c.again()
			a := c.agent(kind, "").Start()
			c.write(log, 100)
			c.stored()
			c.stop(a)
			c.write(log, 50)
			a.Under = rig.OtherDevice(t, c.dir)
			a.Start()
			c.stored()
			if kind != "applog" && a.Under != nil {
				c.came(100, before) // Filebeat's registry knows files by their devices, the server does not
			}
			c.stop(a)
			resent := c.again() - before
			if kind == "applog" && resent > 0 {
				t.Errorf("%d lines came again", resent)
			}
			a.Forget()
			a.Under = nil
			c.write(log, 10)
			a.Start()
			c.stored()
			c.came(resent+150, before)
			c.stop(a)
			c.resent = resent + 150
		})
	}
	all.run("kernel without statx", func(c *identity) {
		log := filepath.Join(c.dir, "app.log")
		before := c.again()
		a := c.agent("applog", "")
		a.Under = rig.WithoutStatx(t)
		c.add(log, "=== the application starts\n")
		a.Start()
		c.write(log, 100)
		c.stored()
		a.Kill()
		a.Forget()
		a.Start()
		c.came(100, before)
		c.stop(a)
		c.resent = 100
		a.Under = nil // the kernel is replaced
		c.write(log, 50)
		a.Start()
		c.stored()
		c.stop(a)
		a.Under = rig.WithoutStatx(t)
		if err := os.Remove(log); err != nil { // its inode is free, and is often that of the next file
			t.Fatal(err)
		}
		c.add(log, "=== the application starts\n")
		c.write(log, 300)
		a.Start()
		c.stored()
		c.stop(a)
	})
	all.run("end decided by a timeout and replayed", func(c *identity) {
		log := filepath.Join(c.dir, "app.log")
		a := c.agent("applog", "  multiline: {preset: java, timeout: 200ms}\n")
		c.add(log, c.name+" line 0 broke\n\tat one.place\n")
		c.lines++
		c.killedAtAcknowledgement(a)
		c.add(log, "\tat another.place\n"+c.name+" line 1 goes on\n")
		c.lines++
		a.Start()
		c.stored()
		c.replayed(a, "\tat another.place")
	})
}

// killedAtAcknowledgement runs the agent until what the timeout has ended is stored, and kills it before it knows that.
func (c *identity) killedAtAcknowledgement(a *rig.Agent) {
	c.t.Helper()
	for visit := 1; c.s.Count(fmt.Sprintf("%q", c.name)) < c.lines; visit++ {
		if visit > 10 {
			c.t.Fatal("the agent is killed ten times, and nothing is stored")
		}
		a.Env = []string{fmt.Sprintf("TALLY_FAILPOINT=agent.ack.before=%d", visit)}
		a.Start()
		if code := a.Wait(2 * time.Minute); code != -1 {
			c.t.Fatalf("the agent ended with %d, want the signal", code)
		}
	}
	a.Env = nil
}

// replayed checks that the first event is stored as it was shipped first, once, and what came late is an event of its own.
func (c *identity) replayed(a *rig.Agent, late string) {
	c.t.Helper()
	rig.Eventually(c.t, 2*time.Minute, "what came late is stored", func() bool { return c.s.Count(`"another.place"`) >= 1 })
	c.stop(a)
	c.resent = 1
	var got []string
	for _, e := range c.s.Events(`"place"`, "message") {
		got = append(got, e["message"])
	}
	if want := []string{c.name + " line 0 broke\n\tat one.place", late}; fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		c.t.Errorf("stored are %q, want %q", got, want)
	}
}
