package faults

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tallylog/tally/test/rig"
)

// files is one case: an agent that reads what is written below dir.
type files struct {
	t     *testing.T
	name  string
	dir   string
	gate  *gate
	agent *rig.Agent
	lines int    // written so far
	note  string // for the table
}

// size is the number of lines of a case.
func size(short, full int) int {
	if *long {
		return full
	}
	return short
}

// TestFiles does to log files what platforms do to them while an agent reads, and counts.
func TestFiles(t *testing.T) {
	s := rig.NewServer(t, t.TempDir(), "").Start()
	f := func(name, options string, run func(*files)) {
		t.Run(name, func(t *testing.T) {
			c := &files{t: t, name: strings.ReplaceAll(name, " ", "-"), dir: t.TempDir(), gate: newGate(t, s.Lumberjack)}
			c.gate.set(true)
			c.agent = rig.NewAgent(t, c.gate.addr(), fmt.Sprintf("- type: applog\n  paths: [%q, %q]\n%s",
				filepath.Join(c.dir, "app.log"), filepath.Join(c.dir, "*/volumes/kubernetes.io~empty-dir/applog-*/*.log"), options)).Start()
			first := filepath.Join(c.dir, "app.log")
			c.write(first, 1)
			c.opened(first) // the directories are watched from here on
			run(c)
			mark := fmt.Sprintf("%q", c.name)
			end := time.Now().Add(time.Minute)
			if *long {
				end = end.Add(10 * time.Minute)
			}
			for s.Count(mark) < c.lines && time.Now().Before(end) { // what is missing then is in the table
				time.Sleep(100 * time.Millisecond)
			}
			lost, doubled := rig.Tallied(s.Events(mark, "message"), c.lines, func(m string) int { return number(strings.TrimPrefix(m, c.name+" ")) })
			c.agent.Stop()
			gaps, conflicts := 0, int64(0)
			for _, src := range s.Sources("") {
				if strings.HasPrefix(src.Name, c.dir+"/") {
					gaps += len(src.Gaps)
					conflicts += src.Conflicts
				}
			}
			if gaps > 0 || conflicts > 0 {
				t.Errorf("the account has %d gaps and %d conflicts", gaps, conflicts)
			}
			report(t, row{name: name, written: c.lines, lost: lost, doubled: doubled, note: c.note})
		})
	}
	f("pod deleted with backlog", "", func(c *files) {
		c.gate.set(false)
		log := c.pod("pod-1")
		c.write(log, size(20_000, 200_000))
		c.opened(log)
		c.remove(filepath.Join(c.dir, "pod-1"))
		c.gate.set(true)
	})
	f("pods that live 300 ms", "", func(c *files) {
		for i := range size(5, 50) {
			log := c.pod(fmt.Sprint("short-", i))
			for range 3 {
				c.write(log, 100)
				time.Sleep(100 * time.Millisecond)
			}
			c.remove(filepath.Join(c.dir, fmt.Sprint("short-", i)))
		}
	})
	f("rename and create", "", func(c *files) {
		log := filepath.Join(c.dir, "app.log")
		for i := range size(8, 40) {
			c.write(log, size(2_500, 10_000))
			c.do(os.Rename(log, fmt.Sprint(log, ".", i)))
		}
		c.write(log, 100)
	})
	f("rename and compress", "", func(c *files) {
		log := filepath.Join(c.dir, "app.log")
		for i := range size(5, 30) {
			c.write(log, size(2_000, 10_000))
			c.opened(log)
			c.do(os.Rename(log, fmt.Sprint(log, ".", i)))
			c.compress(fmt.Sprint(log, ".", i))
		}
		c.write(log, 100)
	})
	f("copytruncate slow", "", func(c *files) { c.truncations(size(4, 20), size(2_500, 20_000), 700*time.Millisecond) })
	f("copytruncate fast", "", func(c *files) { c.truncations(size(10, 100), size(1_000, 4_000), 50*time.Millisecond) })
	f("copytruncate while the agent is stopped", "", func(c *files) {
		log := filepath.Join(c.dir, "app.log")
		for i := range size(2, 10) {
			c.write(log, 2_000)
			c.gate.set(i%2 == 0)
			c.write(log, 2_000)
			c.opened(log)
			c.stop()
			c.write(log, 500)
			c.copyTruncate(log, i)
			c.write(log, 4_000) // longer than what was read
			c.gate.set(true)
			c.agent.Start()
			c.agent.Logged("tallybeat is running")
		}
	})
	f("inode used again", "", func(c *files) {
		log := filepath.Join(c.dir, "app.log")
		again, last := 0, uint64(0)
		for range size(3, 30) {
			c.write(log, 100)
			var st unix.Stat_t
			c.do(unix.Stat(log, &st))
			if st.Ino == last {
				again++
			}
			last = st.Ino
			c.opened(log)
			c.do(os.Remove(log))
			c.closed(log, st.Ino)
		}
		c.note = fmt.Sprintf("%d times the inode of the file before", again)
	})
	f("agent killed ten times", "", func(c *files) {
		log := filepath.Join(c.dir, "app.log")
		for range 10 {
			c.write(log, size(3_000, 100_000))
			time.Sleep(time.Duration(size(150, 1000)) * time.Millisecond)
			c.agent.Kill()
			c.write(log, 500)
			c.agent.Start()
		}
	})
	f("descriptor limit reached", "  max_open_files: 16\n", func(c *files) {
		c.gate.set(false)
		var logs []string
		for i := range size(60, 500) {
			logs = append(logs, c.pod(fmt.Sprint("many-", i)))
			c.write(logs[i], 50)
		}
		c.agent.Logged("max_open_files (16) is reached")
		c.gate.set(true)
		for _, log := range logs {
			c.write(log, 50)
		}
	})
}

