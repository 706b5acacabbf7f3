package auth

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tallylog/tally/server/documents"
)

// memory is documents for tests; those of Elasticsearch are tried by its own package, and with servers in test/faults/runs.
type memory struct {
	mu   sync.Mutex
	seq  int64
	docs map[string]documents.Document
	away bool
}

var errAway = errors.New("the documents are away")

func (m *memory) Put(_ context.Context, id string, body []byte, v documents.Version) (documents.Version, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return v, errAway
	}
	if m.docs[id].Version != v {
		return v, documents.ErrChanged
	}
	m.seq++
	next := documents.Version{Seq: m.seq, Primary: 1}
	m.docs[id] = documents.Document{ID: id, Body: slices.Clone(json.RawMessage(body)), Version: next}
	return next, nil
}

func (m *memory) Changes(_ context.Context, after int64, f func(documents.Document) error) error {
	m.mu.Lock()
	all := slices.SortedFunc(maps.Values(m.docs), func(a, b documents.Document) int { return int(a.Version.Seq - b.Version.Seq) })
	away := m.away
	m.mu.Unlock()
	if away {
		return errAway
	}
	for _, d := range all {
		if d.Version.Seq > after {
			if err := f(d); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *memory) Prune(_ context.Context, before int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.docs, func(_ string, d documents.Document) bool {
		var r struct{ At *int64 }
		return json.Unmarshal(d.Body, &r) == nil && r.At != nil && *r.At < before
	})
	return nil
}

func sharing(t *testing.T, m *memory, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir, Options{cost: cost{memory: 64, passes: 1, lanes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Share(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return s
}

// soon waits until the other servers have heard.
func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it does not come to hold that %s", what)
		}
	}
}

func TestShared(t *testing.T) {
	m := &memory{docs: map[string]documents.Document{}}
	dir := t.TempDir()
	a, b := sharing(t, m, t.TempDir()), sharing(t, m, dir)
	ctx := t.Context()
	if made, _, err := a.EnsureAdmin(ctx, dir, "the password"); err != nil || !made {
		t.Fatal(made, err)
	}
	soon(t, "the admin is known", func() bool { return b.user(AdminName) != nil })
	if made, _, err := b.EnsureAdmin(ctx, dir, "another"); err != nil || made {
		t.Error("a second admin is made", err)
	}
	by := b.user(AdminName).principal
	tenant, err := b.CreateTenant(ctx, by, "shop")
	if err != nil {
		t.Fatal(err)
	}
	soon(t, "the tenant is known", func() bool { n, ok := a.TenantNumber("shop"); return ok && n == tenant.Number })
	id, _, err := a.CreateToken(ctx, by, TokenRequest{Name: "t", Role: RoleReader, Tenant: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	has := func(s *Store) func() bool {
		return func() bool { s.mu.RLock(); defer s.mu.RUnlock(); return s.tokenIDs[id] != nil }
	}
	soon(t, "the token is known", has(b))
	session, err := a.newSession(ctx, a.user(AdminName))
	if err != nil {
		t.Fatal(err)
	}
	sessions := func(s *Store) int { s.mu.RLock(); defer s.mu.RUnlock(); return len(s.sessions) }
	soon(t, "the session is known", func() bool { return session != "" && sessions(b) == 1 })
	if err := b.RevokeToken(ctx, by, id); err != nil {
		t.Fatal(err)
	}
	soon(t, "the token is revoked", func() bool { return !has(a)() })
	password := "a new password"
	if err := a.ChangeUser(ctx, by, AdminName, UserChange{Password: &password}); err != nil {
		t.Fatal(err)
	}
	soon(t, "the session has ended", func() bool { return sessions(b) == 0 })

	// Two servers make a tenant before they hear of each other: one number is not given twice.
	_, err1 := a.CreateTenant(ctx, by, "x")
	_, err2 := b.CreateTenant(ctx, by, "y")
	if err1 != nil {
		t.Fatal(err1)
	}
	if err2 != nil && !errors.Is(err2, ErrElsewhere) {
		t.Fatal(err2)
	}
	soon(t, "both know the same", func() bool { return slices.Equal(a.Tenants(), b.Tenants()) })

	// While the documents are away nothing changes, and what is known holds, over a restart too.
	m.mu.Lock()
	m.away = true
	m.mu.Unlock()
	if _, err := a.CreateTenant(ctx, by, "z"); !errors.Is(err, errAway) {
		t.Errorf("made at one server alone: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if c := sharing(t, m, dir); c.user(AdminName) == nil || len(c.Tenants()) != len(a.Tenants()) {
		t.Error("what was known is gone")
	}
}
