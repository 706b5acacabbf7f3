package auth

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"
)

func retryAfter(t *testing.T, r reply) time.Duration {
	t.Helper()
	n, err := strconv.Atoi(r.header.Get("Retry-After"))
	if err != nil || n < 1 {
		t.Fatalf("Retry-After %q, want whole seconds above 0", r.header.Get("Retry-After"))
	}
	return time.Duration(n) * time.Second
}

// guess makes wrong tries until one is refused, and returns that one and how many came before it.
func (k *kit) guess(most int, try func(i int) reply) (reply, int) {
	k.Helper()
	for i := range most {
		r := try(i)
		if r.status == http.StatusTooManyRequests {
			return r, i
		}
		r.want(401)
	}
	k.Fatalf("%d wrong tries without a 429", most)
	return reply{}, 0
}

func TestGuessingIsSlowed(t *testing.T) {
	wrongLogin := func(k *kit) func(int) reply {
		return func(i int) reply {
			return k.do("POST", "/api/v1/login", nil, map[string]string{"user": "victim", "password": fmt.Sprint("guess ", i)})
		}
	}
	wrongBasic := func(k *kit) func(int) reply {
		return func(int) reply { return k.do("GET", "/read", basic("victim", "the same guess"), nil) }
	}
	for name, try := range map[string]func(*kit) func(int) reply{"login": wrongLogin, "basic": wrongBasic} {
		for _, loggedIn := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/known address %t", name, loggedIn), func(t *testing.T) {
				k := newKit(t)
				k.user("victim", RoleReader)
				_, secret := k.token(TokenRequest{Role: RoleReader})
				c, csrf := k.login("admin", adminPassword)
				if loggedIn {
					k.login("victim", userPassword)
				}
				r, n := k.guess(15, try(k))
				if n != 10 {
					t.Errorf("refused after %d tries, want 10", n)
				}
				wait := retryAfter(t, r)
				// Neither the right password helps, by whatever way, nor does waiting a little less than told.
				k.do("GET", "/read", basic("victim", userPassword), nil).want(429)
				k.do("POST", "/api/v1/login", nil, map[string]string{"user": "victim", "password": userPassword}).want(429)
				k.clock.forward(wait - time.Second)
				k.do("GET", "/read", basic("victim", userPassword), nil).want(429)
				// Valid tokens and sessions go on, as do other users.
				k.do("GET", "/read", bearer(secret), nil).want(200)
				k.do("GET", "/read", basic("victim", secret), nil).want(200)
				k.do("POST", "/manage", cookie(c, csrf), nil).want(200)
				k.do("GET", "/read", basic("admin", adminPassword), nil).want(200)
				// Then one more try is free, and a wrong one ends that.
				k.clock.forward(time.Second)
				try(k)(99).want(401)
				try(k)(99).want(429)
				// It decays wholly.
				k.clock.forward(10 * perUser.every)
				if _, n := k.guess(15, try(k)); n != 10 {
					t.Errorf("refused after %d tries the second time, want 10", n)
				}
			})
		}
	}
}

// TestUnknownUsersAreSlowedAlike keeps a 429 from telling which users exist.
func TestUnknownUsersAreSlowedAlike(t *testing.T) {
	k := newKit(t)
	_, n := k.guess(15, func(i int) reply { return k.do("GET", "/read", basic("nobody", fmt.Sprint(i)), nil) })
	if n != 10 {
		t.Errorf("refused after %d tries, want 10", n)
	}
}

func TestAddressIsSlowed(t *testing.T) {
	k := newKit(t)
	k.login("admin", adminPassword)
	_, n := k.guess(60, func(i int) reply { return k.do("GET", "/read", basic(fmt.Sprint("user", i), "guess"), nil) })
	if n != 50 {
		t.Errorf("refused after %d tries at as many users, want 50", n)
	}
	k.login("admin", adminPassword) // who has been here before
	k.user("newcomer", RoleReader)
	k.do("GET", "/read", basic("newcomer", userPassword), nil).want(429)
	k.clock.forward(perAddress.every)
	k.do("GET", "/read", basic("newcomer", userPassword), nil).want(200)
}

func TestWrongTokensAreSlowed(t *testing.T) {
	k := newKit(t)
	_, secret := k.token(TokenRequest{Role: RoleReader})
	r, n := k.guess(120, func(i int) reply { return k.do("GET", "/read", bearer(fmt.Sprint("tly_", i)), nil) })
	if n != 100 {
		t.Errorf("refused after %d wrong tokens, want 100", n)
	}
	retryAfter(t, r)
	for range 5 {
		k.do("GET", "/read", bearer(secret), nil).want(200)
	}
	k.do("GET", "/read", basic("admin", adminPassword), nil).want(200) // counted apart
	k.clock.forward(time.Minute)
	k.do("GET", "/read", bearer("tly_x"), nil).want(401)
}

