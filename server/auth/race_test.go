package auth

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// TestConcurrency uses, makes, changes and ends everything at once. Run it with -race.
func TestConcurrency(t *testing.T) {
	k := newKit(t)
	k.user("ann", RoleReader)
	_, lasting := k.token(TokenRequest{Role: RoleReader})
	c, csrf := k.login("admin", adminPassword)
	admin := cookie(c, csrf)
	var stop atomic.Bool
	var readers, writers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for !stop.Load() {
				if _, err := k.s.Authenticate(request("GET", bearer(lasting))); err != nil {
					t.Errorf("a valid token was refused: %v", err)
					return
				}
				if _, err := k.s.Authenticate(request("POST", admin)); err != nil {
					t.Errorf("a valid session was refused: %v", err)
					return
				}
				_, _ = k.s.Authenticate(request("GET", basic("ann", userPassword)))
				_, _ = k.s.Authenticate(request("GET", bearer("tly_wrong")))
				k.s.Tokens(root)
			}
		})
	}
	for w := range 4 {
		writers.Go(func() {
			for i := range 15 {
				r := k.do("POST", "/api/v1/tokens", admin, map[string]string{"name": fmt.Sprint(w, i), "role": "push"}).want(200)
				id, secret := r.text("id"), r.text("token")
				k.do("GET", "/push", bearer(secret), nil).want(200)
				k.do("DELETE", "/api/v1/tokens/"+id, admin, nil).want(204)
				if got := k.do("GET", "/push", bearer(secret), nil); got.status != 401 && got.status != 429 {
					t.Errorf("a revoked token got %d", got.status)
				}
				role := []Role{RoleReader, RoleOperator}[i%2]
				if err := k.s.ChangeUser(t.Context(), root, "ann", UserChange{Role: &role}); err != nil {
					t.Error(err)
				}
				if err := k.s.tidy(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	stop.Store(true)
	readers.Wait()
}

// TestLastAdminUnderConcurrency: two admins who remove each other at the same moment leave one.
func TestLastAdminUnderConcurrency(t *testing.T) {
	for range 10 {
		k := newKit(t)
		k.user("other", RoleAdmin)
		var status [2]int
		var wg sync.WaitGroup
		for i, name := range []string{"admin", "other"} {
			wg.Go(func() {
				if k.s.DeleteUser(t.Context(), root, name) == nil {
					status[i] = 1
				}
			})
		}
		wg.Wait()
		if status[0]+status[1] != 1 || len(k.s.Users(root)) != 1 {
			t.Fatalf("deletions succeeded: %v; users left: %v", status, k.s.Users(root))
		}
	}
}

// TestDisabledWhileVerifying: who waits for the outcome of a verification that began before the user was disabled, and is
// told that the password is right, is refused all the same.
func TestDisabledWhileVerifying(t *testing.T) {
	k := newKit(t)
	k.user("ann", RoleReader)
	before, off := k.s.user("ann"), true
	synctest.Test(t, func(t *testing.T) {
		id := k.s.proofs.id("ann", userPassword)
		p, _ := k.s.proofs.find(id, k.clock.now(), before)
		var err error
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, err = k.s.checkPassword(t.Context(), "ann", userPassword, client{"here", "here"})
		}()
		synctest.Wait() // until it waits for p
		if err := k.s.ChangeUser(t.Context(), root, "ann", UserChange{Disabled: &off}); err != nil {
			t.Error(err)
		}
		k.s.proofs.finish(id, p, before, nil, k.clock.now().Add(proofFor))
		<-done
		if err != errCredentials {
			t.Errorf("a disabled user got %v, want %v", err, errCredentials)
		}
	})
}

// TestManyAtOnce: a client that opens many connections with one right password is not taken for a guesser, and many wrong
// tries at once get no more through than one after the other.
func TestManyAtOnce(t *testing.T) {
	k := newKit(t)
	k.user("ann", RoleReader)
	count := func(password func(i int) string) map[int]int {
		var mu sync.Mutex
		got := map[int]int{}
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				r := k.do("GET", "/read", basic("ann", password(i)), nil)
				mu.Lock()
				defer mu.Unlock()
				got[r.status]++
			})
		}
		wg.Wait()
		return got
	}
	if got := count(func(int) string { return userPassword }); got[http.StatusOK] != 40 {
		t.Errorf("one right password at once: %v, want 40 times 200", got)
	}
	k.clock.forward(proofFor)
	if got := count(func(i int) string { return fmt.Sprint("guess ", i) }); got[401] > 10 || got[401]+got[429] != 40 {
		t.Errorf("40 wrong passwords at once: %v, want at most 10 times 401 and else 429", got)
	}
}
