package deadletter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/record"
)

func open(t *testing.T, dir string, max int64) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir, Options{MaxBytes: max})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// letter is one of line n of a source, in namespace ns<n%3>.
func letter(n int) Letter {
	e := event.Event{Time: int64(n + 1), Position: ledger.Position{Source: "s", From: int64(n), To: int64(n + 1)}}
	e.Put(event.Message, fmt.Sprint("line ", n))
	e.Put(namespaceField, fmt.Sprint("ns", n%3))
	return Letter{Client: "token:a", Time: int64(1000 + n), Stage: StagePipeline, By: "p", Reason: "grok: no pattern matches", Event: e}
}

func put(t *testing.T, s *Store, letters ...Letter) {
	t.Helper()
	if err := s.Put(t.Context(), letters); err != nil {
		t.Fatal(err)
	}
}

func totals(t *testing.T, s *Store) Totals {
	t.Helper()
	all, err := s.Totals(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

func messages(t *testing.T, s *Store, f Filter) string {
	t.Helper()
	list, _, err := s.List(t.Context(), f, 1000, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		out = append(out, strings.TrimPrefix(e.Message, "line "))
	}
	return strings.Join(out, " ")
}

// A letter that comes again is the same one, in this process and after the next start.
func TestPutAgain(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 0)
	put(t, s, letter(1), letter(2))
	put(t, s, letter(2))
	other := letter(2)
	other.Client = "token:b"
	put(t, s, other)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, 0)
	again := letter(1)
	again.Reason, again.Stage = "mapping", StageStore
	again.Event.Put(event.Message, "changed by a pipeline")
	put(t, s, again)
	if got, want := messages(t, s, Filter{}), "2 2 1"; got != want {
		t.Errorf("letters %q, want %q", got, want)
	}
	list, _, err := s.List(t.Context(), Filter{Reason: "MAPPING"}, 10, 0)
	if err != nil || len(list) != 1 || list[0].Times != 2 || list[0].Stage != StageStore {
		t.Errorf("the letter that came again is %+v, %v", list, err)
	}
	l, ok, err := s.Get(t.Context(), Filter{ID: list[0].ID})
	if m, _ := l.Event.Get(event.Message); err != nil || !ok || m != "line 1" || l.Event.Position.From != 1 || l.Event.Time != 2 {
		t.Errorf("the event of the letter is %+v, %v %v", l.Event, ok, err)
	}
	if got := totals(t, s); got.Letters != 3 || got.Rejected != 5 || got.Bytes <= 0 {
		t.Errorf("totals %+v", got)
	}
}

func TestBound(t *testing.T) {
	s := open(t, t.TempDir(), 10_000)
	for n := range 200 {
		put(t, s, letter(n))
		if got := totals(t, s); got.Bytes > 10_000 || got.Letters+got.Evicted != int64(n+1) {
			t.Fatalf("after %d letters the totals are %+v", n+1, got)
		}
	}
	if list, _, _ := s.List(t.Context(), Filter{}, 1, 0); len(list) != 1 || list[0].Message != "line 199" {
		t.Errorf("the newest is %+v", list)
	}
	if got := totals(t, s); got.Evicted == 0 {
		t.Error("none was evicted")
	}
	big := letter(500)
	big.Event.Put("x", strings.Repeat("x", 20_000))
	put(t, s, big)
	if got := messages(t, s, Filter{}); got != "500" {
		t.Errorf("one letter over the bound leaves %q", got)
	}
}

func TestFilter(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	for n := range 6 {
		l := letter(n)
		if n == 4 {
			l.Tenant = 7
		}
		put(t, s, l)
	}
	f := func(x Filter, want string) {
		t.Helper()
		if got := messages(t, s, x); got != want {
			t.Errorf("%+v: %q, want %q", x, got, want)
		}
	}
	f(Filter{}, "5 3 2 1 0")
	f(Filter{Tenant: 7}, "4")
	f(Filter{Namespaces: []string{"ns0", "ns2*"}}, "5 3 2 0")
	f(Filter{Clusters: []string{"c"}}, "")
	f(Filter{Namespace: "ns1"}, "1")
	f(Filter{Start: 1001, End: 1003}, "2 1")
	f(Filter{Stage: StageStore}, "")
	f(Filter{By: "p", Client: "token:a", Source: "s", Reason: "PATTERN"}, "5 3 2 1 0")
	seen := ""
	for cursor, more := int64(0), true; more; {
		list, next, err := s.List(t.Context(), Filter{Namespaces: []string{"ns0", "ns2"}}, 2, cursor)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			seen += e.Message[5:]
		}
		cursor, more = next, next > 0
	}
	if seen != "5320" {
		t.Errorf("the pages hold %q", seen)
	}
	if n, err := s.Drop(t.Context(), Filter{Namespaces: []string{"ns0"}}); n != 2 || err != nil {
		t.Errorf("dropped %d, %v", n, err)
	}
	f(Filter{}, "5 2 1")
	if got := totals(t, s); got.Dropped != 2 || got.Letters != 3 {
		t.Errorf("totals %+v", got)
	}
}