// TestStrangerCannotLockOut: wrong tries from elsewhere do not touch a user at an address where they logged in before.
func TestStrangerCannotLockOut(t *testing.T) {
	k := newKit(t)
	check := func(password, ip string) error {
		_, err := k.s.checkPassword(t.Context(), "admin", password, client{ip, ip})
		return err
	}
	if err := check(adminPassword, "home"); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for i := range 40 {
		if check(fmt.Sprint(i), fmt.Sprint("bot", i)) != errCredentials {
			refused++
		}
	}
	if refused != 30 {
		t.Errorf("%d of 40 tries from as many addresses were refused, want 30", refused)
	}
	if check(adminPassword, "bot") == nil {
		t.Error("a right guess was let in from a strange address, though the user is being guessed at")
	}
	k.clock.forward(2 * proofFor) // without the help of a remembered proof
	for range 20 {
		k.clock.forward(time.Millisecond)
		for i := range 3 {
			_ = check(fmt.Sprint(i), "bot")
		}
		if err := check(adminPassword, "home"); err != nil {
			t.Fatalf("the user was locked out by strangers: %v", err)
		}
	}
}

func TestCountersAreBounded(t *testing.T) {
	c := newClock()
	th := newThrottle(c.now)
	victim := counterKey{kind: ofUser, user: "victim"}
	for range 10 {
		th.take(victim)
	}
	for i := range 2 * maxCounters {
		th.take(counterKey{kind: ofUser, user: strconv.Itoa(i)})
	}
	if n := len(th.counters); n > maxCounters {
		t.Errorf("%d counters, want at most %d", n, maxCounters)
	}
	if th.wait(victim) <= 0 {
		t.Error("a counter that refuses was evicted for one with a single try")
	}
	for i := range 2 * maxKnown {
		th.remember(strconv.Itoa(i), "here")
	}
	if n := len(th.known); n > maxKnown {
		t.Errorf("%d known addresses, want at most %d", n, maxKnown)
	}
	c.forward(knownFor)
	th.sweep()
	if n := len(th.counters) + len(th.known); n != 0 {
		t.Errorf("%d entries are left after they have decayed", n)
	}
}

func TestProofsAreBounded(t *testing.T) {
	c := newClock()
	ps := newProofs()
	u := &user{}
	for i := range 3 * maxProofs {
		id := ps.id("u", strconv.Itoa(i))
		p, mine := ps.find(id, c.now(), u)
		if !mine {
			t.Fatalf("proof %d is there already", i)
		}
		ps.finish(id, p, u, nil, c.now().Add(proofFor))
	}
	if n := len(ps.m); n > maxProofs {
		t.Errorf("%d proofs, want at most %d", n, maxProofs)
	}
	for i := range maxWaiting {
		if p, mine := ps.find(ps.id("w", strconv.Itoa(i)), c.now(), u); p == nil || !mine {
			t.Fatalf("number %d may not wait", i)
		}
	}
	if p, _ := ps.find(ps.id("w", "one more"), c.now(), u); p != nil {
		t.Errorf("more than %d may wait", maxWaiting)
	}
	if ps.id("ab", "c") == ps.id("a", "bc") {
		t.Error("the boundary of name and password is lost")
	}
}

// TestBasicIsCached: a password is hashed once a minute, and again after any change of the user.
func TestBasicIsCached(t *testing.T) {
	k := newKit(t)
	k.user("u", RoleReader)
	proofOf := func(password string) *proof {
		k.s.proofs.mu.Lock()
		defer k.s.proofs.mu.Unlock()
		return k.s.proofs.m[k.s.proofs.id("u", password)]
	}
	use := func(want int) *proof {
		t.Helper()
		k.do("GET", "/read", basic("u", userPassword), nil).want(want)
		return proofOf(userPassword)
	}
	first := use(200)
	if first == nil || use(200) != first {
		t.Error("the second request was verified anew")
	}
	k.clock.forward(proofFor)
	second := use(200)
	if second == first {
		t.Error("a proof outlived its minute")
	}
	role := RoleOperator
	if err := k.s.ChangeUser(t.Context(), root, "u", UserChange{Role: &role}); err != nil {
		t.Fatal(err)
	}
	if use(200) == second {
		t.Error("a proof outlived a change of the user")
	}
	changed := "another password"
	if err := k.s.ChangeUser(t.Context(), root, "u", UserChange{Password: &changed}); err != nil {
		t.Fatal(err)
	}
	if use(401) != nil {
		t.Error("a wrong password is remembered")
	}
}

func TestAddress(t *testing.T) {
	f := func(remote, ip, key string) {
		t.Helper()
		r := &http.Request{RemoteAddr: remote}
		if got := RemoteIP(r); got != ip {
			t.Errorf("%s: address %q, want %q", remote, got, ip)
		}
		if got := addressKey(r); got != key {
			t.Errorf("%s: counted as %q, want %q", remote, got, key)
		}
	}
	f("192.0.2.1:99", "192.0.2.1", "192.0.2.1")
	f("[::ffff:192.0.2.1]:99", "192.0.2.1", "192.0.2.1")
	f("[2001:db8:1:2:3:4:5:6]:99", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64")
	f("[fe80::1%eth0]:99", "fe80::1", "fe80::/64")
	f("@", "unknown", "unknown")
}

func TestCookieIsSecureOverTLS(t *testing.T) {
	w := httptest.NewRecorder()
	setCookie(w, &http.Request{TLS: &tls.ConnectionState{}}, "x")
	if c := w.Result().Cookies()[0]; !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode {
		t.Errorf("cookie %+v over TLS", c)
	}
}
