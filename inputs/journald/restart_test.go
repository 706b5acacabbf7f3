package journald

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/logp"

	input "github.com/elastic/beats/v7/filebeat/input/v2"
)

func TestReadAndFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	x := new(export)
	x.lines(1000).write(t, path)
	r := start(t, common.MapStr{"paths": []string{path}}, setup{})
	events := r.wait(t, 1000)
	wantLines(t, events, 0, 1000, 1)
	if p := positionOf(t, events[0]); p.Skipped != 1 || !strings.HasPrefix(p.Source, "journal:") || len(p.Sum) < 8 {
		t.Errorf("the first event has position %+v, want a journal's, with all before it skipped: 1", p)
	}
	if want := time.UnixMicro(baseTime + 999_000); !events[999].Timestamp.Equal(want) {
		t.Errorf("the time of the last event is %v, want %v", events[999].Timestamp, want)
	}
	x.lines(10).write(t, path)
	wantLines(t, r.wait(t, 1010), 0, 1010, 1)
}

// TestPositionFollowsACK stops inputs at moments when not all was acknowledged: each next one must ship just what was not.
func TestPositionFollowsACK(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	store := filepath.Join(t.TempDir(), "positions")
	new(export).lines(3000).write(t, path)
	done := 0
	var seen []beat.Event
	for _, acked := range []int{0, 1, 700, 511, 1500, 288} {
		p := newPipe()
		r := start(t, common.MapStr{"paths": []string{path}}, setup{store: store, pipe: p})
		events := r.wait(t, 3000-done)
		wantLines(t, events, done, 3000, int64(done+1))
		for i, e := range seen[min(done, len(seen)):] {
			was, is := positionOf(t, e), positionOf(t, events[i])
			if was.ID() != is.ID() || was.Skipped != is.Skipped {
				t.Fatalf("an event that is shipped again has position %+v, was %+v", is, was)
			}
		}
		if done == 0 {
			seen = events
		}
		p.ack(acked)
		done += acked
		r.stop(t)
	}
	p := newPipe()
	r := start(t, common.MapStr{"paths": []string{path}}, setup{store: store, pipe: p})
	defer r.stop(t)
	new(export).add().write(t, path) // an entry without fields: the next that comes
	events := r.wait(t, 1)
	if p := positionOf(t, events[0]); p.From != 3001 || p.Skipped != 0 {
		t.Errorf("after all was acknowledged, the next event has position %+v, want 3001", p)
	}
}

// TestTailFallback crashes (ends without any ACK) before the first event has come: what was written after reading began must
// still be shipped, and only that.
func TestTailFallback(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	store := filepath.Join(t.TempDir(), "positions")
	cfg := common.MapStr{"paths": []string{path}, "cursor_seek_fallback": "tail"}
	x := new(export)
	x.lines(100).write(t, path)
	r := start(t, cfg, setup{store: store, pipe: newPipe()})
	waitFor(t, func() bool {
		var b begun
		ok, _ := r.store.Get("journald::"+path, &b)
		return ok
	})
	r.stop(t)
	x.lines(5).write(t, path)
	for range 2 {
		r = start(t, cfg, setup{store: store, pipe: newPipe()})
		events := r.wait(t, 5)
		r.stop(t)
		wantLines(t, events, 100, 105, 101)
		if p := positionOf(t, events[0]); p.Skipped != 101 {
			t.Errorf("the first event skips %d units, want 101: all before", p.Skipped)
		}
	}
}

func waitFor(t testing.TB, f func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not happen within two minutes")
		}
	}
}

func TestSeek(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	store := filepath.Join(t.TempDir(), "positions")
	new(export).lines(100).write(t, path)
	f := func(cfg common.MapStr, o Options, store string, from int, skipped int64) {
		t.Helper()
		cfg["paths"] = []string{path}
		r := start(t, cfg, setup{store: store, options: o})
		events := r.wait(t, 100-from)
		r.stop(t)
		wantLines(t, events, from, 100, int64(from+1))
		if p := positionOf(t, events[0]); p.Skipped != skipped {
			t.Errorf("%v: the first event skips %d units, want %d", cfg, p.Skipped, skipped)
		}
	}
	since := time.UnixMicro(baseTime + 60_000).UTC().Format(time.RFC3339Nano)
	f(common.MapStr{}, Options{}, store, 0, 1)
	f(common.MapStr{"seek": "head"}, Options{}, store, 0, 1)
	f(common.MapStr{"seek": "since", "since": since}, Options{}, "", 60, 61)
	f(common.MapStr{"cursor_seek_fallback": "since", "since": since}, Options{}, "", 60, 61)
	taken := fmt.Sprintf("s=%s;i=2a;t=%x", journalID(t, path), baseTime+41_000)
	f(common.MapStr{}, Options{Cursor: func(id, p string) string { return taken }}, "", 42, 43)
	other := fmt.Sprintf("s=%s;i=1;t=%x", testBoot, baseTime+49_000)
	f(common.MapStr{}, Options{Cursor: func(id, p string) string { return other }}, "", 50, 51)
}

