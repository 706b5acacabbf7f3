package transfer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/retention"
	"github.com/tallylog/tally/server/storage"
	"github.com/tallylog/tally/server/storage/embedded"
)

var rules = retention.Rules{{Name: "odd", Namespace: "ns1", Limit: retention.Limit{Age: 50 * 24 * time.Hour}}}

func open(t testing.TB, dir string, o embedded.Options) *embedded.Store {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	s, err := embedded.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fill makes a store of three tenants and three days, with positions, joined lines, and events without a position.
func fill(t testing.TB, dir string, batches int) (rows int64) {
	t.Helper()
	s := open(t, dir, embedded.Options{})
	now := time.Now().UTC()
	for seq := range uint64(batches) {
		b := &storage.Batch{Seq: seq + 1, Tenant: uint32(seq%3) * 2}
		for n := range 700 {
			e := event.Event{Time: now.AddDate(0, 0, -n%3).UnixNano() + int64(n), ID: fmt.Sprintf("plain-%d-%d", seq, n)}
			if n%5 > 0 {
				from := int64(seq)*10_000 + int64(n)*10
				e.Position = ledger.Position{Source: "file:s", From: from, To: from + 10}
				if n%5 == 1 {
					e.Position.Ranges = []ledger.Range{{From: from, To: from + 2}, {From: from + 5, To: from + 10}}
				}
				e.ID = e.Position.ID()
			}
			e.Put(event.Message, fmt.Sprintf("line %d 错误abc", n))
			e.Put("kubernetes.namespace", fmt.Sprint("ns", n%2))
			e.Put(storage.ClientField, "token:a")
			b.Events = append(b.Events, e)
		}
		if err := s.Append(context.Background(), b); err != nil {
			t.Fatal(err)
		}
		rows += 700
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// same holds that two stores give the same rows.
func same(t *testing.T, from *embedded.Store, to storage.Searcher) {
	t.Helper()
	for _, tenant := range from.Tenants() {
		var lists [2][]event.Event
		for i, s := range []storage.Searcher{from, to} {
			_, err := s.Rows(t.Context(), storage.RowsRequest{Search: storage.Search{Tenant: tenant}, Limit: 1_000_000}, func(e *event.Event) error {
				x := event.Event{ID: strings.Clone(e.ID), Time: e.Time}
				for _, f := range e.Fields {
					x.Put(strings.Clone(f.Name), strings.Clone(f.Value))
				}
				lists[i] = append(lists[i], x)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if len(lists[0]) == 0 || !reflect.DeepEqual(lists[0], lists[1]) {
			t.Errorf("tenant %d: %d rows and %d, or they differ", tenant, len(lists[0]), len(lists[1]))
		}
	}
}

func compared(t *testing.T, from *embedded.Store, to storage.Searcher, p Progress) (lacks int) {
	t.Helper()
	counts, err := Compare(t.Context(), from, to, p)
	if err != nil || len(counts) < 9 {
		t.Fatalf("counts %+v, %v", counts, err)
	}
	for _, c := range counts {
		if c.Lacks() {
			lacks++
		}
	}
	return lacks
}

const (
	killFrom = "TALLY_TEST_COPY_FROM"
	killTo   = "TALLY_TEST_COPY_TO"
)

// TestCopyKilled kills a copy again and again; the one that comes to its end has everything once.
func TestCopyKilled(t *testing.T) {
	if dir := os.Getenv(killFrom); dir != "" {
		copyUntilKilled(t, dir, os.Getenv(killTo))
		return
	}
	dir := t.TempDir()
	fromDir, toDir := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := os.Mkdir(toDir, 0o700); err != nil {
		t.Fatal(err)
	}
	rows := fill(t, fromDir, 120)
	kills := 0
	for ; kills < 5; kills++ {
		c := exec.Command(os.Args[0], "-test.run=^TestCopyKilled$")
		c.Env = append(os.Environ(), killFrom+"="+fromDir, killTo+"="+toDir)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "batch ") {
				if n++; n > kills { // each gets further
					_ = c.Process.Kill()
				}
			}
		}
		if c.Wait() == nil {
			break
		}
	}
	from := open(t, fromDir, embedded.Options{})
	defer from.Close()
	file := filepath.Join(toDir, "progress")
	p, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	to := open(t, filepath.Join(toDir, "store"), embedded.Options{After: p.Seq, Rules: rules})
	defer to.Close()
	if !p.Done && compared(t, from, to, p) == 0 {
		t.Error("half a copy is not noticed")
	}
	if p, err = Copy(t.Context(), from, to, p, Options{File: file}); err != nil || !p.Done || p.Events != rows {
		t.Fatalf("%+v, %v; %d rows are there", p, err, rows)
	}
	if n := compared(t, from, to, p); n > 0 {
		t.Errorf("%d days are not whole", n)
	}
	same(t, from, to)
	t.Logf("%d kills, %d rows", kills, rows)
}

// told is a store that says when it has taken a batch.
type told struct{ storage.Store }

func (s told) Append(ctx context.Context, b *storage.Batch) error {
	err := s.Store.Append(ctx, b)
	fmt.Printf("batch %d\n", b.Seq)
	return err
}

func copyUntilKilled(t *testing.T, fromDir, toDir string) {
	file := filepath.Join(toDir, "progress")
	p, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	from := open(t, fromDir, embedded.Options{})
	to := open(t, filepath.Join(toDir, "store"), embedded.Options{After: p.Seq, Rules: rules})
	if _, err := Copy(t.Context(), from, told{to}, p, Options{File: file, Sync: time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(to.Close(), from.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestRejected: what the target is too short for is told, not taken for lost.
func TestRejected(t *testing.T) {
	dir := t.TempDir()
	fill(t, filepath.Join(dir, "from"), 6)
	from := open(t, filepath.Join(dir, "from"), embedded.Options{})
	defer from.Close()
	to := open(t, filepath.Join(dir, "to"), embedded.Options{Retention: 36 * time.Hour})
	defer to.Close()
	p, err := Copy(t.Context(), from, to, Progress{}, Options{File: filepath.Join(dir, "progress")})
	if err != nil {
		t.Fatal(err)
	}
	if n := compared(t, from, to, p); n > 0 || len(p.Rejected) != 3 || p.Rejected[0].Events != 466 {
		t.Errorf("%d days are not whole; rejected %+v", n, p.Rejected)
	}
	if n := compared(t, from, to, Progress{}); n != 3 {
		t.Errorf("without what was rejected %d days are not whole", n)
	}
}
