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

// TestKill kills agent and server with SIGKILL at random moments while a file is written and read: nothing may be lost and
// nothing doubled, and the account has to say so itself.
func TestKill(t *testing.T) {
	total, kills := killSize()
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	s := rig.NewServer(t, t.TempDir(), "buffer: {checkpoint: 2s}\n").Start()
	file := filepath.Join(t.TempDir(), "app.log")
	a := rig.NewAgent(t, s.Lumberjack, fmt.Sprintf("- type: applog\n  paths: [%q]\n", file)).Start()
	written := make(chan error, 1)
	go func() { written <- writeLines(file, total, 20*time.Second) }()
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
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	s.WaitCount("*", total, 3*time.Minute)
	a.Stop()
	lost, doubled := rig.Tallied(s.Events("*", "message"), total, number)
	report(t, row{name: "agent and server killed at random", written: total, lost: lost, doubled: doubled, note: fmt.Sprintf("%d times each", kills)})
	st, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	src := s.Sources(file)
	if len(src) != 1 || fmt.Sprint(src[0].Ranges) != fmt.Sprintf("[[0 %d]]", st.Size()) || len(src[0].Gaps) != 0 || src[0].Conflicts != 0 {
		t.Errorf("account %+v, want [[0 %d]]", src, st.Size())
	}
	if len(src) == 1 {
		t.Logf("%d resent events were refused", src[0].Duplicates)
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
