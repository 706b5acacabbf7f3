package journald

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/logp"
)

// TestCursorTakenOver goes on right behind the cursor, keeps the file at what is acknowledged, and needs no other state.
func TestCursorTakenOver(t *testing.T) {
	o := newOld(t)
	o.write(o.cursor, o.at(97))
	p := newPipe()
	r := o.start(p, nil)
	o.want(r.wait(t, 3), "[98 99 100]", 0)
	if got := o.text(o.cursor); got != o.at(97) {
		t.Errorf("the file is %s before anything is acknowledged", got)
	}
	p.ack(2)
	o.reached(99)
	o.store = filepath.Join(o.dir, "other") // as in a pod without a volume for it
	r.stop(t)
	r = o.start(nil, nil)
	o.want(r.wait(t, 1), "[100]", 0)
	o.reached(100)
	o.x.lines(2).write(t, o.journal)
	o.want(r.wait(t, 3), "[100 101 102]", 0)
	o.reached(102)
	r.stop(t)
	if left, _ := filepath.Glob(filepath.Join(o.dir, ".cursor*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestNotWritten: without write the file is read and stays.
func TestNotWritten(t *testing.T) {
	o := newOld(t)
	o.write(o.cursor, o.at(97))
	for run, want := range []string{"[98 99 100]", "[101]"} {
		r := o.start(nil, common.MapStr{"cursor_file": common.MapStr{"write": false}})
		o.want(r.wait(t, strings.Count(want, " ")+1), want, int64(run*101))
		r.stop(t)
		o.x.lines(1).write(t, o.journal)
	}
	if got := o.text(o.cursor); got != o.at(97) {
		t.Errorf("the file is %s", got)
	}
}

// TestTailIsWritten: where reading begins is in the file before the first event, so that it is enough for a crash.
func TestTailIsWritten(t *testing.T) {
	o := newOld(t)
	r := o.start(newPipe(), nil)
	o.reached(100)
	r.stop(t)
	o.x.lines(3).write(t, o.journal)
	o.store = filepath.Join(o.dir, "other")
	r = o.start(nil, nil)
	o.want(r.wait(t, 3), "[101 102 103]", 0)
	r.stop(t)
}

// TestPending ships what Journalbeat 5 had no acknowledgement for, once, and clears its file only then.
func TestPending(t *testing.T) {
	o := newOld(t)
	o.write(o.cursor, o.at(98))
	o.wait(40, 44, 97)
	const want = "[40 44 97 99 100]"
	for range 2 { // a crash before anything is acknowledged
		p := newPipe()
		r := o.start(p, nil)
		o.want(r.wait(t, 5), want, 0)
		p.ack(2)
		r.stop(t)
		if !strings.Contains(o.text(o.pending), "line 96") || o.text(o.cursor) != o.at(98) {
			t.Errorf("the state is given up before it is acknowledged: %s, %s", o.text(o.cursor), o.text(o.pending))
		}
		o.store = filepath.Join(o.dir, "other") // the second time without the store
	}
	p := newPipe()
	r := o.start(p, nil) // with the store of the second run: 40 and 44 are acknowledged
	o.want(r.wait(t, 3), "[97 99 100]", 45)
	p.ack(3)
	o.reached(100)
	waitFor(t, func() bool { return o.text(o.pending) == "{}\n" })
	r.stop(t)
	o.x.lines(1).write(t, o.journal)
	r = o.start(nil, nil)
	if all := r.wait(t, 1); positionOf(t, all[0]).From != 101 || len(all) > 1 {
		t.Errorf("after all was acknowledged, %v", all)
	}
	r.stop(t)
}

// TestPendingVacuumed: of entries that the journal has lost, the old program's events are shipped, with the places they have.
func TestPendingVacuumed(t *testing.T) {
	o := newOld(t)
	gone := rotate(t, o.journal)
	o.x.lines(10).write(t, o.journal)
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	o.write(o.cursor, o.at(95))
	o.wait(94, 95)
	r := o.start(nil, nil)
	events := r.wait(t, 12)
	o.want(events, "[94 95 101 102 103 104 105 106 107 108 109 110]", 0, 96, 97, 98, 99, 100)
	if lost := <-r.lost; lost.From != 96 || lost.To != 101 || lost.Reason != Vacuumed {
		t.Errorf("lost is %+v, want what comes after the cursor: [96, 101)", lost)
	}
	f := events[0].Fields.Flatten()
	if f["@realtime_timestamp"] != int64(baseTime+93_000) || f["journal.priority"] != int64(6) || f["beat.name"] != "old" || f["@timestamp"] != nil ||
		events[0].Timestamp.UnixMicro() != baseTime+93_000 {
		t.Errorf("the event is %v at %v", f, events[0].Timestamp)
	}
	waitFor(t, func() bool { return o.text(o.pending) == "{}\n" })
	r.stop(t)
}

// TestPendingOfNoJournal: nothing but the file has them.
func TestPendingOfNoJournal(t *testing.T) {
	o := newOld(t)
	real := o.id
	o.id[0]++
	o.wait(7, 9)
	o.id = real
	r := o.start(nil, common.MapStr{"cursor_seek_fallback": "head"})
	events := r.wait(t, 102)
	r.stop(t)
	sources := map[string]int{}
	for _, e := range events {
		sources[positionOf(t, e).Source]++
	}
	if sources[positionOf(t, events[101]).Source]+len(sources) != 102 && len(sources) != 2 {
		t.Errorf("events by source: %v", sources)
	}
	if o.text(o.pending) != "{}\n" {
		t.Errorf("pending: %s", o.text(o.pending))
	}
	r = o.start(newPipe(), nil)
	o.x.lines(1).write(t, o.journal)
	if all := r.wait(t, 1); positionOf(t, all[0]).From != 101 {
		t.Errorf("after a restart %v", all)
	}
	r.stop(t)
}

// TestThereAndBack: the operator goes back to the old program for a while. What it has shipped is not shipped again, what it has
// left waiting is.
func TestThereAndBack(t *testing.T) {
	o := newOld(t)
	o.write(o.cursor, o.at(90))
	r := o.start(nil, nil)
	o.want(r.wait(t, 10), "[91 92 93 94 95 96 97 98 99 100]", 0)
	o.reached(100)
	r.stop(t)
	o.x.lines(20).write(t, o.journal)
	// The old program reads the entry of the cursor again, which is here already.
	o.write(o.cursor, o.at(115))
	o.wait(100, 110, 115)
	r = o.start(nil, nil)
	o.want(r.wait(t, 7), "[110 115 116 117 118 119 120]", 101)
	o.reached(120)
	r.stop(t)
}

// TestBackBeforeAcknowledged: the operator goes back before what the old program had left waiting was acknowledged.
func TestBackBeforeAcknowledged(t *testing.T) {
	o := newOld(t)
	o.write(o.cursor, o.at(99))
	o.wait(40, 44)
	r := o.start(newPipe(), nil)
	o.want(r.wait(t, 3), "[40 44 100]", 0)
	r.stop(t)
	o.x.lines(20).write(t, o.journal)
	o.write(o.cursor, o.at(118)) // it has got rid of 44, and not of 40
	o.wait(40, 110)
	r = o.start(nil, nil)
	o.want(r.wait(t, 4), "[40 110 119 120]", 0)
	r.stop(t)
}

// TestUnreadableState ends the start with an error that names the file, and leaves it alone.
func TestUnreadableState(t *testing.T) {
	f := func(cursor, pending, want string) {
		t.Helper()
		o := newOld(t)
		for file, text := range map[string]string{o.cursor: cursor, o.pending: pending} {
			if text != "-" {
				o.write(file, text)
			}
		}
		m := Plugin(logp.NewLogger("test"), nil, Options{}).Manager
		_, err := m.Create(common.MustNewConfigFrom(o.config(nil)))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), o.dir) {
			t.Errorf("cursor %q, pending %q: error %v, want one with %q", cursor, pending, err, want)
		}
		if cursor != "-" && o.text(o.cursor) != cursor || pending != "-" && o.text(o.pending) != pending {
			t.Error("the state was touched")
		}
	}
	f("", "-", "cannot use the cursor state file")
	f("garbage", "-", "cannot use the cursor state file")
	f("s=1;i=2", "-", "cannot use the cursor state file")
	f("s=0123456789abcdef0123456789abcdef;i=0", "-", "no entry has the number 0")
	f("s=0123456789abcdef0123456789abcdef;i=ffffffffffffffff", "-", "no entry has the number")
	f("-", "", "cannot use the file of pending events")
	f("-", `{"s=0123456789abcdef0123456789abcdef;i=1":`, "cannot use the file of pending events")
	f("-", `{"no cursor":{}}`, "no cursor")
	f("-", `{"s=0123456789abcdef0123456789abcdef;i=1":5}`, "has no event")
	o := newOld(t)
	if err := os.Mkdir(o.cursor, 0o700); err != nil {
		t.Fatal(err)
	}
	m := Plugin(logp.NewLogger("test"), nil, Options{}).Manager
	if _, err := m.Create(common.MustNewConfigFrom(o.config(nil))); err == nil || !strings.Contains(err.Error(), "cannot read the cursor state file") {
		t.Errorf("a directory in its place: %v", err)
	}
	if _, err := m.Create(common.MustNewConfigFrom(o.config(common.MapStr{"seek": "head"}))); err != nil {
		t.Errorf("where it is not read: %v", err)
	}
	o = newOld(t)
	none := o.config(common.MapStr{"cursor_seek_fallback": "none"})
	if _, err := m.Create(common.MustNewConfigFrom(none)); err == nil || !strings.Contains(err.Error(), "cursor_seek_fallback is none") {
		t.Errorf("none without a file: %v", err)
	}
	o.write(o.cursor, o.at(5))
	if _, err := m.Create(common.MustNewConfigFrom(none)); err != nil {
		t.Errorf("none with a file: %v", err)
	}
}

// TestCursorOfSeveral: with several journals the file is at the one that is furthest behind.
func TestCursorOfSeveral(t *testing.T) {
	o := newOld(t)
	dir := t.TempDir()
	for i := range 2 {
		if err := os.Rename(o.journal, filepath.Join(dir, fmt.Sprintf("%d.journal", i))); err != nil {
			t.Fatal(err)
		}
		o.x = new(export)
		o.x.lines(100+i).write(t, o.journal)
	}
	p := newPipe()
	r := o.start(p, common.MapStr{"paths": []string{dir}, "cursor_seek_fallback": "head"})
	defer r.stop(t)
	events := r.wait(t, 200)
	p.ack(150) // one of them to its end
	first := positionOf(t, events[149])
	want := ""
	waitFor(t, func() bool { want = o.text(o.cursor); return strings.Contains(want, fmt.Sprintf(";i=%x;", first.From)) })
	p.ack(50)
	waitFor(t, func() bool { return strings.Contains(o.text(o.cursor), ";i=64;") })
}

// TestCursorBehindPieces: while a piece of a message waits for the next, the file stays before it.
func TestCursorBehindPieces(t *testing.T) {
	o := newOld(t)
	o.write(o.cursor, o.at(100))
	o.x.lines(3).add("MESSAGE", "one ", "CONTAINER_ID_FULL", "c", "CONTAINER_PARTIAL_MESSAGE", "true", "PRIORITY", "6").lines(5).write(t, o.journal)
	r := o.start(nil, common.MapStr{"partial_timeout": "1m"})
	r.wait(t, 8)
	id := "journald::" + o.journal + "::" + o.id.String()
	waitFor(t, func() bool {
		var at position
		_, err := r.store.Get(id, &at)
		return err == nil && at.Next == 110
	})
	r.stop(t)
	o.reached(103)
	o.x.add("MESSAGE", "two", "CONTAINER_ID_FULL", "c", "PRIORITY", "6").write(t, o.journal)
	r = o.start(nil, common.MapStr{"partial_timeout": "1m"})
	if e := r.wait(t, 1)[0]; e.Fields["message"] != "one two" {
		t.Errorf("%v", e)
	}
	o.reached(110)
	r.stop(t)
}

// TestTailShipsWhatWasRead: where reading begins at the tail each time, what was read before, and not acknowledged, is shipped all the
// same, as from Journalbeat's pending queue; what came while the agent was stopped is not.
func TestTailShipsWhatWasRead(t *testing.T) {
	o := newOld(t)
	p := newPipe()
	r := o.start(p, common.MapStr{"seek": "tail"})
	o.reached(100)
	o.x.lines(10).write(t, o.journal)
	r.wait(t, 10)
	p.ack(4)
	o.reached(104)
	waitFor(t, func() bool {
		var at position
		_, err := r.store.Get("journald::"+o.journal+"::"+o.id.String(), &at)
		return err == nil && at.Next == 105 && at.Read == 111
	})
	r.stop(t)
	o.x.lines(20).write(t, o.journal)
	o.wait(100, 106, 115) // of the old program, in between: one is here already, one is not acknowledged in any case
	p = newPipe()
	r = o.start(p, common.MapStr{"seek": "tail"})
	o.want(r.wait(t, 7), "[105 106 107 108 109 110 115]", 105)
	o.x.lines(1).write(t, o.journal)
	o.want(r.wait(t, 8), "[105 106 107 108 109 110 115 131]", 105)
	p.ack(8)
	o.reached(131)
	r.stop(t)
	r = o.start(newPipe(), common.MapStr{"seek": "tail"})
	o.x.lines(1).write(t, o.journal)
	if all := r.wait(t, 1); positionOf(t, all[0]).From != 132 {
		t.Errorf("after all was acknowledged: %+v", positionOf(t, all[0]))
	}
	r.stop(t)
}

// TestStaleCursor: a file that is not written, of a journal that is gone and of a clock that went ahead, is taken over no second time.
func TestStaleCursor(t *testing.T) {
	o := newOld(t)
	o.write(o.cursor, fmt.Sprintf("s=%s;i=5;t=%x", testBoot, baseTime+97_500))
	not := common.MapStr{"cursor_file": common.MapStr{"write": false}}
	r := o.start(nil, not)
	o.want(r.wait(t, 2), "[99 100]", 0)
	r.stop(t)
	o.x.lines(3).write(t, o.journal)
	r = o.start(nil, not)
	o.want(r.wait(t, 3), "[101 102 103]", 101)
	var last taken
	if ok, err := r.store.Get("journald::"+o.journal+"::cursor", &last); !ok || err != nil || !strings.Contains(last.Cursor, "i=5") {
		t.Errorf("stored as taken over: %+v, %v", last, err)
	}
	r.stop(t)
	o.x.lines(3).write(t, o.journal)
	o.write(o.cursor, fmt.Sprintf("s=%s;i=6;t=%x", testBoot, baseTime+104_500)) // the old program has gone on
	r = o.start(nil, not)
	o.want(r.wait(t, 1), "[106]", 104)
	r.stop(t)
}

// TestCopiedCursor: the journal of the cursor is gone, because it was in memory and was copied to disk. Reading goes on behind the copy,
// also where another entry has its microsecond.
func TestCopiedCursor(t *testing.T) {
	o := newOld(t)
	same := func(line int, monotonic int) {
		fmt.Fprintf(o.x, "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=%s\nMESSAGE=line %d\n\n", baseTime+200_000, monotonic, testBoot, line)
	}
	same(100, 200_000)
	same(101, 200_001)
	o.x.write(t, o.journal)
	o.write(o.cursor, fmt.Sprintf("s=%s;i=77;b=%s;m=%x;t=%x;x=1", testBoot, testBoot, 200_000, baseTime+200_000))
	r := o.start(nil, nil)
	o.want(r.wait(t, 1), "[102]", 0)
	r.stop(t)
	o.store = o.store + "2"
	o.write(o.cursor, fmt.Sprintf("s=%s;i=77;b=%s;m=%x;t=%x;x=1", testBoot, testBoot, 1, baseTime+200_000))
	r = o.start(nil, nil)
	o.want(r.wait(t, 2), "[101 102]", 0)
	r.stop(t)
}