// way stores what comes, by position or identity, and rejects lines of the numbers in bad again.
type way struct {
	s      *Store
	bad    map[int64]bool
	stored map[string]int
	fail   error // of Fed
}

func (w *way) way() Way {
	return Way{
		Clean: func(b *record.Batch) { b.Events[0].Put(namespaceField, "moved") },
		Admit: func(ctx context.Context, b *record.Batch) (n, dup int, err error) {
			var again []Letter
			for _, e := range b.Events {
				key := fmt.Sprint(e.Position, e.Identity)
				switch {
				case w.bad[e.Position.From]:
					again = append(again, Letter{Client: b.Client, Stage: StageStore, Reason: "still bad", Event: e})
				case w.stored[key] > 0:
					dup++
				default:
					w.stored[key]++
					n++
				}
			}
			return n, dup, w.s.Put(ctx, again)
		},
		Fed: func(context.Context) error { return w.fail },
	}
}

// A replay that is cut off between admission and removal is repeated, and stores nothing twice; what is rejected again stays.
func TestReplay(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 0)
	w := &way{s: s, bad: map[int64]bool{2: true}, stored: map[string]int{}, fail: errors.New("killed")}
	put(t, s, letter(0), letter(1), letter(2))
	plain := letter(3)
	plain.Event.Position = ledger.Position{}
	plain.Event.ID = "arrival"
	plain.Confined = true
	put(t, s, plain)
	if _, err := s.Replay(t.Context(), Filter{}, w.way()); !errors.Is(err, w.fail) {
		t.Fatalf("the replay ends with %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, 0)
	w.s, w.fail = s, nil
	o, err := s.Replay(t.Context(), Filter{}, w.way())
	if want := (Outcome{Duplicates: 3, Rejected: 1}); err != nil || o != want {
		t.Errorf("the second replay gives %+v, %v, want %+v", o, err, want)
	}
	if got := messages(t, s, Filter{}); got != "2" {
		t.Errorf("letters %q are left", got)
	}
	for key, n := range w.stored {
		if n != 1 {
			t.Errorf("%s is stored %d times", key, n)
		}
	}
	w.bad = nil
	if o, err = s.Replay(t.Context(), Filter{}, w.way()); err != nil || o != (Outcome{Stored: 1}) || totals(t, s).Letters != 0 || totals(t, s).Replayed != 4 {
		t.Errorf("the third replay gives %+v, %v; totals %+v", o, err, totals(t, s))
	}
}

// A letter of narrowed credentials keeps its namespace, whatever the pipelines make of it.
func TestReplayConfined(t *testing.T) {
	for _, confined := range []bool{true, false} {
		s := open(t, t.TempDir(), 0)
		l := letter(0)
		l.Confined = confined
		put(t, s, l)
		got := ""
		w := (&way{s: s}).way()
		w.Admit = func(_ context.Context, b *record.Batch) (int, int, error) {
			got, _ = b.Events[0].Get(namespaceField)
			return 1, 0, nil
		}
		if _, err := s.Replay(t.Context(), Filter{}, w); err != nil {
			t.Fatal(err)
		}
		if want := map[bool]string{true: "ns0", false: "moved"}[confined]; got != want {
			t.Errorf("confined %t: namespace %q, want %q", confined, got, want)
		}
	}
}

// A database that is damaged is set aside, and the server can start.
func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 0)
	for n := range 300 {
		put(t, s, letter(n))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, FileName)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 100; i < len(b); i += 512 {
		b[i] ^= 0xff
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, 0)
	put(t, s, letter(1))
	if aside, _ := filepath.Glob(file + ".corrupt-*"); len(aside) == 0 {
		t.Error("the damaged file is not set aside")
	}
}
