package faults

import (
	"bufio"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tallylog/tally/test/rig"
)

var long = flag.Bool("long", false, "run the long forms")

// lines written in the kill test, and how often each side is killed.
func killSize() (lines, kills int) {
	if *long {
		return 3_000_000, 50
	}
	return 300_000, 10
}

// killed are the inputs that read while they are killed, each a file of its own, of which each gets this share of the lines.
var killed = []struct {
	kind  string
	parts int
}{{"applog", 2}, {"filestream", 1}, {"log", 1}}

// TestKill kills agent and server with SIGKILL at random moments while files are written and read, by our input and by Filebeat's: nothing may be lost and
// nothing doubled, and the account has to say so itself.
func TestKill(t *testing.T) {
	total, kills := killSize()
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	s := rig.NewServer(t, t.TempDir(), "buffer: {checkpoint: 2s}\n").Start()
	dir, inputs, written := t.TempDir(), "", make(chan error, len(killed))
	file := func(kind string) string { return filepath.Join(dir, kind+".log") }
	for _, k := range killed {
		inputs += fmt.Sprintf("- {type: %s, id: %[1]s, paths: [%q], fields: {kind: %[1]s}}\n", k.kind, file(k.kind))
		go func() { written <- writeLines(file(k.kind), total/4*k.parts, 20*time.Second) }()
	}
	a := rig.NewAgent(t, s.Lumberjack, inputs).Start()
	for i := range 2 * kills {
		time.Sleep(time.Duration(300+rnd.Intn(1500)) * time.Millisecond)
		if i%2 == 0 {
			a.Kill()
			a.Start()
		} else {
			s.Kill()
			s.Start()
		}
	}
	for range killed {
		if err := <-written; err != nil {
			t.Fatal(err)
		}
	}
	s.WaitCount("*", total, 3*time.Minute)
	a.Stop()
	for _, k := range killed {
		lines := total / 4 * k.parts
		lost, doubled := rig.Tallied(s.Events("fields.kind:="+k.kind, "message"), lines, number)
		report(t, row{name: "agent and server killed at random, " + k.kind, written: lines, lost: lost, doubled: doubled, note: fmt.Sprintf("%d times each", kills)})
		st, err := os.Stat(file(k.kind))
		if err != nil {
			t.Fatal(err)
		}
		src := s.Sources(file(k.kind))
		if len(src) != 1 || fmt.Sprint(src[0].Ranges) != fmt.Sprintf("[[0 %d]]", st.Size()) || len(src[0].Gaps) != 0 || src[0].Conflicts != 0 {
			t.Errorf("%s: account %+v, want [[0 %d]]", k.kind, src, st.Size())
		}
		if len(src) == 1 {
			t.Logf("%s: %d resent events were refused", k.kind, src[0].Duplicates)
		}
	}
}

// writeLines writes numbered lines, spread over about the time given.
func writeLines(file string, total int, over time.Duration) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	const slices = 200
	for i := range total {
		fmt.Fprintf(w, "line %d of a file that is long enough to look like one of a real application\n", i)
		if i%(total/slices) == 0 {
			if err := w.Flush(); err != nil {
				return err
			}
			time.Sleep(over / slices)
		}
	}
	return w.Flush()
}

func number(message string) int {
	n := -1
	if _, err := fmt.Sscanf(message, "line %d ", &n); err != nil {
		return -1
	}
	return n
}