func journalID(t testing.TB, path string) id128 {
	f, err := statFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return f.seqID
}

// TestDropped has a processor drop events: their units count as skipped, in the next event and over a restart.
func TestDropped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	store := filepath.Join(t.TempDir(), "positions")
	x := new(export)
	x.lines(10).write(t, path)
	p := newPipe()
	p.auto = true
	p.drop = func(e beat.Event) bool { return e.Fields["message"] != "line 4" }
	r := start(t, common.MapStr{"paths": []string{path}}, setup{store: store, pipe: p})
	if p := positionOf(t, r.wait(t, 1)[0]); p.From != 5 || p.Skipped != 5 {
		t.Errorf("position %+v, want 5 with 5 skipped", p)
	}
	waitFor(t, func() bool {
		var at position
		_, err := r.store.Get("journald::"+path+"::"+journalID(t, path).String(), &at)
		return err == nil && at.Next == 11
	})
	r.stop(t)
	x.lines(1).write(t, path)
	r = start(t, common.MapStr{"paths": []string{path}}, setup{store: store})
	if p := positionOf(t, r.wait(t, 1)[0]); p.From != 11 || p.Skipped != 5 {
		t.Errorf("after a restart: position %+v, want 11 with 5 skipped", p)
	}
}

func TestSameIDRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	new(export).lines(1).write(t, path)
	r := start(t, common.MapStr{"id": "a", "paths": []string{path}}, setup{})
	r.wait(t, 1)
	m := Plugin(logp.NewLogger("test"), r.store, Options{}).Manager.(*manager)
	run := func(ctx context.Context, id string) error {
		in, err := m.Create(common.MustNewConfigFrom(common.MapStr{"id": id, "paths": []string{path}}))
		if err != nil {
			t.Fatal(err)
		}
		return in.Run(input.Context{Logger: logp.NewLogger("test"), Cancelation: ctx}, newPipe())
	}
	ctx, cancel := context.WithCancel(context.Background())
	first := make(chan error, 1)
	go func() { first <- run(ctx, "b") }()
	waitFor(t, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.running) == 1
	})
	if err := run(ctx, "b"); err == nil || !strings.Contains(err.Error(), "id of its own") {
		t.Errorf("a second input with the same id ended with %v, want a refusal", err)
	}
	cancel()
	if err := <-first; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	ctx, cancel = context.WithCancel(context.Background())
	cancel()
	if err := run(ctx, "b"); err != nil {
		t.Errorf("after the first has ended, the id is refused still: %v", err)
	}
}

// TestHistoryChanged puts another journal with the same id in the place of the one that was read, as after a power failure
// or on a machine that was set back to a snapshot: the entries that are new must come.
func TestHistoryChanged(t *testing.T) {
	for _, total := range []int{20, 40} {
		dir := t.TempDir()
		path := filepath.Join(dir, "system.journal")
		store := filepath.Join(t.TempDir(), "positions")
		x := new(export)
		x.lines(30).write(t, path)
		id := journalID(t, path)
		r := start(t, common.MapStr{"paths": []string{path}}, setup{store: store})
		r.wait(t, 30)
		r.stop(t)
		other := filepath.Join(t.TempDir(), "other.journal")
		x = new(export)
		x.lines(15)
		for range total - 15 {
			x.add("MESSAGE", "new")
		}
		x.write(t, other)
		patch(t, other, 72, id[:])
		archived := archive(t, path)
		if err := errors.Join(os.Rename(other, path), os.Remove(archived)); err != nil {
			t.Fatal(err)
		}
		r = start(t, common.MapStr{"paths": []string{path}}, setup{store: store})
		events := r.wait(t, total)
		r.stop(t)
		n := 0
		for _, e := range events {
			if e.Fields["message"] == "new" {
				n++
			}
		}
		if n != total-15 {
			t.Errorf("%d new entries have come, want %d", n, total-15)
		}
	}
}
