package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// cheap is a cost that tests can pay many times.
var cheap = cost{memory: 16, passes: 1, lanes: 1}

// clock is a time that only the test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

var root = Principal{Kind: KindUser, ID: "root", Name: "user:root", Role: RoleAdmin, Tenant: DefaultTenantName}

const (
	adminPassword = "correct horse battery"
	userPassword  = "staple of the house"
)

// kit is a store behind a real HTTP server.
type kit struct {
	*testing.T
	s     *Store
	clock *clock
	url   string
	dir   string
}

func openStore(t testing.TB, dir string, c *clock) *Store {
	t.Helper()
	s, err := Open(context.Background(), dir, Options{Now: c.now, Log: slog.New(slog.DiscardHandler), cost: cheap})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newKit(t *testing.T) *kit {
	t.Helper()
	k := &kit{T: t, clock: newClock(), dir: t.TempDir()}
	k.s = openStore(t, k.dir, k.clock)
	if _, _, err := k.s.EnsureAdmin(t.Context(), k.dir, adminPassword); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	k.s.Routes(mux)
	for path, a := range map[string]Action{"/enter": Enter, "/push": Push, "/read": Read, "/operate": Operate, "/manage": Manage} {
		mux.Handle(path, k.s.Require(a, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, ok := FromContext(r.Context())
			if !ok {
				t.Error("no principal in the context behind Require")
			}
			_, _ = io.WriteString(w, p.Name)
		})))
	}
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	k.url = srv.URL
	return k
}

// token makes a token and returns its id and secret.
func (k *kit) token(req TokenRequest) (id, secret string) {
	k.Helper()
	if req.Name == "" {
		req.Name = "test"
	}
	id, secret, err := k.s.CreateToken(k.Context(), root, req)
	if err != nil {
		k.Fatal(err)
	}
	return id, secret
}

func (k *kit) user(name string, role Role) {
	k.Helper()
	if _, err := k.s.CreateUser(k.Context(), root, UserRequest{Name: name, Password: userPassword, Role: role}); err != nil {
		k.Fatal(err)
	}
}

// login makes a session and returns what a browser then sends.
func (k *kit) login(user, password string) (cookie *http.Cookie, csrf string) {
	k.Helper()
	r := k.do("POST", "/api/v1/login", nil, map[string]string{"user": user, "password": password})
	r.want(200)
	if len(r.cookies) != 1 {
		k.Fatalf("login set %d cookies, want 1", len(r.cookies))
	}
	return r.cookies[0], r.text("csrf")
}

type prepare func(*http.Request)

func bearer(secret string) prepare {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+secret) }
}

func basic(user, password string) prepare {
	return func(r *http.Request) { r.SetBasicAuth(user, password) }
}

func header(name, value string) prepare {
	return func(r *http.Request) { r.Header.Add(name, value) }
}

func cookie(c *http.Cookie, csrf string) prepare {
	return func(r *http.Request) {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
		if csrf != "" {
			r.Header.Set(CSRFHeader, csrf)
		}
	}
}

type reply struct {
	t       testing.TB
	what    string
	status  int
	header  http.Header
	cookies []*http.Cookie
	body    []byte
}

// do sends a request whose body is the JSON of body, or body itself where it is a string.
func (k *kit) do(method, path string, p prepare, body any) reply {
	k.Helper()
	var b []byte
	switch v := body.(type) {
	case nil:
	case string:
		b = []byte(v)
	default:
		var err error
		if b, err = json.Marshal(v); err != nil {
			k.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(k.Context(), method, k.url+path, bytes.NewReader(b))
	if err != nil {
		k.Fatal(err)
	}
	if p != nil {
		p(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		k.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		k.Fatal(err)
	}
	return reply{t: k, what: method + " " + path, status: resp.StatusCode, header: resp.Header, cookies: resp.Cookies(), body: got}
}

func (r reply) want(status int) reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("%s: %d %s, want %d", r.what, r.status, r.body, status)
	}
	if status >= 400 && r.message() == "" {
		r.t.Fatalf("%s: %d without a message: %s", r.what, r.status, r.body)
	}
	return r
}

func (r reply) message() string {
	var v struct {
		Error struct{ Code, Message string }
	}
	if json.Unmarshal(r.body, &v) != nil || v.Error.Code == "" {
		return ""
	}
	return v.Error.Message
}

func (r reply) text(key string) string {
	r.t.Helper()
	var v map[string]any
	if err := json.Unmarshal(r.body, &v); err != nil {
		r.t.Fatalf("%s: %v in %s", r.what, err, r.body)
	}
	s, _ := v[key].(string)
	return s
}
