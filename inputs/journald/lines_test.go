package journald

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"

	"github.com/tallylog/tally/inputs/multiline"
	"github.com/tallylog/tally/ledger"
)

// traces are the events of each preset, as package multiline has them, line by line.
func traces(t testing.TB, preset string) (events [][]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../multiline/testdata", preset+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n===\n") {
		events = append(events, strings.Split(e, "\n"))
	}
	return events
}

// TestTraces writes the same stack traces from several containers at a time, line by line in turn: each comes whole, of its
// container alone, with the numbers of its lines.
func TestTraces(t *testing.T) {
	for _, preset := range multiline.Presets() {
		t.Run(preset, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "system.journal")
			x := new(export)
			var want []string
			events := traces(t, preset)
			for _, lines := range events {
				want = append(want, strings.Join(lines, "\n"))
				for _, line := range lines {
					for c := range 3 {
						x.docker(fmt.Sprint("c", c), line, false)
					}
				}
			}
			total := x.n
			x.write(t, path)
			r := start(t, common.MapStr{"paths": []string{path}, "multiline": common.MapStr{"preset": preset, "timeout": "300ms"}}, setup{})
			got := r.wait(t, 3*len(events))
			r.stop(t)
			by := map[any][]string{}
			var set ledger.Set
			for _, e := range got {
				name, err := e.Fields.GetValue("container.name")
				if err != nil {
					t.Fatal(err)
				}
				by[name] = append(by[name], e.Fields["message"].(string))
				p := positionOf(t, e)
				p.Pieces(func(r ledger.Range) {
					if set.Overlaps(r) {
						t.Errorf("%v comes twice", r)
					}
					set.Add(r)
				})
			}
			if set.Units() != int64(total) {
				t.Errorf("%d lines have come, want %d", set.Units(), total)
			}
			for c := range 3 {
				if got := by[fmt.Sprint("k8s_c", c)]; !reflect.DeepEqual(got, want) {
					t.Errorf("container %d has\n%s\nwant\n%s", c, strings.Join(got, "\n===\n"), strings.Join(want, "\n===\n"))
				}
			}
		})
	}
}

// TestTraceOfStreams: output and error of a container, processes, and the streams of services are joined apart; docker's pieces are
// joined to lines before.
func TestTraceOfStreams(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	x := new(export)
	x.docker("a", "out", false)
	x.docker("a", "err", false, "PRIORITY", "3") // has two priorities: the first counts
	x.add("MESSAGE", "one", "_PID", "1").add("MESSAGE", "two", "_PID", "2").add("MESSAGE", "  at 1", "_PID", "1").add("MESSAGE", "  at 2", "_PID", "2")
	x.add("MESSAGE", "s", "_STREAM_ID", "x", "_PID", "7").add("MESSAGE", "  at s", "_STREAM_ID", "x", "_PID", "8")
	x.docker("a", "  at ", true).docker("a", "pieces", false)
	x.add("PRIORITY", "6", "_PID", "1").docker("a", "end", false)
	x.write(t, path)
	r := start(t, common.MapStr{"paths": []string{path}, "multiline": common.MapStr{"pattern": `^\s`, "match": "after", "timeout": "300ms"}}, setup{})
	got := map[string]int{}
	for _, e := range r.wait(t, 7) {
		got[fmt.Sprint(e.Fields["message"])]++
		if v, err := e.Fields.GetValue("container.partial"); err == nil {
			t.Errorf("container.partial is %v", v)
		}
	}
	want := map[string]int{"out": 1, "err\n  at pieces": 1, "one\n  at 1": 1, "two\n  at 2": 1, "s\n  at s": 1, "<nil>": 1, "end": 1}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}

