package buffer

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand"
	"os"
	"os/exec"
	"testing"
	"time"
)

// childDir makes the test binary append to the log in that directory until it is killed.
const childDir = "TALLY_BUFFER_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := appendForever(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// killPayload is what record seq of the child holds.
func killPayload(seq uint64) []byte {
	p := make([]byte, 1+seq*7919%150_000)
	rand.New(rand.NewSource(int64(seq))).Read(p)
	return p
}

func appendForever(dir string) error {
	w, err := Open(dir, Options{SegmentBytes: 1 << 20})
	if err != nil {
		return err
	}
	type written struct {
		seq  uint64
		wait func() error
	}
	todo := make(chan written, 4)
	go func() {
		for {
			l, wait, err := w.Write(killPayload(w.Last() + 1)) // the only writer
			if err != nil {
				panic(err)
			}
			todo <- written{l.Seq, wait}
		}
	}()
	for r := range todo {
		if err := r.wait(); err != nil {
			return err
		}
		if _, err := fmt.Println(r.seq); err != nil {
			return err
		}
	}
	return nil
}

// TestKill kills a process that appends, again and again: what it printed as acknowledged is there.
func TestKill(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := tempDir(t)
	acked := uint64(0)
	for kill := range 12 {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines, before := 0, acked
		for sc := bufio.NewScanner(out); sc.Scan(); lines++ {
			var seq uint64
			if _, err := fmt.Sscan(sc.Text(), &seq); err != nil || seq <= acked {
				t.Fatalf("child printed %q after %d", sc.Text(), acked)
			}
			acked = seq
			if lines == 3+kill*4 {
				// Somewhere within the next writes; the pipe is read to its end for what was acknowledged till then.
				time.AfterFunc(time.Duration(kill)*211*time.Microsecond, func() { cmd.Process.Kill() })
			}
		}
		cmd.Wait()
		if acked == before {
			t.Fatal("the child acknowledged nothing")
		}
		if r := wantClean(t, dir); len(r.Lost) > 0 {
			t.Fatalf("kill %d: lost %v", kill, r.Lost)
		}
	}
	w := open(t, dir, Options{})
	next := uint64(1)
	err = w.Replay(0, func(l Location, p []byte) error {
		want := killPayload(next)
		if l.Seq != next || len(p) != len(want) || crc32.ChecksumIEEE(p) != crc32.ChecksumIEEE(want) {
			return fmt.Errorf("record %d is not what was appended as %d", l.Seq, next)
		}
		next++
		return nil
	})
	if err != nil || next <= acked {
		t.Fatalf("replayed up to %d, acknowledged %d: %v", next-1, acked, err)
	}
}

// resum writes the checksum of a header again.
func resum(h []byte) []byte {
	binary.LittleEndian.PutUint32(h[32:], crc32.Checksum(h[:32], castagnoli))
	return h
}
