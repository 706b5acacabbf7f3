package journald

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/logp"
)

// old is a directory with a journal of 100 lines, and room for the state that Journalbeat 5 leaves.
type old struct {
	t                                    testing.TB
	journal, cursor, pending, store, dir string
	id                                   id128
	x                                    *export
}

func newOld(t testing.TB) *old {
	t.Helper()
	dir := t.TempDir()
	o := &old{
		t: t, dir: dir, journal: filepath.Join(dir, "system.journal"), cursor: filepath.Join(dir, "cursor-state"),
		pending: filepath.Join(dir, "pending-queue"), store: filepath.Join(dir, "positions"), x: new(export),
	}
	o.x.lines(100).write(t, o.journal)
	o.id = journalID(t, o.journal)
	return o
}

// at is the cursor of the entry with the number, as far as it matters.
func (o *old) at(seq int) string {
	return fmt.Sprintf("s=%s;i=%x;b=%s;m=%x;t=%x", o.id, seq, testBoot, 1000*seq, baseTime+1000*(seq-1))
}

func (o *old) write(file, text string) {
	o.t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

// wait leaves entries as Journalbeat 5 writes them that have no acknowledgement yet.
func (o *old) wait(seqs ...int) {
	o.t.Helper()
	var all []string
	for _, seq := range seqs {
		all = append(all, fmt.Sprintf(`%q:{"@timestamp":"2023-11-14T22:13:20.000Z","@realtime_timestamp":%d,"beat":{"name":"old"},"journal":{"priority":6},"message":"line %d","type":"journal"}`,
			o.at(seq), baseTime+1000*(seq-1), seq-1))
	}
	o.write(o.pending, "{"+strings.Join(all, ",")+"}\n")
}

func (o *old) config(more common.MapStr) common.MapStr {
	cfg := common.MapStr{
		"paths": []string{o.journal}, "cursor_seek_fallback": "tail",
		"cursor_file": common.MapStr{"path": o.cursor, "pending": o.pending, "flush_period": "20ms"},
	}
	cfg.DeepUpdate(more)
	return cfg
}

func (o *old) start(p *pipe, more common.MapStr) *running {
	o.t.Helper()
	return start(o.t, o.config(more), setup{store: o.store, pipe: p})
}

// reached waits until the cursor file is at the entry with the number.
func (o *old) reached(seq int) {
	o.t.Helper()
	waitFor(o.t, func() bool {
		b, err := os.ReadFile(o.cursor)
		c, perr := parseCursor(string(b))
		return err == nil && perr == nil && c.seqID == o.id && c.seq == uint64(seq) && c.realtime == uint64(baseTime+1000*(seq-1))
	})
}

func (o *old) text(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// numbers are the sequence numbers of events. Each must be the line of its number, and every number from the given one up to the
// last must be shipped, skipped by one of them, or among the exceptions.
func numbers(t testing.TB, events []beat.Event, from int64, except ...int64) (all []int64) {
	t.Helper()
	accounted := map[int64]bool{}
	last := int64(0)
	for _, e := range events {
		p := positionOf(t, e)
		if want := fmt.Sprintf("line %d", p.From-1); e.Fields["message"] != want || p.To != p.From+1 {
			t.Errorf("%v at %+v, want %s", e.Fields["message"], p, want)
		}
		for n := p.From - p.Skipped; n < p.To; n++ {
			accounted[n] = true
		}
		last = max(last, p.To)
		all = append(all, p.From)
	}
	for _, n := range except {
		accounted[n] = true
	}
	for n := from; n < last; n++ {
		if !accounted[n] {
			t.Errorf("number %d is not accounted for", n)
		}
	}
	return all
}

// want: from is 0 for the first run, else what earlier ones have accounted for.
func (o *old) want(events []beat.Event, want string, from int64, except ...int64) {
	o.t.Helper()
	if got := fmt.Sprint(numbers(o.t, events, from, except...)); got != want {
		o.t.Errorf("shipped %s, want %s", got, want)
	}
}

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
	f("-", "", "cannot use the file of pending events")
	f("-", `{"s=0123456789abcdef0123456789abcdef;i=1":`, "cannot use the file of pending events")
	f("-", `{"no cursor":{}}`, "no cursor")
	f("-", `{"s=0123456789abcdef0123456789abcdef;i=1":5}`, "it has no event")
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
	o.x.add("MESSAGE", "one ", "CONTAINER_ID_FULL", "c", "CONTAINER_PARTIAL_MESSAGE", "true", "PRIORITY", "6").lines(5).write(t, o.journal)
	r := o.start(nil, common.MapStr{"partial_timeout": "1m"})
	r.wait(t, 5)
	id := "journald::" + o.journal + "::" + o.id.String()
	waitFor(t, func() bool {
		var at position
		_, err := r.store.Get(id, &at)
		return err == nil && at.Next == 107
	})
	r.stop(t)
	if got := o.text(o.cursor); got != o.at(100) {
		t.Errorf("the file is %s", got)
	}
	o.x.add("MESSAGE", "two", "CONTAINER_ID_FULL", "c", "PRIORITY", "6").write(t, o.journal)
	r = o.start(nil, common.MapStr{"partial_timeout": "1m"})
	if e := r.wait(t, 1)[0]; e.Fields["message"] != "one two" {
		t.Errorf("%v", e)
	}
	o.reached(107)
	r.stop(t)
}
