package admit

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/record"
)

// told makes a batch without lines.
func told(source string, notes ...record.Note) *record.Batch {
	b := &record.Batch{Client: "c", Received: time.Now().UnixNano(), Notes: notes}
	for i := range b.Notes {
		b.Notes[i].Source = source
	}
	return b
}

func TestNotesAloneAreDurable(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, rigOptions{})
	r.admit(t, lines("s", 0, 10), 10, 0)
	r.admit(t, lines("s", 30, 40), 10, 0)
	r.admit(t, told("s",
		record.Note{Kind: record.Lost, Range: ledger.Range{From: 10, To: 20}, Text: "vacuumed"},
		record.Note{Kind: record.Skipped, Range: ledger.Range{From: 40, To: 50}},
		record.Note{Kind: record.Lost, Range: ledger.Range{From: 50}, Text: "missing: the dog"},
		record.Note{Kind: record.Complete, Range: ledger.Range{To: 60}},
	), 0, 0)
	r.admit(t, told("agent:a", record.Note{Kind: record.Status, Text: `{"lag":1}`}), 0, 0)
	r.admit(t, told("agent:a", record.Note{Kind: record.Status, Text: `{"lag":2}`}), 0, 0)
	check := func() {
		t.Helper()
		s := r.source(t, "s")
		if got := gaps(s.Gaps); got != "[10,20)vacuumed [20,30)missing [50,?)missing:the dog" {
			t.Errorf("gaps are %s", got)
		}
		if fmt.Sprint(s.Ranges) != "[[0 10] [30 50]]" || s.Complete {
			t.Errorf("the account is %+v", s)
		}
		if list := r.Agents(0); len(list) != 1 || list[0].ID != "agent:a" || string(list[0].Status) != `{"lag":2}` {
			t.Errorf("agents are %+v", list)
		}
		if n := len(r.Sources(time.Now(), Filter{})); n != 1 {
			t.Errorf("%d sources: an agent is none", n)
		}
	}
	check()
	r.stop() // without a checkpoint: from the buffer
	r = start(t, dir, rigOptions{store: newMemStore()})
	check()
	r.stop()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = start(t, dir, rigOptions{store: r.store}) // from the checkpoint
	check()
}

func gaps(list []Gap) string {
	var out []string
	for _, g := range list {
		to := "?"
		if g.To != nil {
			to = fmt.Sprint(*g.To)
		}
		out = append(out, strings.TrimSuffix(fmt.Sprintf("[%d,%s)%s:%s", g.From, to, g.Reason, g.Detail), ":"))
	}
	return strings.Join(out, " ")
}

// TestRestFoundAfterAll closes a gap without a known end: the copy of the truncated file came to light, and was read to its end.
func TestRestFoundAfterAll(t *testing.T) {
	r := start(t, t.TempDir(), rigOptions{})
	r.admit(t, lines("file:s", 0, 10), 10, 0)
	r.admit(t, told("file:s", record.Note{Kind: record.Lost, Range: ledger.Range{From: 10}, Text: "truncated"}), 0, 0)
	r.admit(t, lines("file:s", 10, 20), 10, 0)
	if got := gaps(r.source(t, "file:s").Gaps); got != "[20,?)truncated" {
		t.Errorf("gaps are %s", got)
	}
	r.admit(t, told("file:s", record.Note{Kind: record.Complete, Range: ledger.Range{To: 20}}), 0, 0)
	if s := r.source(t, "file:s"); len(s.Gaps) > 0 || !s.Complete {
		t.Errorf("the account is %+v", s)
	}
}

