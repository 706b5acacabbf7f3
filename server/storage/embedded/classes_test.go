package embedded

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/retention"
	"github.com/tallylog/tally/server/storage"
	"github.com/tallylog/tally/server/storage/storagetest"
)

// byTail puts every event into one of three classes, by something that all events of the suite have.
var byTail = retention.Rules{
	{Name: "a", Stream: "*1", Limit: retention.Limit{Age: 400 * 24 * time.Hour}},
	{Name: "b", Stream: "*2", Limit: retention.Limit{Size: 1 << 40}},
}

// TestClassesAnswerAlike runs the whole suite over a store whose rows lie in several classes: they must answer as one.
func TestClassesAnswerAlike(t *testing.T) {
	storagetest.Run(t, func(t *testing.T, dir string, after uint64) storage.Store {
		rules := slices.Clone(byTail)
		rules[0].Age, rules[1].Age = 30*24*time.Hour, 30*24*time.Hour
		s, err := Open(dir, Options{After: after, Retention: rules[0].Age, Log: silent, Rules: rules})
		if err != nil {
			t.Fatal(err)
		}
		s.chosen = func(e *event.Event) int { return int(e.Position.From+e.Time/1e9) % 3 }
		return s
	})
}

func classed(seq uint64, n int, at time.Time, stream string) event.Event {
	e := event.Event{Time: at.UnixNano(), Position: ledger.Position{Source: "s", From: int64(seq)*1000 + int64(n)}}
	e.Position.To = e.Position.From + 1
	e.ID = e.Position.ID()
	e.Put(event.Message, fmt.Sprint("line ", n))
	e.Put(retention.IndexField, stream)
	e.Put("kubernetes.namespace", fmt.Sprint("ns", n%2))
	return e
}

