package auth

import (
	"context"
	"strings"
	"testing"
)

func TestPassword(t *testing.T) {
	h := newHasher(cheap)
	a, err := h.hash(t.Context(), "secret")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := h.hash(t.Context(), "secret")
	if a == b {
		t.Error("two hashes of a password are the same: no salt")
	}
	f := func(password, stored string, want bool) {
		t.Helper()
		if ok, err := h.matches(t.Context(), password, stored); err != nil || ok != want {
			t.Errorf("%q: %t, %v; want %t", password, ok, err, want)
		}
	}
	f("secret", a, true)
	f("secret", b, true)
	f("Secret", a, false)
	f("", a, false)
	f("secret", "", false)

	if _, err := h.matches(t.Context(), "secret", a[:20]); err == nil || strings.Contains(err.Error(), a[:20]) {
		t.Errorf("a damaged hash gives the error %v", err)
	}
	for range hashers { // all slots are taken
		h.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.matches(ctx, "secret", a); err == nil {
		t.Error("hashing does not obey its context")
	}
}

// TestSecondChoice checks the default cost against RFC 9106, and that the hash of an unknown user takes the same.
func TestSecondChoice(t *testing.T) {
	h := newHasher(secondChoice)
	s, err := h.hash(t.Context(), "password")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(s, "$argon2id$v=19$m=65536,t=3,p=4$") {
		t.Errorf("hash %q", s)
	}
	if ok, err := h.matches(t.Context(), "password", s); !ok || err != nil {
		t.Errorf("%t, %v", ok, err)
	}
	if p, err := parsePHC(s); err != nil || p.cost != h.dummy.cost || len(p.salt) != len(h.dummy.salt) || len(p.key) != len(h.dummy.key) {
		t.Errorf("an unknown user does not cost the same as a known one: %+v, %v", p.cost, err)
	}
}

const goodPHC = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

func TestParsePHC(t *testing.T) {
	if p, err := parsePHC(goodPHC); err != nil || p.String() != goodPHC {
		t.Fatalf("%q, %v", p, err)
	}
	bad := func(old, with string) {
		t.Helper()
		s := strings.Replace(goodPHC, old, with, 1)
		if s == goodPHC {
			t.Fatalf("%q is not in it", old)
		}
		if _, err := parsePHC(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
	bad("argon2id", "argon2i")
	bad("v=19", "v=16")
	bad("m=65536", "m=65537")
	bad("m=65536", "m=31")
	bad("m=65536", "m=065536")
	bad("m=65536", "m=+5536")
	bad("m=65536", "m=4294967297")
	bad("t=3", "t=0")
	bad("t=3", "t=17")
	bad("p=4", "p=0")
	bad("p=4", "p=260")
	bad("m=65536,t=3", "t=3,m=65536")
	bad(",p=4", "")
	bad("c2FsdHNhbHRzYWx0c2FsdA", "c2FsdA")
	bad("c2FsdHNhbHRzYWx0c2FsdA", "c2FsdHNhbHRzYWx0c2FsdA==")
	bad("c2FsdHNhbHRzYWx0c2FsdA", "c2FsdHNhbHRzYWx0\nc2FsdA")
	bad("$c2Fsd", "$$c2Fsd")
	bad("$argon2id", "argon2id")
}

func FuzzPHC(f *testing.F) {
	f.Add(goodPHC)
	f.Add(phc{cost: cheap, salt: make([]byte, 8), key: make([]byte, 64)}.String())
	f.Add("$argon2id$v=19$m=8,t=1,p=1$$")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePHC(s)
		if err != nil {
			return
		}
		if p.memory > maxMemory || p.passes > maxPasses || p.lanes > maxLanes || len(p.salt) > maxSecret || len(p.key) > maxSecret {
			t.Errorf("%q is beyond the bounds", s)
		}
		if p.String() != s {
			t.Errorf("%q is read as %q", s, p)
		}
	})
}

func FuzzAuthorization(f *testing.F) {
	secret, _ := newToken()
	for _, s := range []string{"Bearer " + secret, "basic dTpw", "Basic Og==", "Basic dTo=", "Bearer  a b", "", " ", "Digest x=y", "Bearer\tx"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, ok := parseAuthorization(s)
		switch {
		case ok && (c.token != "") == (c.user != "" && c.password != ""):
			t.Errorf("%q gives %+v, want a token, or a user and a password", s, c)
		case ok && strings.ContainsAny(c.token, " \t"):
			t.Errorf("%q gives a token with a blank", s)
		case ok && strings.Contains(c.user, ":"):
			t.Errorf("%q gives a user with a colon", s)
		}
	})
}
