package deadletter

import (
	"context"
	"database/sql"
	"strings"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/internal/failpoint"
	"github.com/tallylog/tally/server/record"
)

// Bounds of the texts that a list shows.
const (
	maxReason  = 1024
	maxMessage = 256
)

// The fields that the scopes of credentials are on.
const (
	namespaceField = "kubernetes.namespace"
	clusterField   = "orchestrator.cluster.name"
)

// Put is Sink's.
func (s *Store) Put(ctx context.Context, letters []Letter) error {
	if len(letters) == 0 {
		return nil
	}
	failpoint.Here("letters.put.before")
	defer failpoint.Here("letters.put.after")
	return s.write(ctx, func(tx *sql.Tx) error {
		tenants := map[uint32]*change{}
		insert, err := tx.PrepareContext(ctx, `INSERT INTO letters (id, tenant, client, time, stage, by, reason, source, "from", "to", namespace, cluster, message, confined, times, size, event)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?) ON CONFLICT (id) DO NOTHING`)
		if err != nil {
			return err
		}
		defer insert.Close()
		// What is kept of one that is there is the event as it came first: a replay has been through the pipelines.
		again, err := tx.PrepareContext(ctx, "UPDATE letters SET time = ?, stage = ?, by = ?, reason = ?, times = times + 1 WHERE id = ? AND tenant = ? AND client = ?")
		if err != nil {
			return err
		}
		defer again.Close()
		for i := range letters {
			l := &letters[i]
			if l.ID == "" {
				l.ID = identify(l)
			}
			c := tenants[l.Tenant]
			if c == nil {
				c = &change{}
				tenants[l.Tenant] = c
			}
			e := &l.Event
			get := func(name string) string { v, _ := e.Get(name); return v }
			blob := record.Append(nil, &record.Batch{Tenant: l.Tenant, Client: l.Client, Received: l.Time, Events: []event.Event{*e}})
			reason := clip(l.Reason, maxReason)
			res, err := insert.ExecContext(ctx, l.ID, l.Tenant, l.Client, l.Time, l.Stage, l.By, reason, e.Position.Source, e.Position.From, e.Position.To,
				get(namespaceField), get(clusterField), clip(get(event.Message), maxMessage), l.Confined, len(blob), blob)
			if err != nil {
				return err
			}
			c.rejected++
			if n, err := res.RowsAffected(); err != nil {
				return err
			} else if n > 0 {
				c.letters++
				c.bytes += int64(len(blob))
			} else if _, err := again.ExecContext(ctx, l.Time, l.Stage, l.By, reason, l.ID, l.Tenant, l.Client); err != nil {
				return err
			}
		}
		for tenant, c := range tenants {
			if err := s.evict(ctx, tx, tenant, c); err != nil {
				return err
			}
			if err := c.apply(ctx, tx, tenant); err != nil {
				return err
			}
		}
		return nil
	})
}

func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

// change is what a transaction does to the totals of a tenant.
type change struct{ letters, bytes, rejected, replayed, dropped, evicted int64 }

func (c *change) apply(ctx context.Context, tx *sql.Tx, tenant uint32) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO totals VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (tenant) DO UPDATE SET
		letters = letters + ?2, bytes = bytes + ?3, rejected = rejected + ?4, replayed = replayed + ?5, dropped = dropped + ?6, evicted = evicted + ?7`,
		tenant, c.letters, c.bytes, c.rejected, c.replayed, c.dropped, c.evicted)
	return err
}

// evict removes the oldest letters of a tenant while they are over the bound; the newest stays, whatever its size.
func (s *Store) evict(ctx context.Context, tx *sql.Tx, tenant uint32, c *change) error {
	bytes := c.bytes
	var before int64
	err := tx.QueryRowContext(ctx, "SELECT bytes FROM totals WHERE tenant = ?", tenant).Scan(&before)
	if err != nil && err != sql.ErrNoRows {
		return err
	}
	if bytes += before; bytes <= s.o.MaxBytes {
		return nil
	}
	rows, err := tx.QueryContext(ctx, "SELECT seq, size FROM letters WHERE tenant = ?1 AND seq < (SELECT max(seq) FROM letters WHERE tenant = ?1) ORDER BY seq", tenant)
	if err != nil {
		return err
	}
	defer rows.Close()
	upto := int64(-1)
	for bytes > s.o.MaxBytes && rows.Next() {
		var seq, size int64
		if err := rows.Scan(&seq, &size); err != nil {
			return err
		}
		upto = seq
		bytes -= size
		c.letters--
		c.bytes -= size
		c.evicted++
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if err := rows.Close(); err != nil || upto < 0 {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM letters WHERE tenant = ? AND seq <= ?", tenant, upto); err != nil {
		return err
	}
	s.o.Log.Warn("dead letters are full; the oldest are gone", "tenant", tenant, "letters", c.evicted)
	return nil
}
