package auth

import (
	"fmt"
	"log/slog"
	"net/http"
	"testing"
)

func benchStore(b *testing.B) *Store {
	b.Helper()
	s, err := Open(b.Context(), b.TempDir(), Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

func BenchmarkToken(b *testing.B) {
	s := benchStore(b)
	var secret string
	for i := range 200 {
		var err error
		if _, secret, err = s.CreateToken(b.Context(), root, TokenRequest{Name: fmt.Sprint(i), Role: RolePush, Namespaces: []string{"a"}}); err != nil {
			b.Fatal(err)
		}
	}
	authenticate(b, s, request("POST", bearer(secret)))
}

func BenchmarkSession(b *testing.B) {
	s := benchStore(b)
	if _, _, err := s.EnsureAdmin(b.Context(), b.TempDir(), adminPassword); err != nil {
		b.Fatal(err)
	}
	id, err := s.newSession(b.Context(), s.user(AdminName))
	if err != nil {
		b.Fatal(err)
	}
	authenticate(b, s, request("POST", cookie(&http.Cookie{Name: CookieName, Value: id}, csrfOf(id))))
}

// BenchmarkBasic is the way of a password that was verified within the last minute; BenchmarkHash what verifying costs.
func BenchmarkBasic(b *testing.B) {
	s := benchStore(b)
	if _, _, err := s.EnsureAdmin(b.Context(), b.TempDir(), adminPassword); err != nil {
		b.Fatal(err)
	}
	authenticate(b, s, request("POST", basic(AdminName, adminPassword)))
}

func authenticate(b *testing.B, s *Store, r *http.Request) {
	if _, err := s.Authenticate(r); err != nil { // the first use of a password is another matter
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Authenticate(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	h := newHasher(secondChoice)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.hash(b.Context(), adminPassword); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAudit(b *testing.B) {
	s := benchStore(b)
	b.ReportAllocs()
	for b.Loop() {
		s.Audit(root, "192.0.2.1", "bench", "nothing")
	}
}
