package applog

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"

	"github.com/tallylog/tally/ledger"
)

// split parts lines from control records, which it gives as text.
func split(es []beat.Event) (lines []beat.Event, told []string) {
	for _, e := range es {
		m := e.Meta["tally"].(common.MapStr)
		switch m["control"] {
		case nil:
			lines = append(lines, e)
		case "complete":
			told = append(told, fmt.Sprint("complete ", m["to"]))
		case "skipped":
			told = append(told, fmt.Sprint("skipped ", m["from"], " ", m["to"]))
		default:
			told = append(told, fmt.Sprint(m["control"], " ", m["from"], " ", m["to"], " ", m["reason"]))
		}
	}
	return lines, told
}

func TestEndIsTold(t *testing.T) {
	r := newRig(t)
	r.options.Controls = true
	r.run(nil, "*.log")
	r.write("a.log", numbered(0, 10)+"\n\n")
	r.sink.wait(t, 10)
	r.do(os.Remove(r.path("a.log")))
	n := len(numbered(0, 10))
	lines, told := split(r.sink.wait(t, 12))
	wantNumbered(t, lines, 10)
	if want := []string{fmt.Sprint("skipped ", n, " ", n+2), fmt.Sprint("complete ", n+2)}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	if m := r.sink.wait(t, 12)[11].Meta["tally"].(common.MapStr); m["name"] != r.path("a.log") || m["source"] != position(lines[0]).Source {
		t.Errorf("the record is %v", m)
	}
}

// TestToldUntilAcknowledged stops before the control records are acknowledged: they are told again, and after that no more.
func TestToldUntilAcknowledged(t *testing.T) {
	r := newRig(t)
	r.options.Controls = true
	r.run(nil, "*.log")
	r.write("a.log", numbered(0, 10))
	r.sink.wait(t, 10)
	r.waitRecord("all", func(rec record) bool { return rec.Offset > 0 && rec.Offset == rec.Shipped })
	r.stop()
	r.do(os.Remove(r.path("a.log")))
	// While the agent is stopped what may have followed is lost; that no copy is found shows after restWait.
	r.do(r.store.Range(keyPrefix, func(key string, _ []byte) error {
		var rec record
		_, err := r.store.Get(key, &rec)
		r.do(err)
		rec.Lost = "removed"
		return r.store.Set(key, rec)
	}))
	want := []string{fmt.Sprintf("lost %d <nil> removed", len(numbered(0, 10)))}
	for range 2 {
		r.sink = newSink()
		r.sink.set(false, true)
		r.run(nil, "*.log")
		if _, told := split(r.sink.wait(t, 1)); !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
		r.stop()
	}
	r.sink = newSink()
	r.run(nil, "*.log")
	r.sink.wait(t, 1)
	r.waitRecord("what was told", func(rec record) bool { return rec.Told == toldLost })
	r.stop()
	r.sink = newSink()
	r.run(nil, "*.log")
	r.write("b.log", numbered(0, 3)) // something to wait for; the end of b is told behind what else there is to tell
	r.sink.wait(t, 3)
	r.do(os.Remove(r.path("b.log")))
	if _, told := split(r.sink.wait(t, 4)); len(told) != 1 || told[0] != fmt.Sprint("complete ", len(numbered(0, 3))) {
		t.Errorf("told %q", told)
	}
}

func TestNews(t *testing.T) {
	f := func(rec record, want string) {
		t.Helper()
		rec.Source, rec.Path = "file:s", "/s"
		s := &source{rec: rec}
		var es []beat.Event
		if n := s.news(); n != nil {
			if es = n.events(); len(es) != n.records {
				t.Errorf("%d control records, %d are waited for", len(es), n.records)
			}
		}
		if _, told := split(es); fmt.Sprint(told) != want {
			t.Errorf("%+v: told %v, want %s", rec, told, want)
		}
	}
	f(record{Offset: 9, Shipped: 9}, "[]")
	f(record{Offset: 9, Shipped: 5}, "[skipped 5 9]")
	f(record{Offset: 12, Shipped: 5, ToldSkip: 9}, "[skipped 9 12]")
	f(record{Offset: 9, Shipped: 9, ToldSkip: 7, Done: true}, "[complete 9]")
	f(record{Offset: 9, Shipped: 5, Done: true}, "[skipped 5 9 complete 9]")
	f(record{Offset: 9, Shipped: 5, Done: true, Told: toldEnd, ToldSkip: 9}, "[]")
	f(record{Offset: 9, Shipped: 9, Lost: "truncated"}, "[lost 9 <nil> truncated]")
	f(record{Offset: 20, Shipped: 20, Done: true, Told: toldLost}, "[complete 20]") // its copy was found after all
	busy := &source{rec: record{Offset: 9, Done: true}, turns: []*turn{{}}}
	if busy.news() != nil {
		t.Error("an end is told before all is acknowledged")
	}
}

// TestSkippedAtTheEndIsTold holds that a file that rests is accounted for to its last byte.
func TestSkippedAtTheEndIsTold(t *testing.T) {
	r := newRig(t)
	r.options.Controls = true
	r.run(nil, "*.log")
	r.write("a.log", numbered(0, 2)+"\n\n")
	text := numbered(0, 2) + "\n\n"
	lines, told := split(r.sink.wait(t, 3))
	var set ledger.Set
	for _, e := range lines {
		p := position(e)
		set.Add(ledger.Range{From: p.From - p.Skipped, To: p.To})
	}
	var from, to int64
	if _, err := fmt.Sscanf(told[0], "skipped %d %d", &from, &to); err != nil {
		t.Fatalf("told %q", told)
	}
	set.Add(ledger.Range{From: from, To: to})
	if fmt.Sprint(set.Ranges()) != fmt.Sprintf("[{0 %d}]", len(text)) {
		t.Errorf("accounted for are %v of %d bytes", set.Ranges(), len(text))
	}
	r.waitRecord("what was told", func(rec record) bool { return rec.ToldSkip == int64(len(text)) })
}
