package auth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tallylog/tally/server/documents"
)

// linked tells one other server, in this process.
type linked struct {
	to    *Store
	looks atomic.Int64
}

func (l *linked) Look(ctx context.Context) {
	l.looks.Add(1)
	_ = l.to.Pull(ctx)
}

func (l *linked) Used(_ context.Context, b []byte) {
	if err := l.to.Used(b); err != nil {
		panic(err) // what one server writes the other understands
	}
}

// pair is two servers whose clocks are the same, moved by the test, and that do not look by themselves.
func pair(t *testing.T) (m *memory, a, b *Store, ab *linked, at *atomic.Int64) {
	m = &memory{docs: map[string]documents.Document{}}
	at = &atomic.Int64{}
	at.Store(time.Now().UnixMilli())
	open := func() *Store {
		s, err := Open(t.Context(), t.TempDir(), Options{Now: func() time.Time { return time.UnixMilli(at.Load()) }, cost: cost{memory: 64, passes: 1, lanes: 1}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		if err := s.Share(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, b = open(), open()
	ab = &linked{to: b}
	a.Tell(ab)
	b.Tell(&linked{to: a})
	if made, _, err := a.EnsureAdmin(t.Context(), t.TempDir(), "the password"); err != nil || !made {
		t.Fatal(made, err)
	}
	if err := b.Pull(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m, a, b, ab, at
}

// sessionOf is the session of an id, nil where it is not known.
func sessionOf(s *Store, id string) *session {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.sessions[sha256.Sum256([]byte(id))]
}

func tokenOf(s *Store, id string) *token { s.mu.RLock(); defer s.mu.RUnlock(); return s.tokenIDs[id] }

func count(s *Store) int { s.mu.RLock(); defer s.mu.RUnlock(); return len(s.sessions) }

// A change has reached the other server when it is answered, without a wait for its next look.
func TestToldBeforeTheAnswer(t *testing.T) {
	_, a, b, ab, _ := pair(t)
	ab.looks.Store(0)
	for range 20 {
		id, err := a.newSession(t.Context(), a.user(AdminName))
		if err != nil {
			t.Fatal(err)
		}
		if count(b) != 1 {
			t.Fatal("a session that was answered is not known to the other server")
		}
		if err := b.endSession(t.Context(), sessionOf(b, id)); err != nil {
			t.Fatal(err)
		}
		if count(a) != 0 {
			t.Fatal("a session that has ended is good at the other server")
		}
	}
	if n := ab.looks.Load(); n != 20 {
		t.Errorf("told %d times of 20 changes", n)
	}
	if _, err := a.CreateTenant(t.Context(), a.user(AdminName).principal, "?"); err == nil || ab.looks.Load() != 20 {
		t.Errorf("told of a change that was refused (%v)", err)
	}
}

// A user whom nobody has changed stays the same entry when the file is read again, or a login that is under way would be refused.
func TestReadAgain(t *testing.T) {
	_, a, _, _, _ := pair(t)
	admin := a.user(AdminName)
	if _, err := a.CreateUser(t.Context(), admin.principal, UserRequest{Name: "x", Password: "a long enough password", Role: RoleReader, Namespaces: []string{}, Clusters: []string{"c"}}); err != nil {
		t.Fatal(err)
	}
	x := a.user("x")
	a.change.Lock()
	defer a.change.Unlock()
	if err := a.reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a.user(AdminName) != admin || a.user("x") != x {
		t.Errorf("%+v and %+v were %+v and %+v", a.user(AdminName).User, a.user("x").User, admin.User, x.User)
	}
}

// Both write and tell each other at the same moment: neither waits for the other.
func TestToldCrosswise(t *testing.T) {
	_, a, b, _, _ := pair(t)
	done := make(chan error, 2)
	for _, s := range []*Store{a, b} {
		go func() {
			var err error
			for range 20 {
				if _, e := s.newSession(t.Context(), s.user(AdminName)); e != nil {
					err = e
				}
			}
			done <- err
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	soon(t, "both know all sessions", func() bool { return count(a) == 40 && count(b) == 40 })
}

// What was used at one server alone for days has not ended at the other, and what nobody used has.
func TestUseIsTold(t *testing.T) {
	_, a, b, _, at := pair(t)
	id, err := a.newSession(t.Context(), a.user(AdminName))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.newSession(t.Context(), a.user(AdminName)); err != nil {
		t.Fatal(err)
	}
	token, _, err := a.CreateToken(t.Context(), a.user(AdminName).principal, TokenRequest{Name: "t", Role: RoleReader})
	if err != nil {
		t.Fatal(err)
	}
	for range 6 {
		at.Add((5 * time.Hour).Milliseconds())
		now := millis(a.opt.Now())
		sessionOf(a, id).used.note(now)
		tokenOf(a, token).used.note(now)
		if err := a.tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := b.tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if count(a) != 1 || count(b) != 1 {
		t.Errorf("%d and %d sessions are left, not 1", count(a), count(b))
	}
	if used := tokenOf(b, token).used.load(); used != millis(a.opt.Now()) {
		t.Errorf("the other server takes the token for used at %v", used.Time())
	}
	if err := b.Used([]byte(`{"sessions":{"zz":1}}`)); err == nil {
		t.Error("nonsense is taken for the use of a session")
	}
	if err := b.Used([]byte(`{"tokens":{"` + token + `":99999999999999}}`)); err != nil || tokenOf(b, token).used.load() > millis(b.opt.Now()) {
		t.Errorf("a token was used in the future: %v", err)
	}
}

// Ended sessions are remembered while a server that was away could take them for good, and not for ever.
func TestEndedSessionsAreForgotten(t *testing.T) {
	m, a, b, _, at := pair(t)
	dir := t.TempDir()
	away := sharing(t, m, dir)
	for range 30 {
		id, err := a.newSession(t.Context(), a.user(AdminName))
		if err != nil {
			t.Fatal(err)
		}
		if err := away.Pull(t.Context()); err != nil {
			t.Fatal(err)
		}
		if sessionOf(away, id) == nil {
			t.Fatal("a session is not known")
		}
	}
	if err := away.Close(); err != nil {
		t.Fatal(err)
	}
	a.mu.RLock()
	var all []*session
	for _, e := range a.sessions {
		all = append(all, e)
	}
	a.mu.RUnlock()
	for _, e := range all {
		if err := a.endSession(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	tombs := func() (n int) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for id := range m.docs {
			if strings.HasPrefix(id, sessionsTable+"/") {
				n++
			}
		}
		return n
	}
	tidy := func() {
		t.Helper()
		for _, s := range []*Store{a, b} {
			if err := s.tidy(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	at.Add(a.opt.SessionMax.Milliseconds())
	tidy()
	if n := tombs(); n != 30 {
		t.Errorf("%d of 30 ended sessions are remembered", n)
	}
	at.Add(2 * tombstoneAge.Milliseconds())
	tidy()
	if n := tombs(); n != 0 {
		t.Errorf("%d ended sessions are remembered for ever", n)
	}
	for _, s := range []*Store{a, b} {
		s.shared.mu.Lock()
		for id := range s.shared.rows {
			if strings.HasPrefix(id, sessionsTable+"/") {
				t.Errorf("%s is kept in memory", id)
			}
		}
		s.shared.mu.Unlock()
	}
	// The server that was away still has them in its file.
	back := sharing(t, m, dir)
	if count(back) != 0 || tombs() != 0 {
		t.Errorf("%d sessions that have ended are good again, %d told to all", count(back), tombs())
	}
	if back.user(AdminName) == nil {
		t.Error("what is shared is gone")
	}
}

// Deleted users and tokens are remembered for ever: a server that was away for a year must not bring them back.
func TestDeletedTokensAreRemembered(t *testing.T) {
	m, a, _, _, at := pair(t)
	by := a.user(AdminName).principal
	id, _, err := a.CreateToken(t.Context(), by, TokenRequest{Name: "t", Role: RoleReader})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := sharing(t, m, dir).Close(); err != nil {
		t.Fatal(err)
	}
	if err := a.RevokeToken(t.Context(), by, id); err != nil {
		t.Fatal(err)
	}
	at.Add((365 * 24 * time.Hour).Milliseconds())
	if err := a.tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	if tokenOf(sharing(t, m, dir), id) != nil {
		t.Error("a revoked token is good again")
	}
	var r row
	if err := json.Unmarshal(m.docs["tokens/"+id].Body, &r); err != nil || !r.Deleted {
		t.Errorf("%+v, %v", r, err)
	}
}
