package auth

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestReopen(t *testing.T) {
	k := newKit(t)
	if _, err := k.s.CreateTenant(t.Context(), root, "acme"); err != nil {
		t.Fatal(err)
	}
	k.user("ann", RoleReader)
	expires := k.clock.now().Add(time.Hour)
	id, secret := k.token(TokenRequest{Name: "agent", Role: RolePush, Tenant: "acme", Namespaces: []string{"a", "b*"}, Clusters: []string{"c"}, Expires: &expires})
	revokedID, revoked := k.token(TokenRequest{Role: RoleAdmin})
	c, csrf := k.login("admin", adminPassword)
	ended, endedCSRF := k.login("admin", adminPassword)
	k.do("POST", "/api/v1/logout", cookie(ended, endedCSRF), nil).want(204)
	before := k.do("GET", "/push", bearer(secret), nil).want(200)
	k.clock.forward(11 * time.Hour / 2)
	k.do("POST", "/manage", cookie(c, csrf), nil).want(200)
	if err := k.s.RevokeToken(t.Context(), root, revokedID); err != nil {
		t.Fatal(err)
	}
	tokens, users, tenants := fmt.Sprint(k.s.Tokens(root)), fmt.Sprint(k.s.Users(root)), fmt.Sprint(k.s.Tenants())
	wantNoSecrets(t, k.dir, secret, revoked, c.Value, csrf, adminPassword, userPassword) // while open: the WAL too
	if err := k.s.Close(); err != nil {
		t.Fatal(err)
	}
	wantNoSecrets(t, k.dir, secret, revoked, c.Value, csrf, adminPassword, userPassword)

	s := openStore(t, k.dir, k.clock)
	if got := fmt.Sprint(s.Tokens(root)); got != tokens {
		t.Errorf("tokens %s, were %s", got, tokens)
	}
	if got := fmt.Sprint(s.Users(root)); got != users {
		t.Errorf("users %s, were %s", got, users)
	}
	if got := fmt.Sprint(s.Tenants()); got != tenants {
		t.Errorf("tenants %s, were %s", got, tenants)
	}
	k.clock.forward(-5 * time.Hour)
	p, err := s.Authenticate(request("GET", bearer(secret)))
	if err != nil || p.Name != string(before.body) || p.ID != id || p.Role != RolePush || p.Tenant != "acme" || p.TenantID != 1 || strings.Join(p.Namespaces, " ") != "a b*" || strings.Join(p.Clusters, " ") != "c" {
		t.Errorf("%+v, %v", p, err)
	}
	k.clock.forward(5 * time.Hour)
	for what, c := range map[string]struct {
		p    prepare
		want bool
	}{
		"expired token":  {bearer(secret), false},
		"revoked token":  {bearer(revoked), false},
		"user":           {basic("ann", userPassword), true},
		"wrong password": {basic("ann", adminPassword), false},
		"session":        {cookie(c, csrf), true},
		"ended session":  {cookie(ended, endedCSRF), false},
	} {
		if _, err := s.Authenticate(request("POST", c.p)); (err == nil) != c.want {
			t.Errorf("%s: %v, want ok %t", what, err, c.want)
		}
	}
	k.clock.forward(7 * time.Hour) // the session slid before the restart: its last use was written
	if _, err := s.Authenticate(request("GET", cookie(c, ""))); err != nil {
		t.Errorf("the last use of the session was lost: %v", err)
	}
	if created, shown, err := s.EnsureAdmin(t.Context(), k.dir, "another one"); created || shown != "" || err != nil {
		t.Errorf("a later start made an admin: %t, %v", created, err)
	}
	if entries, err := s.AuditEntries(t.Context(), root, 0, 10); err != nil || len(entries) != 4 {
		t.Errorf("%d entries in the audit log, %v; want 4: two logins, a logout, and a wrong password since", len(entries), err)
	}
}

