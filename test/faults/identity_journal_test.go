package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tallylog/tally/test/rig"
)

// TestJournalIdentity has journals of which it is doubtful whether an entry was read. Cloned machines are in test/e2e.
func TestJournalIdentity(t *testing.T) {
	all := identities{t, rig.NewServer(t, t.TempDir(), "").Start()}
	all.run("journal on another device without statx and registry", func(c *identity) {
		before := c.again()
		j := rig.NewJournal(t, c.dir, c.name)
		c.writeJournal(j, 100)
		a := c.agent("journald", "").Start()
		c.stored()
		c.stop(a)
		c.writeJournal(j, 50)
		a.Under = append(rig.OtherDevice(t, c.dir), rig.WithoutStatx(t)...)
		a.Start()
		c.stored()
		c.stop(a)
		if resent := c.again() - before; resent > 0 {
			t.Errorf("%d entries came again", resent)
		}
		a.Forget()
		a.Start()
		c.came(150, before)
		c.stop(a)
		c.resent = 150
	})
	all.run("end of a trace in a journal replayed", func(c *identity) {
		j := rig.NewJournal(t, c.dir, c.name)
		a := c.agent("journald", "  multiline: {preset: java, timeout: 200ms}\n")
		j.Say(c.name+" line 0 broke", "\tat one.place")
		c.lines++
		c.killedAtAcknowledgement(a)
		j.Say("\tat another.place", c.name+" line 1 goes on")
		c.lines++
		a.Start()
		c.stored()
		c.replayed(a, "\tat another.place")
	})
	for _, how := range []string{"running", "stopped before"} {
		for _, same := range []bool{false, true} {
			of := map[bool]string{false: "another journal", true: "the same journal"}[same]
			all.run(fmt.Sprintf("journal flushed to disk as %s and agent %s", of, how), func(c *identity) { c.flushed(how == "running", same) })
		}
	}
}

func (c *identity) writeJournal(j *rig.Journal, n int) {
	c.t.Helper()
	j.Write(n, 0)
	c.lines += n
}

// flushed boots a machine whose journald begins in memory and goes on to disk: it copies what it has in memory, as entries of a journal on
// disk with numbers of their own, or of the same journal with further numbers (systemd 254 and 255), and removes the files in memory.
func (c *identity) flushed(running, same bool) {
	const machine = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
	n := rig.NewContainer(c.t, "tallybeat")
	memory, disk := n.Path("run/log/journal/"+machine), n.Path("var/log/journal/"+machine)
	n.Write("etc/machine-id", machine+"\n")
	n.Mkdir("run/log/journal/" + machine)
	n.Mkdir("var/log/journal/" + machine)
	n.Write("tallybeat.yml", "tallybeat.inputs:\n- {type: journald, id: x}\noutput.logstash.hosts: ["+c.s.Lumberjack+"]\n")
	start := func() *rig.Process {
		return n.Start(nil, "/opt/tallybeat/tallybeat", "-c", "/tallybeat.yml", "-e")
	}
	j := rig.NewJournal(c.t, memory, c.name)
	c.writeJournal(j, 300)
	p := start()
	c.stored()
	if !running { // not killed: what is acknowledged in the second before a crash would come as its copies
		if code := p.Stop(); code != 0 {
			c.t.Errorf("the agent ended with %d", code)
		}
		c.writeJournal(j, 100)
	}
	copies := rig.NewJournal(c.t, c.t.TempDir(), c.name)
	if same {
		copies.GoOn(j.Path)
	}
	copies.Write(j.Lines, 0)
	to := filepath.Join(disk, "system.journal")
	if err := os.Rename(copies.Path, to); err != nil {
		c.t.Fatal(err)
	}
	copies.Path = to
	if err := os.RemoveAll(memory); err != nil {
		c.t.Fatal(err)
	}
	c.writeJournal(copies, 50)
	if !running {
		p = start()
	}
	c.stored()
	if code := p.Stop(); code != 0 {
		c.t.Errorf("the agent ended with %d", code)
	}
}
