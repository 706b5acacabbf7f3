package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logger"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// TestRetention holds that rows out of retention are dropped and counted, and that days out of it go.
func TestRetention(t *testing.T) {
	dir := t.TempDir()
	old, fresh, far := line(1, 1, 10), line(1, 2, 10), line(1, 3, 10)
	old.Time -= 3 * nsPerDay
	far.Time += 3 * nsPerDay
	s := open(t, dir, 0)
	if err := s.Append(context.Background(), &storage.Batch{Seq: 1, Events: []event.Event{old, fresh, far}}); err != nil {
		t.Fatal(err)
	}
	u, err := s.Usage(context.Background())
	if err != nil || u.Rows != 2 || u.Dropped[tooOld] != 0 || u.Dropped[tooFuture] != 1 {
		t.Errorf("usage %+v, %v", u, err)
	}
	if want := time.Unix(0, old.Time).UTC().Format(time.DateOnly); u.OldestDay != want {
		t.Errorf("the oldest day is %s, want %s", u.OldestDay, want)
	}
	_ = s.Close()
	short, err := Open(dir, Options{Log: silent, Retention: 25 * time.Hour, FutureRetention: 5 * 24 * time.Hour, After: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer short.Close()
	if err := short.Append(context.Background(), &storage.Batch{Seq: 2, Events: []event.Event{old, far}}); err != nil {
		t.Fatal(err)
	}
	u, err = short.Usage(context.Background())
	if err != nil || u.Rows != 3 || u.Dropped[tooOld] != 1 || u.Dropped[tooFuture] != 0 {
		t.Errorf("usage %+v, %v", u, err)
	}
	// Nothing goes by itself: that is told, and done, by package retention.
	parts, err := short.Partitions(context.Background(), true)
	if err != nil || len(parts) != 3 || parts[0].Day != time.Unix(0, old.Time).UTC().Format(time.DateOnly) || parts[0].Rows != 1 {
		t.Fatalf("partitions %+v, %v", parts, err)
	}
	if err := short.Remove(context.Background(), parts[0].Name); err != nil {
		t.Fatal(err)
	}
	u, err = short.Usage(context.Background())
	if err != nil || u.Rows != 2 || u.OldestDay != time.Unix(0, fresh.Time).UTC().Format(time.DateOnly) {
		t.Errorf("usage %+v, %v", u, err)
	}
}

// TestClose holds that Close ends the searches under way, waits for them, and that nothing works behind it.
func TestClose(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	now := time.Now().UnixNano()
	for seq := uint64(0); seq < 30; seq += 3 {
		if err := s.Append(context.Background(), killBatch(seq, now)); err != nil {
			t.Fatal(err)
		}
	}
	started, ended := make(chan struct{}, 4), make(chan error, 4)
	for range 4 {
		go func() {
			for n := 0; ; n++ {
				_, err := s.Count(context.Background(), storage.Search{Expr: query.Phrase{Field: "message", Text: "batch"}})
				if n == 0 {
					started <- struct{}{}
				}
				if err != nil {
					ended <- err
					return
				}
			}
		}()
	}
	for range 4 {
		<-started
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if err := <-ended; !errors.Is(err, errClosed) {
			t.Errorf("a search ends with %v", err)
		}
	}
	_, err := s.Usage(context.Background())
	for _, err := range []error{err, s.Append(context.Background(), killBatch(99, now)), s.Sync(context.Background())} {
		if !errors.Is(err, errClosed) {
			t.Errorf("behind Close: %v", err)
		}
	}
}

// TestSync holds that Sync comes back in a few flush intervals, at once when there is nothing new, and obeys its context.
func TestSync(t *testing.T) {
	s := open(t, t.TempDir(), 0).(*Store)
	defer s.Close()
	if err := s.Append(context.Background(), killBatch(0, time.Now().UnixNano())); err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Sync(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("Sync cancelled: %v", err)
	}
	begin := time.Now()
	if err := s.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	st := s.stats()
	if st.InmemoryRowsCount != 0 || st.SmallPartRowsCount == 0 {
		t.Errorf("after Sync %d rows are in memory alone", st.InmemoryRowsCount)
	}
	t.Logf("Sync took %v", time.Since(begin))
	if err := s.Sync(gone); err != nil {
		t.Errorf("Sync without anything new: %v", err)
	}
}

// TestFold holds that what cannot be a column is kept as JSON text beside what the decoder has folded.
func TestFold(t *testing.T) {
	f := func(own string, want string, fields ...event.Field) {
		t.Helper()
		e := event.Event{ID: "id", Time: 1, Position: ledger.Position{Source: "s", From: 1, To: 2}, Fields: fields}
		if own != "" {
			e.Put(event.OverflowField, own)
		}
		var b rowBuilder
		row, _ := b.build("7", &e)
		got := ""
		for _, c := range row {
			if c.Name == event.OverflowField {
				got = query.FieldValue(c.Value)
			}
		}
		if got != want || got != "" && !json.Valid([]byte(got)) {
			t.Errorf("overflow %s, want %s", got, want)
		}
	}
	f("", "", event.Field{Name: "a", Value: "b"})
	f(`{"x":1}`, `{"x":1}`)
	f("", `{"_id":"mine"}`, event.Field{Name: "_id", Value: "mine"})
	f(`{"x":1}`, `{"x":1,"tally.to":"\"9"}`, event.Field{Name: "tally.to", Value: `"9`})
	f(`{}`, `{"a*":"1","tally.overflow":"{}"}`, event.Field{Name: "a*", Value: "1"})
	f(`text`, `{"@timestamp":"1","tally.overflow":"text"}`, event.Field{Name: "@timestamp", Value: "1"})
	f("", `{"`+strings.Repeat("n", 129)+`":"1"}`, event.Field{Name: strings.Repeat("n", 129), Value: "1"})
}

// TestCut holds that a row beyond the bound of logstorage is cut to it, between characters.
func TestCut(t *testing.T) {
	var b rowBuilder
	e := event.Event{ID: "id", Fields: []event.Field{{Name: "a", Value: strings.Repeat("失", 600_000)}, {Name: "b", Value: strings.Repeat("é", 600_000)}}}
	row, _ := b.build("1", &e)
	marked := false
	for _, c := range row {
		marked = marked || c.Name == event.TruncatedField
		if c.Name != colGlue && strings.ToValidUTF8(c.Value, "") != c.Value {
			t.Errorf("%s is cut inside a character", c.Name)
		}
	}
	if size := rowSize(row); size > maxRow || size < maxRow-20_000 || !marked {
		t.Errorf("the row has %d bytes, marked %v", size, marked)
	}
}

// TestTornTenants holds that a torn line at the end of the tenants is forgotten, and that anything else is an error.
func TestTornTenants(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tenants")
	f := func(text, want string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var list tenants
		err := list.open(path)
		if err == nil {
			err = list.add(5)
		}
		b, _ := os.ReadFile(path)
		if got := string(b); err == nil && got != want || (err != nil) != (want == "") {
			t.Errorf("%q becomes %q, %v", text, got, err)
		}
	}
	f("", "5\n")
	f("7\n5\n", "7\n5\n")
	f("7\n4294967295\n12", "7\n4294967295\n5\n")
	f("7\nx\n", "")
	f("4294967296\n", "")
}

// TestLogs holds that what logstorage says comes out of the logger of the store.
func TestLogs(t *testing.T) {
	var out bytes.Buffer
	s, err := Open(t.TempDir(), Options{Log: slog.New(slog.NewTextHandler(&out, nil))})
	if err != nil {
		t.Fatal(err)
	}
	logger.Warnf("the %s is full", "moon")
	routeLogs(silent)
	_ = s.Close()
	if got := out.String(); !strings.Contains(got, `level=WARN msg="the moon is full" from=`) || strings.Count(got, "\n") != 1 {
		t.Errorf("logged %q", got)
	}
}

// FuzzCursor holds that no text makes a cursor do harm, and that what is taken comes out the same.
func FuzzCursor(f *testing.F) {
	f.Add(formatCursor(key{time: 1, from: 2, id: "x"}, 7))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := parseCursor(text, 7)
		if err != nil {
			return
		}
		again, err := parseCursor(formatCursor(k, 7), 7)
		if err != nil || again != k {
			t.Errorf("%q: %v becomes %v, %v", text, k, again, err)
		}
	})
}

// TestManyNames holds that rows are not lost where the batches of a second bring a stream more names than a block can have.
func TestManyNames(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	defer s.Close()
	const batches, each = 60, 90
	for seq := range uint64(batches) {
		e := line(seq, 0, 10)
		for n := range each {
			e.Put(fmt.Sprintf("field-%d-%d", seq, n), "v")
		}
		if err := s.Append(context.Background(), &storage.Batch{Seq: seq, Events: []event.Event{e}}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Count(context.Background(), storage.Search{}); err != nil || n != batches {
		t.Errorf("%d of %d rows are there: %v", n, batches, err)
	}
	fields, err := s.Fields(context.Background(), storage.Search{})
	if err != nil || len(fields) != batches*each+6 {
		t.Errorf("%d fields: %v", len(fields), err)
	}
}