func (c *files) do(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// pod makes the log directory of a pod and returns the name of a file in it.
func (c *files) pod(uid string) string {
	c.t.Helper()
	dir := filepath.Join(c.dir, uid, "volumes/kubernetes.io~empty-dir/applog-5c1f-endname-web")
	c.do(os.MkdirAll(dir, 0o755))
	return filepath.Join(dir, "x.log")
}

// write appends n numbered lines.
func (c *files) write(log string, n int) {
	c.t.Helper()
	var b bytes.Buffer
	for range n {
		fmt.Fprintf(&b, "%s line %d of a file that is long enough to look like one of a real application\n", c.name, c.lines)
		c.lines++
	}
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	c.do(err)
	_, err = f.Write(b.Bytes())
	c.do(err)
	c.do(f.Close())
}

func (c *files) remove(path string) {
	c.t.Helper()
	c.do(os.RemoveAll(path))
}

// opened waits until the agent has the file open: from then on its bytes can be read.
func (c *files) opened(log string) {
	c.t.Helper()
	var want unix.Stat_t
	c.do(unix.Stat(log, &want))
	rig.Eventually(c.t, time.Minute, "the agent opens "+log, func() bool { return c.agent.HasOpen(want.Dev, want.Ino) })
}

// closed waits until the agent has let a removed file go, so that its inode can be used again.
func (c *files) closed(log string, ino uint64) {
	c.t.Helper()
	var dir unix.Stat_t
	c.do(unix.Stat(filepath.Dir(log), &dir))
	rig.Eventually(c.t, time.Minute, "the agent closes "+log, func() bool { return !c.agent.HasOpen(dir.Dev, ino) })
}

func (c *files) stop() {
	c.t.Helper()
	if code := c.agent.Stop(); code != 0 {
		c.t.Fatalf("the agent ended with %d", code)
	}
}

// truncations rotates as logrotate's copytruncate does, with nothing written between copy and truncation.
func (c *files) truncations(times, lines int, pause time.Duration) {
	log := filepath.Join(c.dir, "app.log")
	for i := range times {
		c.write(log, lines)
		c.opened(log)
		time.Sleep(pause)
		c.copyTruncate(log, i)
	}
	c.write(log, 100)
}

func (c *files) copyTruncate(log string, i int) {
	c.t.Helper()
	text, err := os.ReadFile(log)
	c.do(err)
	c.do(os.WriteFile(fmt.Sprint(log, ".", i), text, 0o644))
	c.do(os.Truncate(log, 0))
}

func (c *files) compress(log string) {
	c.t.Helper()
	in, err := os.Open(log)
	c.do(err)
	defer in.Close()
	out, err := os.Create(log + ".gz")
	c.do(err)
	z := gzip.NewWriter(out)
	_, err = io.Copy(z, in)
	c.do(err)
	c.do(z.Close())
	c.do(out.Close())
	c.do(os.Remove(log))
}