func TestFate(t *testing.T) {
	r := start(t, t.TempDir(), rigOptions{})
	r.admit(t, lines("file:s", 0, 10), 10, 0)
	r.admit(t, lines("file:s", 30, 40), 10, 0)
	r.admit(t, told("file:s",
		record.Note{Kind: record.Lost, Range: ledger.Range{From: 10, To: 15}, Text: "corrupt"},
		record.Note{Kind: record.Skipped, Range: ledger.Range{From: 15, To: 20}},
	), 0, 0)
	id := r.source(t, "file:s").ID
	f := func(unit int64, after time.Duration, want string) {
		t.Helper()
		_, got, ok := r.Fate(0, id, unit, time.Now().Add(after))
		if s := strings.TrimSpace(got.State + " " + got.Reason); !ok || s != want {
			t.Errorf("unit %d: %q %v, want %q", unit, s, ok, want)
		}
	}
	f(0, 0, "stored")
	f(39, 0, "stored")
	f(12, 0, "lost corrupt")
	f(15, 0, "skipped")
	f(25, 0, "in_flight")
	f(25, time.Hour, "missing")
	f(40, time.Hour, "not_read")
	f(ledger.MaxOffset-1, time.Hour, "not_read")
	if _, _, ok := r.Fate(1, id, 0, time.Now()); ok {
		t.Error("another tenant sees the account")
	}
	sum := r.Totals(time.Now().Add(time.Hour))
	if sum.Sources != 1 || sum.InFlight != 0 || sum.Missing != 10 || sum.MissingLines != 1 || sum.Lost["corrupt"] != 5 {
		t.Errorf("totals are %+v", sum)
	}
}

func TestAttributesAndFilters(t *testing.T) {
	r := start(t, t.TempDir(), rigOptions{})
	for _, source := range []string{"file:a", "journal:b"} {
		b := lines(source, 0, 1)
		for _, f := range []string{"host.name=h", "kubernetes.namespace=shop", "kubernetes.pod.name=p-1", "kubernetes.pod.uid=u-1", "orchestrator.cluster.name=prod"} {
			name, value, _ := strings.Cut(f, "=")
			b.Events[0].Put(name, value)
		}
		r.admit(t, b, 1, 0)
	}
	f := func(want int, f Filter) {
		t.Helper()
		if list := r.Sources(time.Now(), f); len(list) != want {
			t.Errorf("%+v chooses %+v, want %d", f, list, want)
		}
	}
	f(2, Filter{})
	f(2, Filter{Host: "h", Cluster: "prod", Client: "c"})
	f(0, Filter{Host: "x"})
	f(1, Filter{Namespace: "shop"}) // a journal has many
	f(1, Filter{Pod: "p-1"})
	f(1, Filter{Pod: "u-1"})
	f(1, Filter{Kind: "journal"})
	f(1, Filter{Source: "file:a"})
	f(0, Filter{Tenant: 1})
}

func TestLossesAreBounded(t *testing.T) {
	var s state
	for i := range int64(3 * maxLosses) {
		s.lose(loss{ledger.Range{From: 2 * i, To: 2*i + 1}, "corrupt"})
	}
	if len(s.lost) != maxLosses {
		t.Errorf("%d losses are kept", len(s.lost))
	}
	s = state{}
	for i := range int64(1000) {
		s.lose(loss{ledger.Range{From: i, To: i + 1}, "rejected"})
		s.lose(loss{ledger.Range{From: i, To: i + 1}, "rejected"})
	}
	if len(s.lost) != 1 || s.lost[0].Range != (ledger.Range{From: 0, To: 1000}) {
		t.Errorf("the losses are %v", s.lost)
	}
}

func TestSourcesBeyondTheBoundAreStored(t *testing.T) {
	r := start(t, t.TempDir(), rigOptions{maxSources: 3})
	for i := range 5 {
		r.admit(t, lines(fmt.Sprint("s", i), 0, 10), 10, 0)
	}
	r.once(t, 50)
	if n, u := len(r.Sources(time.Now(), Filter{})), r.Stats.Unaccounted.Load(); n != 3 || u != 20 {
		t.Errorf("%d accounts, %d events without, want 3 and 20", n, u)
	}
	other := lines("s9", 0, 1)
	other.Tenant = 1
	r.admit(t, other, 1, 0)
	if n := len(r.Sources(time.Now(), Filter{Tenant: 1})); n != 1 {
		t.Errorf("the bound of one tenant holds for another")
	}
	r.admit(t, lines("s4", 0, 10), 10, 0) // without an account it cannot be known again
}