// replay runs an input over what x has written until n events have come, none of which is acknowledged, and then again: the events of
// the second run must have the ids of the first.
func replay(t *testing.T, path string, options common.MapStr, n int, between func()) (first, again []beat.Event) {
	t.Helper()
	store := filepath.Join(t.TempDir(), "positions")
	cfg := common.MapStr{"paths": []string{path}, "multiline": options}
	r := start(t, cfg, setup{store: store, pipe: newPipe()})
	first = r.wait(t, n)
	r.stop(t)
	between()
	r = start(t, cfg, setup{store: store})
	again = r.wait(t, n)
	text := map[string]any{} // containers may end in another order
	for _, e := range first {
		p := positionOf(t, e)
		text[p.ID()] = e.Fields["message"]
	}
	for _, e := range again[:n] {
		if p := positionOf(t, e); text[p.ID()] != e.Fields["message"] {
			t.Errorf("after the crash comes %q at %+v", e.Fields["message"], p)
		}
	}
	return first, r.wait(t, n+1)
}

// TestTraceTimeout ends a trace by its timeout, crashes before the acknowledgement, and adds lines: the replay ends it at the same place.
func TestTraceTimeout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	x := new(export)
	x.docker("a", "boom", false).docker("b", "b1", false).docker("a", "  at x", false).write(t, path)
	first, all := replay(t, path, common.MapStr{"preset": "java", "timeout": "50ms"}, 2, func() {
		x.docker("a", "  at y", false).docker("a", "next", false).docker("b", "b2", false).write(t, path)
	})
	wantJoined(t, first[0], "boom\n  at x", ledger.Range{From: 1, To: 2}, ledger.Range{From: 3, To: 4})
	wantJoined(t, all[2], "  at y", ledger.Range{From: 4, To: 5})
}

// TestTraceByJournalTime: while there is more to read it is the journal's own time that ends events, so that nothing has to be
// stored for a replay.
func TestTraceByJournalTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	x := new(export)
	x.docker("a", "boom", false).docker("a", "  at x", false)
	x.n += 10_000 // ten seconds
	x.docker("b", "later", false).docker("a", "  at y", false).docker("b", "end", false).write(t, path)
	first, all := replay(t, path, common.MapStr{"preset": "java", "timeout": "5s"}, 2, func() {
		x.docker("a", "end", false).write(t, path)
	})
	wantJoined(t, first[0], "boom\n  at x", ledger.Range{From: 1, To: 3})
	wantJoined(t, first[1], "later", ledger.Range{From: 3, To: 4})
	wantJoined(t, all[2], "  at y", ledger.Range{From: 4, To: 5})
}

// TestTracesAcknowledgedInPart stops after every number of acknowledgements: what comes before and after is each line once.
func TestTracesAcknowledgedInPart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	x := new(export)
	for i := range 12 {
		for c := range 3 {
			x.docker(fmt.Sprint("c", c), fmt.Sprint("event ", i), false)
		}
		for c := range 2 {
			x.docker(fmt.Sprint("c", c), "  at x", false)
		}
	}
	total := int64(x.n)
	x.write(t, path)
	cfg := common.MapStr{"paths": []string{path}, "multiline": common.MapStr{"preset": "java", "timeout": "100ms"}}
	for n := 1; n < 36; n += 5 {
		store := filepath.Join(t.TempDir(), "positions")
		p := newPipe()
		r := start(t, cfg, setup{store: store, pipe: p})
		r.wait(t, 36)
		p.ack(n)
		events := r.wait(t, 36)[:n]
		r.stop(t)
		r = start(t, cfg, setup{store: store})
		events = append(events, r.wait(t, 36-n)...)
		r.stop(t)
		var set ledger.Set
		for _, e := range events {
			p := positionOf(t, e)
			p.Pieces(func(r ledger.Range) {
				if set.Overlaps(r) {
					t.Errorf("%d acknowledged: %v comes twice", n, r)
				}
				set.Add(r)
			})
		}
		if set.Units() != total {
			t.Errorf("%d acknowledged: %d lines have come, want %d", n, set.Units(), total)
		}
	}
}

// TestTraceBounds has more open events, and longer ones, than are kept.
func TestTraceBounds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	x := new(export)
	for i := range maxStreams + 3 {
		x.docker(fmt.Sprint("c", i), "line", false)
	}
	big := strings.Repeat("y", maxValue/2)
	x.docker("big", big, false).docker("big", " "+big, false).docker("big", " "+big, false)
	total := int64(x.n)
	x.write(t, path)
	r := start(t, common.MapStr{"paths": []string{path}, "multiline": common.MapStr{"pattern": "^ ", "match": "after", "timeout": "500ms"}}, setup{})
	var set ledger.Set
	for _, e := range r.wait(t, maxStreams+5) {
		p := positionOf(t, e)
		p.Pieces(func(r ledger.Range) { set.Add(r) })
	}
	if set.Units() != total {
		t.Errorf("%d lines have come, want %d", set.Units(), total)
	}
}