func wantNoSecrets(t *testing.T, dir string, secrets ...string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n += bytes.Count(b, []byte("argon2id")) // it is the right file
		for _, s := range secrets {
			if bytes.Contains(b, []byte(s)) {
				t.Errorf("%s holds the secret %q", filepath.Base(path), s)
			}
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil || n == 0 {
		t.Errorf("no password hash is in the files, %v", err)
	}
}

func request(method string, p prepare) *http.Request {
	r, err := http.NewRequest(method, "http://localhost/", nil)
	if err != nil {
		panic(err)
	}
	p(r)
	return r
}

func TestEnsureAdmin(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, newClock())
	created, shown, err := s.EnsureAdmin(t.Context(), dir, "")
	if err != nil || !created || len(shown) < 20 {
		t.Fatalf("%t, %q, %v", created, shown, err)
	}
	path := filepath.Join(dir, "admin-password")
	b, err := os.ReadFile(path)
	if err != nil || strings.TrimSpace(string(b)) != shown {
		t.Errorf("the file holds %q, %v; want %q", b, err, shown)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	p, err := s.Authenticate(request("GET", basic("admin", shown)))
	if err != nil || !p.AllTenants() {
		t.Errorf("%+v, %v", p, err)
	}
	if created, shown, err = s.EnsureAdmin(t.Context(), dir, ""); created || shown != "" || err != nil {
		t.Errorf("the second time: %t, %q, %v", created, shown, err)
	}

	given := t.TempDir()
	s = openStore(t, given, newClock())
	if created, shown, err := s.EnsureAdmin(t.Context(), given, "short"); !created || shown != "" || err != nil {
		t.Errorf("with a password: %t, %q, %v", created, shown, err)
	}
	if _, err := os.Stat(filepath.Join(given, "admin-password")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a given password was written to a file: %v", err)
	}
	if _, err := s.Authenticate(request("GET", basic("admin", "short"))); err != nil {
		t.Error(err)
	}
}

func TestOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "odd name?a=b#c%20d", "deep")
	s := openStore(t, dir, newClock())
	if _, err := os.Stat(filepath.Join(dir, "auth.db")); err != nil {
		t.Fatal(err)
	}
	var version int
	var journal string
	if err := errors.Join(s.db.QueryRow("PRAGMA user_version").Scan(&version), s.db.QueryRow("PRAGMA journal_mode").Scan(&journal)); err != nil {
		t.Fatal(err)
	}
	var synchronous int
	if err := s.db.QueryRow("PRAGMA synchronous").Scan(&synchronous); err != nil {
		t.Fatal(err)
	}
	if version != len(migrations) || journal != "wal" || synchronous != 2 {
		t.Errorf("user_version %d, journal_mode %s, synchronous %d; want %d, wal, 2 (FULL)", version, journal, synchronous, len(migrations))
	}
	if all := s.Tenants(); len(all) != 1 || all[0].Name != "default" || all[0].Number != 0 {
		t.Errorf("tenants %v", all)
	}
	if again, err := Open(t.Context(), dir, Options{cost: cheap}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("the file was opened twice: %v, %v", again, err)
	}
}

func TestMigrate(t *testing.T) {
	open := func(prepare string) error {
		dir := t.TempDir()
		db, err := sql.Open("sqlite", filepath.Join(dir, FileName))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(prepare); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Close(), os.Chmod(filepath.Join(dir, FileName), 0o644)); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), dir, Options{cost: cheap})
		if info, statErr := os.Stat(filepath.Join(dir, FileName)); statErr != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), statErr)
		}
		if err == nil {
			err = s.Close()
		}
		return err
	}
	if err := open("PRAGMA user_version = 0"); err != nil {
		t.Errorf("an empty file: %v", err)
	}
	if err := open("PRAGMA user_version = 99"); err == nil || !strings.Contains(err.Error(), "99") {
		t.Errorf("a schema of the future was opened: %v", err)
	}
	if err := open("CREATE TABLE users (x)"); err == nil {
		t.Error("a foreign file was opened")
	}
}