func TestTidy(t *testing.T) {
	r := start(t, t.TempDir(), rigOptions{ledger: 100 * 24 * time.Hour})
	for i := range int64(50) {
		b := lines("ended", 2*i, 2*i+1)
		b.Notes = []record.Note{{Kind: record.Skipped, Source: "ended", Range: ledger.Range{From: 2*i + 1, To: 2*i + 2}}}
		r.admit(t, b, 1, 0)
	}
	r.admit(t, told("ended", record.Note{Kind: record.Complete, Range: ledger.Range{To: 100}}), 0, 0)
	r.admit(t, lines("open", 0, 10), 10, 0)
	before := r.source(t, "ended")
	tidy := func(after time.Duration) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.tidy(time.Now().Add(after))
	}
	kept := func() (ranges, sources int) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, a := range r.accounts {
			ranges += a.now.stored.Len() + a.now.skipped.Len() + a.fed.stored.Len() + a.fed.skipped.Len()
		}
		return ranges, len(r.accounts)
	}
	tidy(time.Hour)
	if n, _ := kept(); n != 202 {
		t.Errorf("%d ranges are kept, want 202: the source may go on", n)
	}
	tidy(25 * time.Hour)
	if n, _ := kept(); n != 4 {
		t.Errorf("%d ranges are kept, want one in each view", n)
	}
	if after := r.source(t, "ended"); fmt.Sprint(after) != fmt.Sprint(before) || !after.Complete {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
	r.admit(t, lines("ended", 0, 1), 0, 1) // still known
	r.admit(t, lines("ended", 1, 2), 1, 0) // was skipped: stored, whatever the account says
	tidy(101 * 24 * time.Hour)
	if _, n := kept(); n != 0 {
		t.Errorf("%d accounts are kept beyond the retention", n)
	}
	r.admit(t, lines("fresh", 0, 1), 1, 0)
}

// TestFirstCheckpointIsRead reads a file as the version before wrote it.
func TestFirstCheckpointIsRead(t *testing.T) {
	b := []byte(checkpointFirst)
	u := func(list ...uint64) {
		for _, n := range list {
			b = binary.AppendUvarint(b, n)
		}
	}
	text := func(s string) { u(uint64(len(s))); b = append(b, s...) }
	u(7, 1, 0)
	text("c")
	text("file:s")
	text("/var/log/s")
	u(1, 0, 10, 0, 1, 10, 0)
	text("removed")
	u(12, 10, 3, 2, 1)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	cp, err := decodeCheckpoint(b)
	if err != nil || cp.Seq != 7 || len(cp.accounts) != 1 {
		t.Fatalf("%+v, %v", cp, err)
	}
	for _, a := range cp.accounts {
		d := a.describe(time.Now())
		if d.Name != "/var/log/s" || fmt.Sprint(d.Ranges) != "[[0 10]]" || gaps(d.Gaps) != "[10,?)removed" || d.Events != 10 || d.Duplicates != 3 || d.Conflicts != 2 {
			t.Errorf("the account is %+v", d)
		}
	}
}

func FuzzDecodeCheckpoint(f *testing.F) {
	accounts := map[key]*account{}
	a := newAccount(key{1, "c", "file:s"})
	a.fed = state{name: "n", attrs: Attributes{Host: "h"}, lost: []loss{{ledger.Range{From: 3}, event.ReasonMissing}}, updated: 9}
	a.fed.stored.Add(ledger.Range{From: 0, To: 3})
	accounts[a.key] = a
	whole := encodeCheckpoint(5, accounts, map[key]status{{1, "c", "agent:a"}: {"{}", 8}})
	f.Add(whole[:len(whole)-4])
	f.Fuzz(func(t *testing.T, b []byte) {
		b = binary.LittleEndian.AppendUint32(b[:len(b):len(b)], crc32.Checksum(b, castagnoli))
		cp, err := decodeCheckpoint(b)
		if err != nil {
			return
		}
		again, err := decodeCheckpoint(encodeCheckpoint(cp.Seq, cp.accounts, cp.agents))
		if err != nil || again.Seq != cp.Seq || len(again.accounts) != len(cp.accounts) || len(again.agents) != len(cp.agents) {
			t.Fatalf("%+v became %+v, %v", cp, again, err)
		}
	})
}
