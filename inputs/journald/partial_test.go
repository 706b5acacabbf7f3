package journald

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/outputs/codec/json"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
)

// docker appends an entry as Docker's journald driver writes it: before 18.09 without a message id.
func (x *export) docker(container, text string, partial bool, more ...string) *export {
	fields := []string{"MESSAGE", text, "CONTAINER_ID_FULL", container, "CONTAINER_NAME", "k8s_" + container, "PRIORITY", "6"}
	if partial {
		fields = append(fields, "CONTAINER_PARTIAL_MESSAGE", "true")
	}
	return x.add(append(fields, more...)...)
}

func wantJoined(t testing.TB, e beat.Event, message string, ranges ...ledger.Range) {
	t.Helper()
	p := positionOf(t, e)
	if e.Fields["message"] != message || p.From != ranges[0].From || p.To != ranges[len(ranges)-1].To ||
		len(ranges) > 1 && !reflect.DeepEqual(p.Ranges, ranges) || len(ranges) == 1 && p.Ranges != nil {
		t.Errorf("%q at %+v, want %q at %v", e.Fields["message"], p, message, ranges)
	}
}

func TestJoin(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	x := new(export)
	x.docker("a", "a1 ", true).docker("b", "b1 ", true).lines(1).docker("a", "a2 ", true).docker("a", "a3", false).docker("b", "b2", false)
	x.docker("c", "\xe2\x82", true, "CONTAINER_PARTIAL_ID", "m", "CONTAINER_PARTIAL_ORDINAL", "1", "CONTAINER_PARTIAL_LAST", "false")
	x.docker("c", "\xac", true, "CONTAINER_PARTIAL_ID", "m", "CONTAINER_PARTIAL_ORDINAL", "2", "CONTAINER_PARTIAL_LAST", "true")
	x.docker("a", "whole", false)
	x.write(t, path)
	events := start(t, common.MapStr{"paths": []string{path}}, setup{}).wait(t, 5)
	wantJoined(t, events[0], "line 2", ledger.Range{From: 3, To: 4})
	wantJoined(t, events[1], "a1 a2 a3", ledger.Range{From: 1, To: 2}, ledger.Range{From: 4, To: 6})
	wantJoined(t, events[2], "b1 b2", ledger.Range{From: 2, To: 3}, ledger.Range{From: 6, To: 7})
	wantJoined(t, events[3], "€", ledger.Range{From: 7, To: 9})
	wantJoined(t, events[4], "whole", ledger.Range{From: 9, To: 10})
	if p := positionOf(t, events[1]); p.Skipped != 1 {
		t.Errorf("the first message skips %d units, want the 1 before its first piece", p.Skipped)
	}
	// What libbeat makes of the position is what the server reads.
	line, err := json.New("7.17.29", json.Config{}).Encode("index", &events[1])
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := new(event.Decoder).Decode(line)
	if want := positionOf(t, events[1]); err != nil || !reflect.DeepEqual(decoded.Position, want) {
		t.Errorf("%s is decoded with the position %+v, %v, want %+v", line, decoded.Position, err, want)
	}
	for _, name := range []string{"container.partial", "journald.custom"} {
		if v, err := events[3].Fields.GetValue(name); err == nil {
			t.Errorf("a joined message has %s: %v", name, v)
		}
	}
}

func TestJoinOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	new(export).docker("a", "a1", true).docker("a", "a2", false).write(t, path)
	events := start(t, common.MapStr{"paths": []string{path}, "join_partial": false}, setup{}).wait(t, 2)
	wantJoined(t, events[0], "a1", ledger.Range{From: 1, To: 2})
	if v, err := events[0].Fields.GetValue("container.partial"); err != nil || v != "true" {
		t.Errorf("container.partial is %v, %v", v, err)
	}
}