func mustOpen(t *testing.T, dir string, o Options) *Store {
	t.Helper()
	o.Log = silent
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func count(t *testing.T, s *Store, want int64) {
	t.Helper()
	if n, err := s.Count(t.Context(), storage.Search{}); err != nil || n != want {
		t.Errorf("%d rows, want %d: %v", n, want, err)
	}
}

// TestRulesChange: records that were stored in part before the rules changed are fed again; no row is doubled, whatever class the new
// rules would give it, also when the process dies and the rules change again before the next checkpoint.
func TestRulesChange(t *testing.T) {
	dir := t.TempDir()
	batch := func(seq uint64) *storage.Batch {
		b := &storage.Batch{Seq: seq}
		for n := range 30 {
			b.Events = append(b.Events, classed(seq, n, time.Now().Add(time.Duration(n%3-1)*24*time.Hour), fmt.Sprint("x", n%3)))
		}
		return b
	}
	batches := map[uint64]*storage.Batch{}
	all := [][]retention.Rule{nil, byTail, {{Name: "c", Stream: "x*", Limit: retention.Limit{Age: 1e15}}}, byTail[:1], nil}
	for round, rules := range all {
		s := mustOpen(t, dir, Options{After: 0, Rules: rules})
		for seq := uint64(1); seq <= uint64(round*2+2); seq++ {
			if batches[seq] == nil {
				batches[seq] = batch(seq)
			}
			b := *batches[seq]
			if err := s.Append(t.Context(), &b); err != nil {
				t.Fatal(err)
			}
		}
		count(t, s, int64(round*2+2)*30)
		ids := []string{}
		for _, b := range batches {
			for _, e := range b.Events {
				ids = append(ids, e.ID)
			}
		}
		if has, err := s.Has(t.Context(), 0, ids); err != nil || len(has) != len(ids) {
			t.Errorf("round %d: %d of %d ids are there: %v", round, len(has), len(ids), err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// Behind a checkpoint the old rules are forgotten, the rows are not, and classes without a rule keep their limit.
	s := mustOpen(t, dir, Options{After: 10})
	defer s.Close()
	count(t, s, 300)
	if n := len(s.plan.Epochs); n != 1 {
		t.Errorf("%d epochs are kept", n)
	}
	limits := s.Limits()
	if limits["a"].Age != byTail[0].Age || limits["b"].Size != byTail[1].Size || limits["c"].Age != 1e15 {
		t.Errorf("limits %+v", limits)
	}
}

// TestRemove: a day of one class goes, nothing else does, searches see the rest, and an empty class without a rule goes at the next start.
func TestRemove(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{Rules: byTail})
	now := time.Now().UTC()
	b := &storage.Batch{Seq: 1}
	for n := range 90 {
		b.Events = append(b.Events, classed(1, n, now.AddDate(0, 0, -(n/3)%3), fmt.Sprint("x", n%3)))
	}
	if err := s.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	parts, err := s.Partitions(t.Context(), true)
	if err != nil || len(parts) != 9 {
		t.Fatalf("%d partitions: %v", len(parts), err)
	}
	rows := int64(0)
	for _, p := range parts {
		sum := int64(0)
		for _, x := range p.Shares {
			sum += x.Rows
		}
		if p.Rows != 10 || sum != 10 || p.Bytes <= 0 || len(p.Shares) != 2 {
			t.Errorf("partition %+v", p)
		}
		rows += p.Rows
	}
	if rows != 90 {
		t.Errorf("the partitions have %d rows", rows)
	}
	e := classed(1, 1, now, "x1")
	if h := s.Horizon(0, &e); time.Unix(0, h).After(now.AddDate(0, 0, -300)) {
		t.Errorf("the horizon is %v though nothing was removed", time.Unix(0, h))
	}
	var name string
	for _, p := range parts {
		if p.Class == "a" && p.Day < now.AddDate(0, 0, -1).Format(time.DateOnly) {
			name = p.Name
		}
	}
	for range 2 { // the second time there is none
		if err := s.Remove(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		count(t, s, 80)
	}
	if h := time.Unix(0, s.Horizon(0, &e)).UTC(); h.Format(time.DateOnly) != now.AddDate(0, 0, -1).Format(time.DateOnly) {
		t.Errorf("the horizon is %v after the day before yesterday was removed", h)
	}
	for _, bad := range []string{"", "a/x", "none/20260101", "a/../../x"} {
		if err := s.Remove(t.Context(), bad); err == nil {
			t.Errorf("removing %q is no error", bad)
		}
	}
	for _, p := range parts {
		if p.Class == "b" {
			if err := s.Remove(t.Context(), p.Name); err != nil {
				t.Fatal(err)
			}
		}
	}
	count(t, s, 50)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // at the first start without its rule a class may still be wanted for records that are fed again
		s = mustOpen(t, dir, Options{After: 1})
		count(t, s, 50)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "classes", "*")); len(left) != 1 || !strings.HasSuffix(left[0], "/a") {
		t.Errorf("classes %v are left", left)
	}
	if _, err := os.Stat(filepath.Join(dir, "trash")); err == nil {
		t.Error("the trash is left")
	}
}

// TestRemoveWhileUsed removes days while rows come and searches run.
func TestRemoveWhileUsed(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	defer s.Close()
	now := time.Now().UTC()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	appended := make(chan uint64, 1)
	go func() {
		seq := uint64(0)
		for ctx.Err() == nil {
			seq++
			b := &storage.Batch{Seq: seq}
			for n := range 30 {
				b.Events = append(b.Events, classed(seq, n, now.AddDate(0, 0, -n%2), "x"))
			}
			if err := s.Append(t.Context(), b); err != nil {
				done <- err
				return
			}
		}
		appended <- seq
		done <- nil
	}()
	go func() {
		for ctx.Err() == nil {
			if _, err := s.Count(t.Context(), storage.Search{}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for range 5 {
		time.Sleep(200 * time.Millisecond)
		if err := s.Remove(t.Context(), "default/"+now.AddDate(0, 0, -1).Format(dayName)); err != nil {
			t.Error(err)
		}
	}
	cancel()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	seq := <-appended
	today := now.Truncate(24 * time.Hour).UnixNano()
	if n, err := s.Count(t.Context(), storage.Search{Start: today}); err != nil || n != int64(seq)*15 {
		t.Errorf("%d rows of today, want %d: %v", n, int64(seq)*15, err)
	}
}
