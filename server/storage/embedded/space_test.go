package embedded

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/storage"
)

func line(seq uint64, n int, size int) event.Event {
	e := event.Event{Time: time.Now().UnixNano(), Position: ledger.Position{Source: "s", From: int64(seq)*1e6 + int64(n)}}
	e.Position.To = e.Position.From + 1
	e.ID = e.Position.ID()
	e.Put("message", strings.Repeat(fmt.Sprintf("%x ", e.ID), size/41+1))
	return e
}

// noise is a line that hardly compresses.
func noise(seq uint64, n int, size int) event.Event {
	e := line(seq, n, 0)
	b := make([]byte, size)
	_, _ = rand.Read(b)
	e.Put("message", base64.StdEncoding.EncodeToString(b))
	return e
}

// waitReadOnly waits until Usage says whether rows wait.
func waitReadOnly(t *testing.T, s *Store, want bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		u, err := s.Usage(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if u.ReadOnly == want && (u.ReadOnlyWhy != "") == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("ReadOnly stays %v", u.ReadOnly)
		}
	}
}

// TestReserve holds that Append waits where less than the reserve is free, and adds nothing when its context ends.
func TestReserve(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{Log: silent, MinFreeBytes: math.MaxInt64})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	b := &storage.Batch{Seq: 1, Events: []event.Event{line(1, 0, 100)}}
	go func() { done <- s.Append(ctx, b) }()
	waitReadOnly(t, s, true)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Append gives %v", err)
	}
	waitReadOnly(t, s, false)
	go func() { done <- s.Append(context.Background(), b) }()
	waitReadOnly(t, s, true)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Append gives %v when the store is closed", err)
	}
	again := open(t, dir, 0)
	defer again.Close()
	if n, err := again.Count(context.Background(), storage.Search{}); err != nil || n != 0 {
		t.Errorf("%d rows, %v", n, err)
	}
	if err := again.Append(context.Background(), b); err != nil {
		t.Fatal(err)
	}
}

// TestFullDisk fills a small file system up to the reserve: Append must wait, searches must go on, and Append must finish
// when there is room again. Without the right to mount, TestReserve alone stands for it.
func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64m"); err != nil {
		t.Logf("cannot mount a small file system: %v", err)
		return
	}
	defer func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Errorf("cannot unmount: %v", err)
		}
	}()
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 24<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(filepath.Join(disk, "store"), Options{Log: silent, MinFreeBytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	appended := make(chan int64, 1000)
	stop, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		defer close(appended)
		for seq := uint64(1); stop.Err() == nil; seq++ {
			b := &storage.Batch{Seq: seq}
			for n := range 500 {
				b.Events = append(b.Events, noise(seq, n, 1000))
			}
			if s.Append(stop, b) != nil {
				return
			}
			appended <- int64(seq) * 500
		}
	}()
	waitReadOnly(t, s, true)
	before, err := s.Count(context.Background(), storage.Search{})
	if err != nil || before == 0 {
		t.Errorf("while the disk is full %d rows are found: %v", before, err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	waitReadOnly(t, s, false)
	rows := int64(0)
	for rows = range appended {
		if rows > before {
			cancel()
		}
	}
	cancel()
	if n, err := s.Count(context.Background(), storage.Search{}); err != nil || n != rows || n <= before {
		t.Errorf("%d rows after the wait, want %d, more than %d: %v", n, rows, before, err)
	}
}
