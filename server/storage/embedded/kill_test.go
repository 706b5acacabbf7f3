package embedded

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/storage"
)

// The killed process is this test binary, started again with these set.
const (
	killDir  = "TALLY_TEST_KILL_DIR"
	killFrom = "TALLY_TEST_KILL_FROM" // the checkpoint
)

// killBatch makes the batch of a sequence number, always the same: like a buffer, which replays what it holds. now is when
// the test began; a part of each batch is of the day before.
func killBatch(seq uint64, now int64) *storage.Batch {
	b := &storage.Batch{Seq: seq, Tenant: uint32(seq % 3)}
	for i := range 200 {
		e := event.Event{Time: now + int64(seq)*1000 + int64(i), Position: ledger.Position{Source: "s", From: int64(seq)*200 + int64(i)}}
		if i%3 == 0 {
			e.Time -= nsPerDay
		}
		e.Position.To = e.Position.From + 1
		e.ID = e.Position.ID()
		e.Put("message", fmt.Sprintf("event %d of batch %d", i, seq))
		e.Put("app", fmt.Sprint("app-", i%7))
		b.Events = append(b.Events, e)
	}
	return b
}

// TestKill kills a feeder again and again, most often between two syncs, and appends again all that is behind its last
// checkpoint, as the server does. In the end each event must be there once.
func TestKill(t *testing.T) {
	if dir := os.Getenv(killDir); dir != "" {
		feedUntilKilled(t, dir)
		return
	}
	const kills = 12
	dir := t.TempDir()
	now := time.Now().UnixNano()
	checkpoint, highest := uint64(0), uint64(0)
	for n := range kills {
		c := startFeeder(t, dir, checkpoint, now)
		pause := time.Duration(300+n*n*29) * time.Millisecond // before the first flush, and behind the first checkpoint
		timer := time.AfterFunc(pause, func() { _ = c.Process.Kill() })
		lines := bufio.NewScanner(c.out)
		for lines.Scan() {
			what, number, _ := strings.Cut(lines.Text(), " ")
			seq, err := strconv.ParseUint(number, 10, 64)
			switch {
			case err != nil:
			case what == "appended":
				highest = max(highest, seq)
			case what == "checkpoint":
				checkpoint = seq
			}
		}
		timer.Stop()
		if err := c.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the feeder ended by itself: %v", err)
		}
	}
	if checkpoint == 0 || highest-checkpoint < 2 {
		t.Logf("checkpoint %d, highest %d: the kills have not met what they should", checkpoint, highest)
	}
	s := open(t, dir, checkpoint)
	for seq := checkpoint + 1; seq <= highest; seq++ {
		if err := s.Append(context.Background(), killBatch(seq, now)); err != nil {
			t.Fatal(err)
		}
	}
	checkAll(t, s, highest, now)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d kills, %d batches, the last checkpoint at %d", kills, highest, checkpoint)
}

// checkAll holds that the ids of the batches up to highest are stored, each once. Of the batch behind, which a feeder may
// have appended without having said so, any whole day may be there.
func checkAll(t *testing.T, s storage.Store, highest uint64, now int64) {
	count := map[string]int{}
	for tenant := range uint32(3) {
		r := storage.RowsRequest{Search: storage.Search{Tenant: tenant}, Limit: 100_000_000, Fields: []string{"message"}}
		if _, err := s.Rows(context.Background(), r, func(e *event.Event) error { count[e.ID]++; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	lost, doubled := 0, 0
	for seq := uint64(1); seq <= highest+1; seq++ {
		for _, e := range killBatch(seq, now).Events {
			n := count[e.ID]
			if n == 0 && seq <= highest {
				lost++
			}
			if n > 1 {
				doubled++
			}
			delete(count, e.ID)
		}
	}
	if lost > 0 || doubled > 0 || len(count) > 0 {
		t.Errorf("of %d events %d are lost, %d doubled, and %d unknown are there", highest*200, lost, doubled, len(count))
	}
}

type feeder struct {
	*exec.Cmd
	out *os.File
}

func startFeeder(t *testing.T, dir string, checkpoint uint64, now int64) feeder {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(os.Args[0], "-test.run=^TestKill$", "-test.v")
	c.Env = append(os.Environ(), killDir+"="+dir, fmt.Sprintf("%s=%d %d", killFrom, checkpoint, now))
	c.Stdout, c.Stderr = w, w
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	return feeder{c, r}
}

// feedUntilKilled appends batch after batch and takes a checkpoint every second and a half.
func feedUntilKilled(t *testing.T, dir string) {
	var from uint64
	var now int64
	if _, err := fmt.Sscan(os.Getenv(killFrom), &from, &now); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, from)
	last := time.Now()
	for seq := from + 1; ; seq++ {
		if err := s.Append(context.Background(), killBatch(seq, now)); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("appended %d\n", seq)
		if time.Since(last) > 1500*time.Millisecond {
			if err := s.Sync(context.Background()); err != nil {
				t.Fatal(err)
			}
			fmt.Printf("checkpoint %d\n", seq)
			last = time.Now()
		}
		if seq%10 == 0 {
			time.Sleep(time.Millisecond) // so that a few seconds do not fill the disk
		}
	}
}
