package admit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/buffer"
)

// Positions makes memStore one that an account can be rebuilt from.
func (m *memStore) Positions(_ context.Context, seq uint64, f func(uint32, *event.Event) error) error {
	for s, events := range m.kept {
		if s > seq {
			continue
		}
		for i := range events {
			if err := f(0, &events[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestRebuild loses both checkpoints, after a crash that left records in the buffer alone: the account is as it was, and what is sent
// again is known.
func TestRebuild(t *testing.T) {
	for _, checkpoints := range []int{1, 3} {
		t.Run(fmt.Sprint(checkpoints), func(t *testing.T) {
			dir := t.TempDir()
			r := start(t, dir, rigOptions{})
			n := int64(0)
			more := func() {
				for range 5 {
					r.admit(t, lines("push:s", n, n+20), 20, 0)
					n += 20
				}
			}
			for range checkpoints {
				more()
				if err := r.AtCheckpoint(t.Context(), func(uint64) error { return nil }); err != nil {
					t.Fatal(err)
				}
			}
			more()
			want := r.source(t, "push:s")
			r.stop()
			for _, name := range []string{checkpointFile, checkpointOlder} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte("damaged"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if cp, err := ReadCheckpoint(dir); !errors.Is(err, errCheckpoint) || len(cp.Damaged) != 2 {
				t.Fatalf("%v %v", cp.Damaged, err)
			}
			first, ok, err := buffer.First(filepath.Join(dir, "wal"))
			if err != nil || !ok {
				t.Fatal(first, ok, err)
			}
			cp, events, err := Rebuild(t.Context(), r.store, first-1)
			if err != nil || events != int64(first-1)*20 {
				t.Fatalf("%d events before record %d: %v", events, first, err)
			}
			if err := errors.Join(os.Remove(filepath.Join(dir, checkpointOlder)), cp.Save(dir, cp.Seq)); err != nil {
				t.Fatal(err)
			}
			r = start(t, dir, rigOptions{store: r.store})
			got := r.source(t, "push:s")
			if fmt.Sprint(got.Ranges, got.Gaps, got.Events, got.Name) != fmt.Sprint(want.Ranges, want.Gaps, want.Events, want.Name) {
				t.Errorf("the account is %+v, want %+v", got, want)
			}
			r.admit(t, lines("push:s", 0, n), 0, int(n))
			r.once(t, int(n))
		})
	}
}
