package journald

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
)

// controlsOf returns the control records among events, as text, and the lines.
func controlsOf(events []beat.Event) (controls []string, lines []beat.Event) {
	for _, e := range events {
		if m := e.Meta["tally"].(common.MapStr); m["control"] != nil {
			controls = append(controls, fmt.Sprint(m["control"], m["from"], m["to"], m["reason"]))
		} else {
			lines = append(lines, e)
		}
	}
	return controls, lines
}

// TestLossIsToldUntilAcknowledged crashes between a loss and its acknowledgement: it is told again, before any line behind it, and
// not once more after it was acknowledged.
func TestLossIsToldUntilAcknowledged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	store := filepath.Join(t.TempDir(), "positions")
	x := new(export)
	x.lines(100).write(t, path)
	cfg := common.MapStr{"paths": []string{path}}
	p := newPipe()
	r := start(t, cfg, setup{store: store, pipe: p, options: Options{Controls: true}})
	r.wait(t, 100)
	p.ack(40)
	r.stop(t)
	first := rotate(t, path)
	x.lines(100).write(t, path)
	if err := os.Remove(first); err != nil {
		t.Fatal(err)
	}
	const want = "[lost41 101vacuumed]"
	for range 2 {
		p := newPipe() // nothing is acknowledged
		r = start(t, cfg, setup{store: store, pipe: p, options: Options{Controls: true}})
		events := r.wait(t, 101)
		controls, lines := controlsOf(events)
		if fmt.Sprint(controls) != want || events[0].Meta["tally"].(common.MapStr)["control"] == nil {
			t.Fatalf("told %v, want %s before the first line", controls, want)
		}
		wantLines(t, lines, 100, 200, 101)
		r.stop(t)
	}
	p = newPipe()
	r = start(t, cfg, setup{store: store, pipe: p, options: Options{Controls: true}})
	r.wait(t, 101)
	p.ack(1) // the loss alone: nothing moves, and it may be told again
	r.stop(t)
	p = newPipe()
	r = start(t, cfg, setup{store: store, pipe: p, options: Options{Controls: true}})
	if controls, _ := controlsOf(r.wait(t, 101)); fmt.Sprint(controls) != want {
		t.Fatalf("told %v, want %s", controls, want)
	}
	p.ack(2)
	r.stop(t)
	p = newPipe()
	r = start(t, cfg, setup{store: store, pipe: p, options: Options{Controls: true}})
	controls, lines := controlsOf(r.wait(t, 99))
	if len(controls) > 0 {
		t.Errorf("told again after a line behind it was acknowledged: %v", controls)
	}
	wantLines(t, lines, 101, 200, 102)
}

// TestNoControlsUnlessWanted holds that an output which is not ours gets lines alone.
func TestNoControlsUnlessWanted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	store := filepath.Join(t.TempDir(), "positions")
	x := new(export)
	x.lines(10).write(t, path)
	cfg := common.MapStr{"paths": []string{path}}
	r := start(t, cfg, setup{store: store})
	r.wait(t, 10)
	r.stop(t)
	first := rotate(t, path)
	x.lines(10).write(t, path)
	second := rotate(t, path)
	x.lines(10).write(t, path)
	for _, f := range []string{first, second} {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	r = start(t, cfg, setup{store: store})
	controls, lines := controlsOf(r.wait(t, 10))
	if len(controls) > 0 {
		t.Errorf("control records %v", controls)
	}
	wantLines(t, lines, 20, 30, 21)
	if l := <-r.lost; l.From != 11 || l.To != 21 {
		t.Errorf("reported %+v", l)
	}
}

// TestEndIsTold: when a journal's files are gone and all of it is acknowledged, Tally is told where it ends, once, with what was passed
// over behind the last event.
func TestEndIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "system.journal")
	x := new(export)
	x.docker("a", "one", false).lines(3).write(t, path)
	r := start(t, common.MapStr{"paths": []string{dir}, "include_matches": []string{"CONTAINER_NAME=k8s_*"}}, setup{options: Options{Controls: true}})
	r.wait(t, 1)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	events := r.wait(t, 3)
	r.stop(t)
	controls, _ := controlsOf(events)
	if want := "[skipped2 5 <nil> complete<nil> 5 <nil>]"; fmt.Sprint(controls) != want || len(r.events) != 3 {
		t.Errorf("told %v, want %s", controls, want)
	}
}