// TestMigrateFromFirst opens a file as the first version wrote it: who is in it keeps what they had, and can be given clusters.
func TestMigrateFromFirst(t *testing.T) {
	dir := t.TempDir()
	db, err := sql.Open("sqlite", filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	secret, h := newToken()
	old, err := os.ReadFile("testdata/auth-1.sql")
	if err == nil {
		_, err = db.Exec(string(old), h[:])
	}
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, dir, newClock())
	if u, tok := fmt.Sprint(s.Users(root)), fmt.Sprint(s.Tokens(root)); !strings.Contains(u, "ann reader default [shop] []") || !strings.Contains(tok, "0123456789abcdef agents push default [shop pay-*] []") {
		t.Errorf("users %s, tokens %s", u, tok)
	}
	p, err := s.Authenticate(request("GET", bearer(secret)))
	if err != nil || !p.AllowsNamespace("pay-1") || p.AllowsNamespace("other") || !p.AllowsCluster("any") || !p.AllowsCluster("") {
		t.Errorf("%+v, %v", p, err)
	}
	if _, secret, err = s.CreateToken(t.Context(), root, TokenRequest{Name: "new", Role: RolePush, Clusters: []string{"prod"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, newClock()) // nothing is left to migrate
	if p, err := s.Authenticate(request("GET", bearer(secret))); err != nil || !p.AllowsCluster("prod") || p.AllowsCluster("test") {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestFailedWrite: what could not be written has not happened.
func TestFailedWrite(t *testing.T) {
	k := newKit(t)
	id, secret := k.token(TokenRequest{Role: RoleReader})
	if _, err := k.s.db.Exec("CREATE TRIGGER no_insert BEFORE INSERT ON tokens BEGIN SELECT RAISE(ABORT, 'no'); END"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.s.db.Exec("CREATE TRIGGER no_delete BEFORE DELETE ON tokens BEGIN SELECT RAISE(ABORT, 'no'); END"); err != nil {
		t.Fatal(err)
	}
	admin := basic("admin", adminPassword)
	k.do("POST", "/api/v1/tokens", admin, `{"name":"x","role":"push"}`).want(500)
	k.do("DELETE", "/api/v1/tokens/"+id, admin, nil).want(500)
	if all := k.s.Tokens(root); len(all) != 1 {
		t.Errorf("%d tokens, want 1", len(all))
	}
	k.do("GET", "/read", bearer(secret), nil).want(200)
	if _, err := k.s.db.Exec("DROP TRIGGER no_delete"); err != nil {
		t.Fatal(err)
	}
	k.do("DELETE", "/api/v1/tokens/"+id, admin, nil).want(204)

	ctx, cancel := context.WithCancel(t.Context())
	cancel() // a caller that hung up does not leave a change half done
	if _, err := k.s.CreateTenant(ctx, root, "acme"); err != nil {
		t.Error(err)
	}
}

// TestAuditNeverBlocks fills the queue while the writer is held up, and looks for the entry that says what is missing.
func TestAuditNeverBlocks(t *testing.T) {
	k := newKit(t)
	tx, err := k.s.db.Begin() // takes the one connection, so the writer waits
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxQueued + maxBatch + 100 {
		k.s.Audit(root, "local", "flood", fmt.Sprint(i))
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	k.s.Audit(root, "local", "long", strings.Repeat("é", maxDetail))
	entries, err := k.s.AuditEntries(t.Context(), root, 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	dropped := 0
	for _, e := range entries {
		if e.Action == "audit.dropped" {
			n := 0
			if _, err := fmt.Sscan(e.Detail, &n); err != nil {
				t.Error(err)
			}
			dropped += n
			entries = entries[1:]
		}
	}
	if want := maxQueued + maxBatch + 101; dropped == 0 || dropped+len(entries) != want {
		t.Errorf("%d entries are there and %d are said to be missing, want %d together", len(entries), dropped, want)
	}
}
