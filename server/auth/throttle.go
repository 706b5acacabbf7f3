package auth

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/tallylog/tally/server/answer"
)

// allowance is how many wrong tries are free at once, and how long it takes until one more is.
type allowance struct {
	burst int64
	every time.Duration
}

// A user has 10 tries and then one each 30 seconds (under 3,000 a day); an address, which many people may share, has more.
// Wrong tokens are counted apart, so that an agent with a revoked token does not lock out the people behind its address.
var (
	perUser    = allowance{10, 30 * time.Second}
	perAddress = allowance{50, 6 * time.Second}
	perToken   = allowance{100, time.Second}
)

// Bounds of the memory of a throttle, and how long an address at which a user logged in stays known.
const (
	maxCounters = 20_000
	maxKnown    = 10_000
	knownFor    = 24 * time.Hour
)

type counterKind uint8

const (
	ofUser counterKind = iota
	ofAddress
	ofPair // a user at one address
	ofToken
)

// counterKey names a counter. Address is empty for ofUser, user for ofAddress and ofToken.
type counterKey struct {
	kind          counterKind
	user, address string
}

func (k counterKey) allowance() allowance {
	switch k.kind {
	case ofAddress:
		return perAddress
	case ofToken:
		return perToken
	}
	return perUser
}

// throttle slows guessing. A counter is one point in time: each wrong try moves it forward by allowance.every, and a try
// is refused while it lies more than burst tries ahead of now. It decays by itself as time goes on.
//
// A password is counted for its user and for its address. But at an address where the user logged in within the last day,
// only the tries for that user from there count: else any stranger could lock out any user by guessing wrong.
type throttle struct {
	now func() time.Time

	mu       sync.Mutex
	counters map[counterKey]time.Time
	known    map[counterKey]time.Time // of kind ofPair; when it is forgotten
}

func newThrottle(now func() time.Time) *throttle {
	return &throttle{now: now, counters: map[counterKey]time.Time{}, known: map[counterKey]time.Time{}}
}

// passwordKeys returns the counters that judge a try at the password of user.
func (t *throttle) passwordKeys(user, address string) []counterKey {
	pair := counterKey{ofPair, user, address}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known[pair].After(t.now()) {
		return []counterKey{pair}
	}
	return []counterKey{{kind: ofUser, user: user}, {kind: ofAddress, address: address}}
}

// wait returns how long it takes until a try is allowed by all keys; 0 or less means now.
func (t *throttle) wait(keys ...counterKey) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.waitLocked(keys)
}

func (t *throttle) waitLocked(keys []counterKey) time.Duration {
	var most time.Duration
	now := t.now()
	for _, k := range keys {
		if at, there := t.counters[k]; there {
			a := k.allowance()
			most = max(most, at.Sub(now)-time.Duration(a.burst-1)*a.every)
		}
	}
	return most
}

// take counts a try before its outcome is known, so that tries made at once cannot slip through together, and returns 0;
// or it counts nothing and returns how long to wait.
func (t *throttle) take(keys ...counterKey) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d := t.waitLocked(keys); d > 0 {
		return d
	}
	now := t.now()
	for _, k := range keys {
		at, there := t.counters[k]
		if !there && len(t.counters) >= maxCounters {
			evict(t.counters)
		}
		if at.Before(now) {
			at = now
		}
		t.counters[k] = at.Add(k.allowance().every)
	}
	return 0
}

// giveBack undoes take, after a try that was right or that was never judged.
func (t *throttle) giveBack(keys ...counterKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	for _, k := range keys {
		at, there := t.counters[k]
		if at = at.Add(-k.allowance().every); !there || !at.After(now) {
			delete(t.counters, k)
			continue
		}
		t.counters[k] = at
	}
}

// remember makes address a known one for user.
func (t *throttle) remember(user, address string) {
	pair := counterKey{ofPair, user, address}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, there := t.known[pair]; !there && len(t.known) >= maxKnown {
		evict(t.known)
	}
	t.known[pair] = t.now().Add(knownFor)
}

// forget makes all addresses of user unknown, when the user is gone or has a new password.
func (t *throttle) forget(user string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k := range t.known {
		if k.user == user {
			delete(t.known, k)
		}
	}
}

// sweep removes what has decayed.
func (t *throttle) sweep() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	for _, m := range []map[counterKey]time.Time{t.counters, t.known} {
		for k, at := range m {
			if !at.After(now) {
				delete(m, k)
			}
		}
	}
}

// evict removes the earliest of a few entries taken at random (a map's order is). To flush a counter out this way takes
// about as many tries as there are counters, which the hashing alone makes slower than the decay.
func evict(m map[counterKey]time.Time) {
	var first counterKey
	var at time.Time
	n := 0
	for k, v := range m {
		if n == 0 || v.Before(at) {
			first, at = k, v
		}
		if n++; n == 16 {
			break
		}
	}
	delete(m, first)
}

// tooMany is the answer to a try that has to wait for d.
func tooMany(d time.Duration) *answer.Error {
	e := answer.Errorf(http.StatusTooManyRequests, "too_many_tries", "too many wrong tries; wait and try again")
	e.RetryAfter = max(1, int((d+time.Second-1)/time.Second))
	return e
}

// RemoteIP is the address a request came from, without the port. Forwarded headers are not looked at: anybody can send them.
func RemoteIP(r *http.Request) string {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return "unknown"
	}
	return ap.Addr().Unmap().WithZone("").String()
}

// addressKey is the part of an address that counts as one guesser: of IPv6 the first 64 bits, for a subscriber has them all.
func addressKey(r *http.Request) string {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return "unknown"
	}
	a := ap.Addr().Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	p, _ := a.Prefix(64) // fails only for more bits than an address has
	return p.String()
}
