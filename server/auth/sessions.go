package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"net/http"
	"time"
)

// maxSessions bounds the sessions of one user; a further login ends the one that was not used for longest.
const maxSessions = 100

// key is the primary key of e in the file, and NULL for no session.
func (e *session) key() any {
	if e == nil {
		return nil
	}
	return e.hash[:]
}

// csrfOf is the CSRF token of the session with the given id. It is derived from the id, so it needs no keeping, and whoever
// can make a browser send the cookie without reading it cannot know it.
func csrfOf(id string) string {
	m := hmac.New(sha256.New, []byte(id))
	m.Write([]byte("tally csrf"))
	return hex.EncodeToString(m.Sum(nil))
}

// newSession logs u in and returns the id that the cookie holds. It fails with errCredentials when u was changed meanwhile.
func (s *Store) newSession(ctx context.Context, u *user) (id string, err error) {
	id = hex.EncodeToString(random(sha256.Size))
	now := millis(s.opt.Now())
	e := &session{hash: sha256.Sum256([]byte(id)), user: u.Name, created: now, used: newLastUse(now)}

	defer s.changing(ctx)()
	if s.user(u.Name) != u {
		return "", errCredentials
	}
	surplus := s.surplusSession(u.Name)
	err = s.writeShared(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM sessions WHERE hash IS ?", surplus.key()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO sessions (hash, user, created, last_used) VALUES (?, ?, ?, ?)", e.hash[:], e.user, e.created, e.created)
		return err
	})
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if surplus != nil {
		delete(s.sessions, surplus.hash)
	}
	s.sessions[e.hash] = e
	return id, nil
}

// surplusSession returns the session of name that has to make room for another one, or nil.
func (s *Store) surplusSession(name string) *session {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var oldest *session
	n := 0
	for _, e := range s.sessions {
		if e.user != name {
			continue
		}
		n++
		if oldest == nil || e.used.load() < oldest.used.load() {
			oldest = e
		}
	}
	if n < maxSessions {
		return nil
	}
	return oldest
}

// endSession logs out.
func (s *Store) endSession(ctx context.Context, e *session) error {
	defer s.changing(ctx)()
	if err := s.exec(ctx, "DELETE FROM sessions WHERE hash = ?", e.hash[:]); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, e.hash)
	return nil
}

// dropSessionsLocked removes the sessions of a user from memory, but for keep. The lock mu must be held.
func (s *Store) dropSessionsLocked(name string, keep *session) {
	for h, e := range s.sessions {
		if e.user == name && (keep == nil || h != keep.hash) {
			delete(s.sessions, h)
		}
	}
}

// endOldSessions removes the sessions that have expired.
func (s *Store) endOldSessions(ctx context.Context) error {
	defer s.changing(ctx)()
	now := millis(s.opt.Now())
	var old []*session
	s.mu.RLock()
	for _, e := range s.sessions {
		if e.expired(now, s.opt.SessionIdle, s.opt.SessionMax) {
			old = append(old, e)
		}
	}
	s.mu.RUnlock()
	if len(old) == 0 {
		return nil
	}
	err := s.writeShared(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, e := range old {
			if _, err := tx.ExecContext(ctx, "DELETE FROM sessions WHERE hash = ?", e.hash[:]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range old {
		delete(s.sessions, e.hash)
	}
	return nil
}

// setCookie gives the browser a session id, or takes it away when id is empty. The cookie has no lifetime of its own: it
// ends with the browser, or when the server ends the session.
func setCookie(w http.ResponseWriter, r *http.Request, id string) {
	c := &http.Cookie{Name: CookieName, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil}
	if id == "" {
		c.MaxAge, c.Expires = -1, time.Unix(1, 0)
	}
	http.SetCookie(w, c)
}
