package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"

	"github.com/tallylog/tally/server/answer"
)

// client is where a request came from: its address, and the part of it that is counted as one guesser.
type client struct{ ip, key string }

func clientOf(r *http.Request) client { return client{ip: RemoteIP(r), key: addressKey(r)} }

// Authenticate tells who sent r: by its Authorization header (Bearer token; Basic with user and password, or with a token as
// the password), or without one by the session cookie. A header that is wrong is not made good by a cookie.
//
// Its errors are *answer.Error: 401 for no, wrong, expired or revoked credentials and for a token in the URL; 403 where a
// cookie comes without its CSRF header on a method other than GET and HEAD; 429 after too many wrong tries. A valid token or
// session is never slowed by wrong tries of others. Anything else is an internal error.
func (s *Store) Authenticate(r *http.Request) (Principal, error) {
	g, err := s.authenticate(r)
	return g.Principal, err
}

func (s *Store) authenticate(r *http.Request) (grant, error) {
	if tokenInURL(r.URL) {
		return grant{}, answer.Errorf(http.StatusUnauthorized, "token_in_url", "a token in the URL is not accepted: send it in the Authorization header, and replace this one, for URLs are logged")
	}
	header := r.Header["Authorization"]
	if len(header) == 0 {
		return s.bySession(r)
	}
	if len(header) > 1 {
		return grant{}, answer.Errorf(http.StatusUnauthorized, "unauthorized", "more than one Authorization header")
	}
	c, ok := parseAuthorization(header[0])
	if !ok {
		return grant{}, answer.Errorf(http.StatusUnauthorized, "unauthorized", "the Authorization header is neither Bearer with a token nor Basic with a user and a password")
	}
	if c.token != "" {
		return s.byToken(c.token, r)
	}
	u, err := s.checkPassword(r.Context(), c.user, c.password, clientOf(r))
	if err != nil {
		return grant{}, err
	}
	return grant{Principal: u.principal, holds: func() bool {
		now := s.user(u.Name)
		return now != nil && !now.Disabled && now.password == u.password && now.principal.same(u.principal)
	}}, nil
}

// Holds tells whether what Require let a request through for is still so: its credentials are neither revoked nor expired, and
// neither their role nor their scope was changed. It costs a look into memory, and is for answers that go on for long.
func (s *Store) Holds(ctx context.Context) bool {
	g, ok := ctx.Value(grantKey{}).(*grant)
	return ok && g.holds != nil && g.holds()
}

// byToken looks a token up by its hash. The time of the lookup may tell how much of a hash was right, but nobody can choose
// a secret by its hash, so nothing follows from it.
func (s *Store) byToken(secret string, r *http.Request) (grant, error) {
	h := sha256.Sum256([]byte(secret))
	s.mu.RLock()
	t := s.tokens[h]
	s.mu.RUnlock()
	if t == nil {
		if d := s.throttle.take(counterKey{kind: ofToken, address: addressKey(r)}); d > 0 {
			return grant{}, tooMany(d)
		}
		return grant{}, errCredentials
	}
	now := millis(s.opt.Now())
	if t.expired(now) {
		return grant{}, errCredentials
	}
	t.used.note(now)
	return grant{Principal: t.principal, holds: func() bool {
		s.mu.RLock()
		again := s.tokens[h]
		s.mu.RUnlock()
		return again != nil && !again.expired(millis(s.opt.Now())) && again.principal.same(t.principal)
	}}, nil
}

func (s *Store) bySession(r *http.Request) (grant, error) {
	cookie, err := r.Cookie(CookieName)
	if err != nil {
		return grant{}, answer.Errorf(http.StatusUnauthorized, "unauthorized", "credentials are needed: a token, or a user and a password")
	}
	now := millis(s.opt.Now())
	h := sha256.Sum256([]byte(cookie.Value))
	e, u := s.sessionOf(h)
	if u == nil {
		return grant{}, answer.Errorf(http.StatusUnauthorized, "unauthorized", "the session has ended; log in again")
	}
	csrf := csrfOf(cookie.Value)
	if !isSafe(r.Method) && subtle.ConstantTimeCompare([]byte(csrf), []byte(r.Header.Get(CSRFHeader))) != 1 {
		return grant{}, answer.Errorf(http.StatusForbidden, "csrf", "the header %s is missing or wrong", CSRFHeader)
	}
	e.used.note(now)
	return grant{Principal: u.principal, session: e, csrf: csrf, holds: func() bool {
		e, again := s.sessionOf(h)
		if again == nil || !again.principal.same(u.principal) {
			return false
		}
		e.used.note(millis(s.opt.Now())) // who watches a tail is there
		return true
	}}, nil
}

// sessionOf returns a session that has not ended and its user; nil for any other.
func (s *Store) sessionOf(h hash) (*session, *user) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	e := s.sessions[h]
	if e == nil {
		return nil, nil
	}
	u := s.users[e.user]
	if u == nil || u.Disabled || e.expired(millis(s.opt.Now()), s.opt.SessionIdle, s.opt.SessionMax) {
		return nil, nil
	}
	return e, u
}

// Require lets only those requests through to h whose principal may do a, which FromContext then finds in their context.
func (s *Store) Require(a Action, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var g grant
		var err error
		if who, ok := r.Context().Value(trustKey{}).(Principal); ok {
			g.Principal = who
		} else {
			g, err = s.authenticate(r)
		}
		if err == nil && !g.Allows(a) {
			err = forbidden("the role %q may not do this", g.Role)
		}
		if err != nil {
			s.fail(w, r, err)
			return
		}
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), grantKey{}, &g)))
	})
}

type trustKey struct{}

// Trust returns a context for a request in the name of p that was authenticated before, by this server or by another of the same documents:
// Require looks only at what p may do.
func Trust(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, trustKey{}, p)
}

// fail answers with err, and logs it where the answer does not tell.
func (s *Store) fail(w http.ResponseWriter, r *http.Request, err error) {
	var e *answer.Error
	if !errors.As(err, &e) && r.Context().Err() == nil {
		s.opt.Log.Error("cannot answer a request", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	answer.Fail(w, err)
}