// TestJoinOverRestart stops with a message half read, while later entries of others are acknowledged: afterwards the message
// comes whole, and the others do not come again.
func TestJoinOverRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	store := filepath.Join(t.TempDir(), "positions")
	cfg := common.MapStr{"paths": []string{path}}
	x := new(export)
	x.lines(2).docker("a", "a1 ", true).lines(3).docker("a", "a2 ", true).lines(1).write(t, path)
	r := start(t, cfg, setup{store: store})
	r.wait(t, 6)
	r.stop(t)
	r = start(t, cfg, setup{store: store})
	x.docker("a", "a3", false).write(t, path)
	x.lines(1).write(t, path)
	events := r.wait(t, 2)
	wantJoined(t, events[0], "a1 a2 a3", ledger.Range{From: 3, To: 4}, ledger.Range{From: 7, To: 8}, ledger.Range{From: 9, To: 10})
	wantJoined(t, events[1], "line 9", ledger.Range{From: 10, To: 11})
}

// TestJoinTimeout ends a message by its timeout, crashes before the ACK, and adds a piece: the replay must end the message at
// the same place.
func TestJoinTimeout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	store := filepath.Join(t.TempDir(), "positions")
	cfg := common.MapStr{"paths": []string{path}, "partial_timeout": "50ms"}
	x := new(export)
	x.docker("a", "a1 ", true).docker("a", "a2 ", true).write(t, path)
	r := start(t, cfg, setup{store: store, pipe: newPipe()})
	first := positionOf(t, r.wait(t, 1)[0])
	r.stop(t)
	x.docker("a", "a3 ", true).docker("a", "a4", false).write(t, path)
	r = start(t, cfg, setup{store: store})
	events := r.wait(t, 2)
	wantJoined(t, events[0], "a1 a2 ", ledger.Range{From: 1, To: 3})
	wantJoined(t, events[1], "a3 a4", ledger.Range{From: 3, To: 5})
	if again := positionOf(t, events[0]); again.ID() != first.ID() {
		t.Errorf("the replay has position %+v, was %+v", again, first)
	}
	waitFor(t, func() bool {
		var at position
		_, err := r.store.Get("journald::"+path+"::"+journalID(t, path).String(), &at)
		return err == nil && at.Next == 5 && len(at.Held) == 0 && len(at.Cut) == 0
	})
}

// TestJoinBounds has more open messages, and larger ones, than are kept: nothing is lost, and memory is bounded.
func TestJoinBounds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	x := new(export)
	for i := range maxJoins + 10 {
		x.docker(fmt.Sprintf("c%d", i), "piece", true)
	}
	big := strings.Repeat("y", maxValue/2)
	x.docker("big", big, true).docker("big", big, true).docker("big", "rest", false)
	x.write(t, path)
	r := start(t, common.MapStr{"paths": []string{path}, "partial_timeout": "300ms"}, setup{})
	events := r.wait(t, maxJoins+12)
	r.stop(t)
	var set ledger.Set
	for _, e := range events {
		p := positionOf(t, e)
		p.Pieces(func(r ledger.Range) { set.Add(r) })
		if e.Fields["message"] == big+big {
			if v, err := e.Fields.GetValue("log.flags"); err != nil {
				t.Errorf("a message that was cut has no mark: %v, %v", v, err)
			}
		}
	}
	if set.Units() != maxJoins+13 {
		t.Errorf("%d units have come, want %d", set.Units(), maxJoins+13)
	}
}

// TestHeldVacuumed removes the file with a piece that was read, and not shipped, while the input is stopped.
func TestHeldVacuumed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.journal")
	store := filepath.Join(t.TempDir(), "positions")
	cfg := common.MapStr{"paths": []string{path}}
	x := new(export)
	x.lines(2).docker("a", "a1 ", true).lines(1).write(t, path)
	r := start(t, cfg, setup{store: store})
	source := positionOf(t, r.wait(t, 3)[2]).Source
	r.stop(t)
	if err := os.Remove(rotate(t, path)); err != nil {
		t.Fatal(err)
	}
	x.docker("a", "a2", false).write(t, path)
	r = start(t, cfg, setup{store: store})
	wantJoined(t, r.wait(t, 1)[0], "a2", ledger.Range{From: 5, To: 6})
	if l := <-r.lost; l != (Range{Source: source, From: 3, To: 4, Reason: Vacuumed}) {
		t.Errorf("reported %+v, want the piece, 3, as vacuumed", l)
	}
	waitFor(t, func() bool {
		var at position
		_, err := r.store.Get("journald::"+path+"::"+journalID(t, path).String(), &at)
		return err == nil && at.Next == 6 && len(at.Held) == 0
	})
}