// failing is a store whose disk has no room while full is set.
type failing struct {
	Positions
	full  atomic.Bool
	tries atomic.Int64
}

func (f *failing) Sync() error {
	if f.full.Load() {
		f.tries.Add(1)
		return syscall.ENOSPC
	}
	return f.Positions.Sync()
}

// TestEndsAreStoredFirst has a store that fails: nothing that a timeout ends is shipped before its end is stored.
func TestEndsAreStoredFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	x := new(export)
	x.lines(1).write(t, path)
	s := &failing{}
	cfg := common.MapStr{"paths": []string{path}, "multiline": common.MapStr{"preset": "java", "timeout": "20ms"}}
	r := start(t, cfg, setup{wrap: func(p Positions) Positions { s.Positions = p; return s }})
	r.wait(t, 1)
	s.full.Store(true)
	x.docker("a", "boom", false).write(t, path)
	waitFor(t, func() bool { return s.tries.Load() > 3 })
	r.mu.Lock()
	n := len(r.events)
	r.mu.Unlock()
	if n != 1 {
		t.Error("an event was shipped before its end was stored")
	}
	s.full.Store(false)
	wantJoined(t, r.wait(t, 2)[1], "boom", ledger.Range{From: 2, To: 3})
}

// TestLineFlushed: the last lines of a journal in memory wait for what may belong to them when the agent stops, or crashes; then
// journald copies them to disk and they come from there, as entries of another journal or of the same.
func TestLineFlushed(t *testing.T) {
	t.Run("another journal", func(t *testing.T) { lineFlushed(t, false) })
	t.Run("same journal", func(t *testing.T) { lineFlushed(t, true) })
}

func lineFlushed(t *testing.T, same bool) {
	memory, disk := t.TempDir(), t.TempDir()
	both := func(string) location {
		return location{
			dirs:     func() []string { return []string{memory, disk} },
			wanted:   func(string) bool { return true },
			volatile: func(path string) bool { return filepath.Dir(path) == memory },
		}
	}
	store := filepath.Join(t.TempDir(), "positions")
	write := func(path string, more int) {
		x := new(export)
		x.docker("a", "one", false).docker("a", "two", false).docker("b", "boom", false)
		for range more {
			x.docker("b", "  at x", false)
		}
		tmp := filepath.Join(t.TempDir(), "system.journal")
		if same && more > 0 {
			succeed(t, filepath.Join(memory, "system.journal"), tmp)
		}
		x.write(t, tmp)
		if err := os.Rename(tmp, path); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(memory, "system.journal"), 0)
	cfg := common.MapStr{"multiline": common.MapStr{"preset": "java", "timeout": "1h"}}
	r := start(t, cfg, setup{store: store, locate: both, options: Options{Controls: true}})
	wantJoined(t, r.wait(t, 1)[0], "one", ledger.Range{From: 1, To: 2})
	waitFor(t, func() bool { // the other two are held
		held := 0
		_ = r.store.Range("journald::", func(_ string, raw []byte) error {
			var p position
			_ = json.Unmarshal(raw, &p)
			held += len(p.Held)
			return nil
		})
		return held == 2
	})
	r.stop(t)
	write(filepath.Join(disk, "system.journal"), 1)
	if err := os.Remove(filepath.Join(memory, "system.journal")); err != nil {
		t.Fatal(err)
	}
	cfg["multiline"] = common.MapStr{"preset": "java", "timeout": "500ms"}
	r = start(t, cfg, setup{store: store, locate: both, options: Options{Controls: true}})
	events := r.wait(t, 4)
	controls, lines := controlsOf(events)
	if len(lines) != 2 || lines[0].Fields["message"] != "two" || lines[1].Fields["message"] != "boom\n  at x" {
		t.Errorf("%v", lines)
	}
	if len(controls) != 2 {
		t.Errorf("told: %v", controls)
	}
}
