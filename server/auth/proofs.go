package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/tallylog/tally/server/answer"
)

const (
	proofFor     = time.Minute // how long a verified password is taken without hashing it again
	maxProofs    = 1024
	maxWaiting   = 128 // passwords being verified, or waiting for it
	verifyWithin = 15 * time.Second
)

// errCredentials does not tell what was wrong, so that nobody learns what exists.
var errCredentials = answer.Errorf(http.StatusUnauthorized, "unauthorized", "the credentials are wrong, expired or revoked")

// proofs remembers for a short time which passwords were right, so that a client that sends Basic credentials with each
// request pays for argon2id once a minute. What it keeps is a hash under a key that only this process knows, in memory.
// A proof holds for the user as they were: any change makes a new *user, and with it all proofs of the old one void.
//
// Requests with the same credentials that come while they are being verified wait for that one outcome. That makes them
// one try for the throttle too, which they are: no more can be learned from them than from one.
type proofs struct {
	key []byte

	mu      sync.Mutex
	m       map[hash]*proof
	waiting int
}

// proof is the outcome of one verification. The fields below done are set before it is closed.
type proof struct {
	done  chan struct{}
	user  *user
	err   error
	until time.Time
}

func (p *proof) finished() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func newProofs() *proofs { return &proofs{key: random(sha256.Size), m: map[hash]*proof{}} }

func (ps *proofs) id(name, password string) (id hash) {
	m := hmac.New(sha256.New, ps.key)
	m.Write(binary.AppendUvarint(nil, uint64(len(name)))) // else the end of one could be the beginning of the other
	m.Write([]byte(name))
	m.Write([]byte(password))
	m.Sum(id[:0])
	return id
}

// find returns the proof for id that holds or is on its way, or a new one, which the caller must finish (mine). It returns
// nil when too many are on their way.
func (ps *proofs) find(id hash, now time.Time, current *user) (p *proof, mine bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p = ps.m[id]; p != nil && (!p.finished() || p.user == current && now.Before(p.until)) {
		return p, false
	}
	if ps.waiting >= maxWaiting {
		return nil, false
	}
	if len(ps.m) >= maxProofs {
		ps.evict(now)
	}
	p = &proof{done: make(chan struct{})}
	ps.m[id] = p
	ps.waiting++
	return p, true
}

// evict makes room: it removes what has expired, or else any one that is finished.
func (ps *proofs) evict(now time.Time) {
	var last hash
	expired, found := false, false
	for id, p := range ps.m {
		if !p.finished() {
			continue
		}
		last, found = id, true
		if !now.Before(p.until) {
			delete(ps.m, id)
			expired = true
		}
	}
	if found && !expired {
		delete(ps.m, last)
	}
}

// finish makes the outcome known. Only a right password is remembered.
func (ps *proofs) finish(id hash, p *proof, u *user, err error, until time.Time) {
	p.user, p.err, p.until = u, err, until
	ps.mu.Lock()
	ps.waiting--
	if err != nil {
		delete(ps.m, id)
	}
	ps.mu.Unlock()
	close(p.done)
}

// checkPassword returns the user whose name and password these are: errCredentials if they are nobody's, a 429 if there
// were too many wrong ones. A right password has to wait too, else the wait would not slow a guesser down.
func (s *Store) checkPassword(ctx context.Context, name, password string, from client) (*user, error) {
	counted := name
	if !userName.MatchString(name) {
		counted = "" // nobody has such a name; all of them share one counter, which bounds its size
	}
	keys := s.throttle.passwordKeys(counted, from.key)
	if d := s.throttle.wait(keys...); d > 0 {
		return nil, tooMany(d)
	}
	id := s.proofs.id(name, password)
	p, mine := s.proofs.find(id, s.opt.Now(), s.user(name))
	if p == nil {
		return nil, tooMany(5 * time.Second)
	}
	if mine {
		// On a goroutine of its own: others may be waiting for the outcome when this caller hangs up.
		go s.prove(id, p, name, password, keys, from)
	}
	select {
	case <-p.done:
		if p.err != nil {
			return nil, p.err
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	// The user may have been changed since the proof was made, and that change may have been answered already.
	now := s.user(name)
	if now == nil || now.Disabled || now.password != p.user.password {
		return nil, errCredentials
	}
	return now, nil
}

func (s *Store) prove(id hash, p *proof, name, password string, keys []counterKey, from client) {
	var u *user
	var err error = errCredentials
	defer func() { s.proofs.finish(id, p, u, err, s.opt.Now().Add(proofFor)) }()
	if d := s.throttle.take(keys...); d > 0 {
		err = tooMany(d)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), verifyWithin)
	defer cancel()
	known := s.user(name)
	stored := ""
	if known != nil && !known.Disabled {
		stored = known.password
	}
	ok, hashErr := s.hasher.matches(ctx, password, stored)
	switch now := s.user(name); {
	case errors.Is(hashErr, context.DeadlineExceeded):
		s.throttle.giveBack(keys...)
		err = tooMany(5 * time.Second)
	case hashErr != nil:
		err = hashErr
	case ok && now != nil && !now.Disabled && now.password == stored: // unless it changed while the hash was computed
		s.throttle.giveBack(keys...)
		s.throttle.remember(name, from.key)
		u, err = now, nil
	default:
		s.auditWrongPassword(known, from, s.throttle.wait(keys...) > 0)
	}
}

// auditWrongPassword notes a wrong try. A name that nobody has is left out: it may be a password in the wrong field.
func (s *Store) auditWrongPassword(u *user, from client, blocked bool) {
	p := Principal{Name: "unknown"}
	if u != nil {
		p = u.principal
	}
	detail := ""
	if blocked {
		detail = "further tries have to wait"
	}
	s.Audit(p, from.ip, "password.wrong", detail)
}
