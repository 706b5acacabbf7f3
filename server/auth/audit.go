package auth

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

const (
	maxQueued    = 4096 // entries that wait to be written
	maxBatch     = 512  // entries in one transaction
	maxAuditRows = 1_000_000
	maxPruned    = 20_000 // entries removed in one transaction, once a minute; far more than come in
	maxDetail    = 1024   // bytes
)

// AuditEntry is one line of the audit log.
type AuditEntry struct {
	ID        int64  `json:"id"`
	Time      Millis `json:"time"`
	Tenant    string `json:"tenant"`
	Principal string `json:"principal"` // Principal.Name
	Remote    string `json:"remote"`    // address, without the port
	Action    string `json:"action"`    // dotted words, as token.create
	Detail    string `json:"detail"`
	Server    string `json:"server,omitempty"` // where it happened, where there are several; each counts its own ids

	tenant uint32
}

// auditLog takes entries at once and writes them behind the back of the requests. When they come faster than the disk takes
// them, what does not fit is counted, and the count becomes an entry. After a crash the last few may be missing.
type auditLog struct {
	s       *Store
	queue   chan AuditEntry
	flush   chan chan struct{} // a request to write what is queued; the channel in it is closed when that is done
	dropped atomic.Int64
}

func newAuditLog(s *Store) *auditLog {
	return &auditLog{s: s, queue: make(chan AuditEntry, maxQueued), flush: make(chan chan struct{})}
}

// Audit notes that p did something, from the address remote. It never waits. The detail must hold no secret.
func (s *Store) Audit(p Principal, remote, action, detail string) {
	if len(detail) > maxDetail {
		detail = detail[:maxDetail]
	}
	e := AuditEntry{
		Time: millis(s.opt.Now()), tenant: p.TenantID, Principal: p.Name, Remote: remote, Action: action,
		Detail: strings.ToValidUTF8(detail, "\uFFFD"),
	}
	select {
	case s.audit.queue <- e:
	default:
		s.audit.dropped.Add(1)
	}
}

// run writes entries until the store stops, and then what is left.
func (l *auditLog) run() {
	for {
		select {
		case e := <-l.queue:
			l.drain([]AuditEntry{e})
		case done := <-l.flush:
			l.drain(nil)
			close(done)
		case <-l.s.stop:
			l.drain(nil)
			return
		}
	}
}

// drain writes batch and what else is queued by now.
func (l *auditLog) drain(batch []AuditEntry) {
	for n := len(l.queue); n > 0 || len(batch) > 0; batch = batch[:0] {
		for ; n > 0 && len(batch) < maxBatch; n-- {
			batch = append(batch, <-l.queue) // this goroutine alone receives, so they are there
		}
		if err := l.write(batch); err != nil {
			l.dropped.Add(int64(len(batch)))
			l.s.opt.Log.Error("cannot write the audit log", "entries", len(batch), "error", err)
		}
	}
	if n := l.dropped.Swap(0); n > 0 {
		e := AuditEntry{
			Time: millis(l.s.opt.Now()), Principal: "tally", Action: "audit.dropped",
			Detail: fmt.Sprintf("%d entries could not be written", n),
		}
		if err := l.write([]AuditEntry{e}); err != nil {
			l.dropped.Add(n)
			l.s.opt.Log.Error("cannot write to the audit log how many entries are missing", "missing", n, "error", err)
		}
	}
}

func (l *auditLog) write(batch []AuditEntry) error {
	return l.s.write(context.Background(), func(ctx context.Context, tx *sql.Tx) error {
		insert, err := tx.PrepareContext(ctx, "INSERT INTO audit (time, tenant, principal, remote, action, detail) VALUES (?, ?, ?, ?, ?, ?)")
		if err != nil {
			return err
		}
		defer insert.Close()
		for _, e := range batch {
			if _, err := insert.ExecContext(ctx, e.Time, e.tenant, e.Principal, e.Remote, e.Action, e.Detail); err != nil {
				return err
			}
		}
		return nil
	})
}

// prune removes entries that are too old, and the oldest where there are too many all the same.
func (l *auditLog) prune(ctx context.Context) error {
	oldest := millis(l.s.opt.Now().Add(-l.s.opt.AuditAge))
	err := l.s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM audit WHERE id IN
		(SELECT id FROM audit WHERE time < ? OR id <= (SELECT max(id) FROM audit) - ? LIMIT ?)`, oldest, maxAuditRows, maxPruned)
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot prune the audit log: %w", err)
	}
	return nil
}

// AuditEntries returns up to limit entries that by may see, newest first, with an id below before (0: from the newest on).
// It sees every Audit that has returned.
func (s *Store) AuditEntries(ctx context.Context, by Principal, before int64, limit int) ([]AuditEntry, error) {
	if !by.mayManage(Principal{TenantID: by.TenantID}) {
		return nil, forbidden("only an admin whom no scope narrows may read the audit log")
	}
	done := make(chan struct{})
	select {
	case s.audit.flush <- done:
		<-done
	case <-s.stop:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	query, args := "SELECT id, time, tenant, principal, remote, action, detail FROM audit WHERE (? = 0 OR id < ?)", []any{before, before}
	if !by.AllTenants() {
		query, args = query+" AND tenant = ?", append(args, by.TenantID)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	all := []AuditEntry{}
	err := s.each(ctx, query+" ORDER BY id DESC LIMIT ?", func(scan scan) error {
		var e AuditEntry
		if err := scan(&e.ID, &e.Time, &e.tenant, &e.Principal, &e.Remote, &e.Action, &e.Detail); err != nil {
			return err
		}
		all = append(all, e)
		return nil
	}, append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("cannot read the audit log: %w", err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i := range all {
		all[i].Tenant = s.numbers[all[i].tenant].Name
	}
	return all, nil
}
