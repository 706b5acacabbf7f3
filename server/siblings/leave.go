package siblings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tallylog/tally/server/storage/elasticsearch"
)

// absent returns the servers that are, by their ids.
func (l *Leases) absent() map[string]Absent {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.table.Absent // a table that was adopted is not changed any more
}

// leave gives back what this server holds, so that the others need not wait. It is called when nothing is admitted any more; rest tells
// whether something of what was is not in Elasticsearch.
func (l *Leases) leave(ctx context.Context, rest bool) error {
	since := int64(0)
	if rest {
		since = l.now().UnixMilli()
	}
	l.step.Lock()
	defer l.step.Unlock()
	l.mu.Lock()
	l.until, l.held, l.ready = time.Time{}, [buckets]bool{}, [buckets]bool{}
	l.wake()
	l.mu.Unlock()
	for range 20 {
		doc, err := l.docs.Get(ctx, tableID)
		if err != nil {
			return fmt.Errorf("cannot give back the lease of this server: %w", err)
		}
		t, err := parseTable(doc.Body)
		if err != nil {
			return err
		}
		t.remove(l.id, since)
		for b, want := range t.wanted() {
			if t.Holders[b] == "" {
				t.Holders[b] = want
			}
		}
		body, err := json.Marshal(t)
		if err != nil {
			return fmt.Errorf("cannot write the table of servers: %w", err)
		}
		if _, err = l.docs.Put(ctx, tableID, body, doc.Version); !errors.Is(err, elasticsearch.ErrChanged) {
			return err
		}
	}
	return elasticsearch.ErrChanged
}
