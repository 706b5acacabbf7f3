package journald

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/elastic/beats/v7/libbeat/common"

	"github.com/tallylog/tally/inputs/status"
)

// TestStatus: what an operator sees of a journal: where it is, how far behind, what cannot be read, what was lost.
func TestStatus(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "system.journal")
	board := &status.Board{}
	p := newPipe() // acknowledges nothing by itself
	cfg := common.MapStr{"paths": []string{path}}
	r := start(t, cfg, setup{pipe: p, options: Options{Board: board}})
	await := func(what string, ok func(status.Summary) bool) {
		t.Helper()
		var last status.Summary
		defer func() {
			if t.Failed() {
				t.Logf("%s: the status is %+v", what, last)
			}
		}()
		waitFor(t, func() bool {
			all := board.Summaries()
			if len(all) != 1 {
				return false // the input has not begun yet
			}
			last = all[0]
			return ok(last)
		})
	}
	await("nothing there", func(s status.Summary) bool {
		return s.Errors == 1 && s.Known == 0 && strings.Contains(s.Sources[0].Error, "no journal")
	})
	x := new(export)
	x.lines(10).write(t, path)
	r.wait(t, 10)
	source := positionOf(t, p.events[0]).Source
	await("nothing acknowledged", func(s status.Summary) bool {
		return s.Kind == "journald" && s.Unit == "entries" && s.Inputs == 1 && s.Open == 1 && s.Known == 1 && s.Errors == 0 && s.Lag == 10 &&
			s.Sources[0].ID == source && s.Sources[0].Position == 1 && strings.HasPrefix(s.Sources[0].Name, path)
	})
	p.ack(10)
	await("all acknowledged", func(s status.Summary) bool { return s.Lag == 0 && s.Sources[0].Position == 11 })
	// An older file appears that cannot be read, and a hole is between it and what follows.
	bad := filepath.Join(dir, "system@00.journal")
	if err := os.WriteFile(bad, []byte("this is no journal"), 0o600); err != nil {
		t.Fatal(err)
	}
	await("a file that is no journal", func(s status.Summary) bool {
		return s.Errors == 1 && s.Sources[0].Name == bad && strings.Contains(s.Sources[0].Error, "not a journal")
	})
	if err := os.Remove(bad); err != nil {
		t.Fatal(err)
	}
	await("the file has gone", func(s status.Summary) bool { return s.Errors == 0 })
	r.stop(t)
	if len(board.Summaries()) != 0 {
		t.Error("a stopped input is on the board")
	}
}
