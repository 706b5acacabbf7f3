package admit

import (
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tallylog/tally/server/buffer"
	"github.com/tallylog/tally/server/record"
)

func TestRestartKeepsTheAccount(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, rigOptions{})
	r.admit(t, lines("s", 0, 100), 100, 0)
	r.admit(t, lines("s", 0, 10), 0, 10)
	before := r.source(t, "s")
	r.stop()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = start(t, dir, rigOptions{store: r.store})
	after := r.source(t, "s")
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
	r.admit(t, lines("s", 50, 150), 50, 50)
	r.once(t, 150)
}

func TestDamagedCheckpointFallsBack(t *testing.T) {
	dir := t.TempDir()
	store := newMemStore()
	for i := range int64(3) {
		r := start(t, dir, rigOptions{store: store})
		r.admit(t, lines("s", i*10, i*10+10), 10, 0)
		r.once(t, int(i+1)*10)
		r.stop()
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, checkpointFile)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		damaged := append([]byte(nil), b...)
		damaged[i] ^= 1
		if _, err := decodeCheckpoint(damaged); !errors.Is(err, errCheckpoint) {
			t.Fatalf("a flipped bit in byte %d is not noticed: %v", i, err)
		}
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, dir, rigOptions{store: store})
	r.admit(t, lines("s", 0, 30), 0, 30)
	r.once(t, 30)
	if s := r.source(t, "s"); fmt.Sprint(s.Ranges) != "[[0 30]]" {
		t.Errorf("account %+v", s)
	}
}

// lostBuffer pretends that records were found corrupt.
type lostBuffer struct {
	Buffer
	lost uint64
}

func (l *lostBuffer) Lost() []buffer.SeqRange {
	return []buffer.SeqRange{{First: l.lost, Last: l.lost, Segment: "x.wal"}}
}

func (l *lostBuffer) Replay(after uint64, f func(buffer.Location, []byte) error) error {
	return l.Buffer.Replay(after, func(loc buffer.Location, p []byte) error {
		if loc.Seq == l.lost {
			return nil
		}
		return f(loc, p)
	})
}

// TestLostRecordIsAGapAgain: of a record that the buffer lost, what the store has is refused when it comes again, and what it
// has not is stored.
func TestLostRecordIsAGapAgain(t *testing.T) {
	for _, stored := range []bool{true, false} {
		t.Run(fmt.Sprint("in the store ", stored), func(t *testing.T) {
			dir := t.TempDir()
			r := start(t, dir, rigOptions{})
			r.admit(t, lines("s", 0, 10), 10, 0)
			r.admit(t, lines("s", 10, 20), 10, 0)
			r.admit(t, lines("s", 20, 30), 10, 0)
			r.once(t, 30)
			r.stop() // no Close: no checkpoint
			store := r.store
			if !stored {
				for _, e := range store.kept[2] {
					delete(store.rows, e.ID)
				}
				delete(store.kept, 2)
			}
			r = start(t, dir, rigOptions{store: store, wrap: func(b Buffer) Buffer { return &lostBuffer{b, 2} }})
			if s := r.source(t, "s"); (len(s.Gaps) == 0) != stored {
				t.Errorf("gaps %v, stored %v", s.Gaps, stored)
			}
			if stored {
				r.admit(t, lines("s", 0, 30), 0, 30)
			} else {
				r.admit(t, lines("s", 0, 30), 10, 20)
			}
			r.once(t, 30)
			if s := r.source(t, "s"); fmt.Sprint(s.Ranges) != "[[0 30]]" || s.Conflicts != 0 {
				t.Errorf("account %+v", s)
			}
		})
	}
}

// TestCrashes sends batches that overlap at random, with crashes between: the store loses some of what it had not synced, the
// client sends again what was not acknowledged and some of what was. In the end everything is there once.
func TestCrashes(t *testing.T) {
	for seed := range int64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rnd := rand.New(rand.NewSource(seed))
			dir := t.TempDir()
			store := newMemStore()
			const total = 2000
			acked := int64(0)
			for run := 0; acked < total; run++ {
				r := start(t, dir, rigOptions{store: store, checkpoint: time.Millisecond})
				for range rnd.Intn(20) + 1 {
					from := max(0, acked-int64(rnd.Intn(100)))
					to := min(total, from+int64(rnd.Intn(200)+1))
					if _, err := r.Admit(t.Context(), lines("s", from, to)); err != nil {
						t.Fatal(err)
					}
					acked = max(acked, to)
				}
				r.stop()
				switch rnd.Intn(3) {
				case 0:
					if err := r.Close(); err != nil {
						t.Fatal(err)
					}
				default:
					store.crash(rnd)
				}
			}
			r := start(t, dir, rigOptions{store: store})
			r.once(t, total)
			if s := r.source(t, "s"); fmt.Sprint(s.Ranges) != fmt.Sprintf("[[0 %d]]", total) || s.Conflicts != 0 {
				t.Errorf("ranges %v, %d conflicts", s.Ranges, s.Conflicts)
			}
		})
	}
}

// TestReplayKeepsNames holds that accounts do not live in the memory of the records they came from, which a replay uses again.
func TestReplayKeepsNames(t *testing.T) {
	dir := t.TempDir()
	store := newMemStore()
	r := start(t, dir, rigOptions{store: store})
	for _, s := range []string{"file:aaaaaaaa", "file:b", "journal:cccccccccccccccccccc", "d"} {
		r.admit(t, lines(s, 0, 5), 5, 0)
	}
	want := fmt.Sprint(r.Sources(time.Now(), Filter{}))
	r.stop() // no checkpoint
	r = start(t, dir, rigOptions{store: store})
	if got := fmt.Sprint(r.Sources(time.Now(), Filter{})); got != want {
		t.Errorf("before %s\nafter %s", want, got)
	}
	for _, s := range []string{"file:aaaaaaaa", "file:b", "journal:cccccccccccccccccccc", "d"} {
		r.admit(t, lines(s, 0, 5), 0, 5)
	}
	r.once(t, 20)
}

// failFirst lets the first write fail, and nothing of it is on disk.
type failFirst struct {
	Buffer
	failed bool
}

func (f *failFirst) Write(p ...[]byte) (buffer.Location, func() error, error) {
	if f.failed {
		return f.Buffer.Write(p...)
	}
	f.failed = true
	return buffer.Location{}, nil, errors.New("disk broke")
}

// TestNameOfAFailedWrite: the name of a source that a failed write brought is noted again by the next, and is there after a restart.
func TestNameOfAFailedWrite(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, rigOptions{wrap: func(b Buffer) Buffer { return &failFirst{Buffer: b} }})
	batch := func(from int64) *record.Batch {
		b := lines("file:x", from, from+10)
		for i := range b.Events {
			b.Events[i].Put("log.file.path", "/var/log/x")
		}
		return b
	}
	if _, err := r.Admit(t.Context(), batch(0)); err == nil {
		t.Fatal("a write that failed is acknowledged")
	}
	r.admit(t, batch(10), 10, 0)
	r.source(t, "/var/log/x")
	r.stop() // no Close: the account comes from the buffer alone
	r = start(t, dir, rigOptions{store: r.store})
	r.source(t, "/var/log/x")
}
