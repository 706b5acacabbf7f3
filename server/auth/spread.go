package auth

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Other servers hear of a change by looking twice a second. That is late for a browser whose next request goes to another server, and for
// whoever has revoked a token: so they are also told to look, before the change is answered.

const (
	// tellTime bounds the wait for servers that are told of a change. One that does not answer looks by itself.
	tellTime = 2 * time.Second
	// tombstoneAge is how much longer than a session can last its deletion is remembered, for servers that were away.
	tombstoneAge = 24 * time.Hour
	forgetEvery  = time.Hour
)

// Others is what a store tells to the other servers.
type Others interface {
	// Look makes the others Pull now. It returns when they have, or with ctx.
	Look(ctx context.Context)
	// Used hands them what their Used is to be called with.
	Used(ctx context.Context, uses []byte)
}

// Tell makes the store tell the others from now on.
func (s *Store) Tell(o Others) {
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	s.shared.others = o
}

// changing holds the lock change until the function that it returns is called; then the others are told of what was written.
func (s *Store) changing(ctx context.Context) func() {
	s.change.Lock()
	return func() {
		s.change.Unlock()
		s.tell(ctx)
	}
}

// tell tells the others to look, if something was written since they were told last. No lock may be held: they may be writing too.
func (s *Store) tell(ctx context.Context) {
	if s.shared == nil {
		return
	}
	s.shared.mu.Lock()
	o := s.shared.others
	if !s.shared.news {
		o = nil
	}
	s.shared.news = false
	s.shared.mu.Unlock()
	if o == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTime)
	defer cancel()
	o.Look(ctx)
}

// uses are times of last use, in milliseconds since 1970: by id of the token, and by hash of the session in hex.
type uses struct {
	Tokens   map[string]int64 `json:"tokens"`
	Sessions map[string]int64 `json:"sessions"`
}

// tellUse tells the others when tokens and sessions were used here, so that none ends a session that is in use elsewhere.
func (s *Store) tellUse(ctx context.Context, u uses) error {
	if s.shared == nil || len(u.Tokens)+len(u.Sessions) == 0 {
		return nil
	}
	s.shared.mu.Lock()
	o := s.shared.others
	s.shared.mu.Unlock()
	if o == nil {
		return nil
	}
	b, err := json.Marshal(u)
	if err != nil {
		return fmt.Errorf("cannot write the times of last use: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	o.Used(ctx, b)
	return nil
}

// Used notes what another server tells of the use of tokens and sessions. Times of the future are taken for now.
func (s *Store) Used(b []byte) error {
	var u uses
	if err := json.Unmarshal(b, &u); err != nil {
		return fmt.Errorf("cannot understand when tokens and sessions were used: %w", err)
	}
	now := millis(s.opt.Now())
	s.mu.RLock()
	defer s.mu.RUnlock()
	for id, at := range u.Tokens {
		if t := s.tokenIDs[id]; t != nil {
			t.used.heard(min(Millis(at), now))
		}
	}
	for id, at := range u.Sessions {
		raw, err := hex.DecodeString(id)
		if err != nil || len(raw) != len(hash{}) {
			return fmt.Errorf("cannot understand the session %.80q", id)
		}
		if e := s.sessions[hash(raw)]; e != nil {
			e.used.heard(min(Millis(at), now))
		}
	}
	return nil
}

// heard notes a use that another server tells of; it is not told again.
func (u *lastUse) heard(at Millis) {
	if u.load() < at {
		u.at.Store(int64(at))
		u.told.Store(int64(at))
	}
}

// dropStrangers removes the sessions of the file that the documents do not have: they ended while this server was away, and that is
// remembered no longer.
func (s *Store) dropStrangers(ctx context.Context) error {
	defer s.changing(ctx)()
	h := s.shared
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.rows) == 0 { // this server is the first
		return nil
	}
	err := s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		now, err := rowsOf(ctx, tx)
		if err != nil {
			return err
		}
		for id, r := range now {
			if _, there := h.rows[id]; r.Table != sessionsTable || there {
				continue
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM sessions WHERE lower(hex(hash)) = ?", r.Key); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.reload(ctx)
}

// forgetSessions removes what remembers sessions that ended so long ago that no server can still take them for good.
func (s *Store) forgetSessions(ctx context.Context) error {
	h := s.shared
	if h == nil {
		return nil
	}
	now := s.opt.Now()
	h.mu.Lock()
	early := now.Sub(h.forgot) < forgetEvery
	h.mu.Unlock()
	if early {
		return nil
	}
	before := now.Add(-s.opt.SessionMax - tombstoneAge).UnixMilli()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := h.docs.Prune(ctx, before); err != nil {
		return fmt.Errorf("cannot forget sessions that ended: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forgot = now
	for id, k := range h.rows {
		if k.row.Deleted && k.row.At > 0 && k.row.At < before {
			delete(h.rows, id)
		}
	}
	return nil
}
