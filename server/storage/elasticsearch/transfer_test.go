package elasticsearch

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/storage"
	"github.com/tallylog/tally/server/storage/embedded"
	"github.com/tallylog/tally/server/storage/transfer"
)

// cutOff is a store whose connection to the copy ends after some batches.
type cutOff struct {
	*Store
	left int
}

func (c *cutOff) Append(ctx context.Context, b *storage.Batch) error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return c.Store.Append(ctx, b)
}

// TestCopyFromEmbedded moves a store of two tenants and three days into Elasticsearch, cut off once in the middle.
func TestCopyFromEmbedded(t *testing.T) {
	dir := t.TempDir()
	from, err := embedded.Open(filepath.Join(dir, "from"), embedded.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	const rows = 24_000
	for seq := range uint64(rows / 1000) {
		b := &storage.Batch{Seq: seq + 1, Tenant: uint32(seq % 2)}
		for n := range 1000 {
			e := event.Event{Time: time.Now().AddDate(0, 0, -n%3).UnixNano(), Position: ledger.Position{Source: "s", From: int64(seq)*1000 + int64(n)}}
			e.Position.To = e.Position.From + 1
			e.ID = e.Position.ID()
			e.Put(event.Message, fmt.Sprint("line ", n))
			e.Put(storage.ClientField, "token:a")
			b.Events = append(b.Events, e)
		}
		if err := from.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	to := open(t, options(dir))
	file := filepath.Join(dir, "progress")
	if _, err := transfer.Copy(t.Context(), from, &cutOff{to, 2}, transfer.Progress{}, transfer.Options{File: file, Sync: time.Nanosecond}); err == nil {
		t.Fatal("the first copy was not cut off")
	}
	p, err := transfer.Load(file)
	if err != nil || p.Done {
		t.Fatalf("%+v, %v", p, err)
	}
	if p, err = transfer.Copy(t.Context(), from, to, p, transfer.Options{File: file}); err != nil || p.Events != rows {
		t.Fatalf("%+v, %v", p, err)
	}
	counts, err := transfer.Compare(t.Context(), from, to, p)
	if err != nil || len(counts) < 6 {
		t.Fatalf("%+v, %v", counts, err)
	}
	for _, c := range counts {
		if c.From != c.To {
			t.Errorf("%+v", c)
		}
	}
	id := ledger.Position{Source: "s", From: 5, To: 6}
	if has, err := to.Has(t.Context(), 0, []string{id.ID()}); err != nil || !has[id.ID()] {
		t.Errorf("after the move an event is not known by its id: %v", err)
	}
}
