package journald

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
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
			if accounted[n] {
				t.Errorf("number %d is counted twice, the second time by %+v", n, p)
			}
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
