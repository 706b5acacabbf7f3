package siblings

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tallylog/tally/server/answer"
)

// Path is where servers ask each other. It is no part of the API.
const Path = "/cluster/"

const (
	headerTo    = "Tally-To"   // id of the server that is meant
	headerTime  = "Tally-Time" // of the clock of that server, as far as the other knows it, in milliseconds since 1970; a dot; a text used once
	headerSign  = "Tally-Signature"
	headerHead  = "Tally-To-Signature" // of all that is known before the body
	headerClock = "Tally-Clock"        // with the refusal of a request: the clock that it should have gone by
	// skew is how old a request may be. Clocks need not agree: one that is refused for its time is told the right one.
	skew = time.Minute
	// maxCall bounds a request; the largest batch of intake is smaller.
	maxCall = 1 << 30
)

// sign is the signature of a request, or, with that as what, of its answer.
func sign(secret []byte, body []byte, what ...string) string {
	h := hmac.New(sha256.New, secret)
	sum := sha256.Sum256(body)
	fmt.Fprintf(h, "%q\n%x", what, sum)
	return hex.EncodeToString(h.Sum(nil))
}

// Handle makes f answer calls under a name. All are made known before the first Serve.
func (g *Group) Handle(name string, f func(ctx context.Context, body []byte) ([]byte, error)) {
	g.calls[name] = f
}

// ServeHTTP answers the other servers.
func (g *Group) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, Path)
	f := g.calls[name]
	_, secret := g.leases.members()
	if f == nil || r.Method != http.MethodPost || secret == nil {
		answer.Fail(w, answer.Errorf(http.StatusNotFound, "not_found", "there is no %s %.200s", r.Method, r.URL.Path))
		return
	}
	// Before the signature is known to be right nothing is believed, least of all a length.
	share := g.budget.Share()
	defer share.Release()
	if r.ContentLength < 0 || r.ContentLength > maxCall {
		answer.Fail(w, answer.Errorf(http.StatusRequestEntityTooLarge, "too_large", "the request has no length, or too much of it"))
		return
	}
	head := r.Header.Get(headerSign)
	if !hmac.Equal([]byte(r.Header.Get(headerHead)), []byte(sign(secret, nil, "head", name, r.Header.Get(headerTo), r.Header.Get(headerTime), head, strconv.FormatInt(r.ContentLength, 10)))) {
		answer.Fail(w, answer.Errorf(http.StatusUnauthorized, "unauthorized", "the signature is wrong"))
		return
	}
	if r.Header.Get(headerTo) != g.leases.id {
		answer.Fail(w, answer.Errorf(http.StatusUnauthorized, "unauthorized", "the request is for another server"))
		return
	}
	now := g.leases.now()
	switch g.once.admit(r.Header.Get(headerTime), now) {
	case isStale:
		clock := strconv.FormatInt(now.UnixMilli(), 10)
		w.Header().Set(headerClock, clock)
		w.Header().Set(headerSign, sign(secret, nil, "clock", head, clock))
		answer.Fail(w, answer.Errorf(http.StatusUnauthorized, "clock", "the request is too old, or from the future"))
		return
	case isKnown:
		answer.Fail(w, answer.Errorf(http.StatusUnauthorized, "unauthorized", "the request was made before"))
		return
	}
	if err := share.Grow(r.Context(), r.ContentLength); err != nil {
		answer.Fail(w, err)
		return
	}
	body := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, body); err != nil || !hmac.Equal([]byte(head), []byte(sign(secret, body, name, r.Header.Get(headerTo), r.Header.Get(headerTime)))) {
		answer.Fail(w, answer.Errorf(http.StatusUnauthorized, "unauthorized", "the body is not what was signed"))
		return
	}
	out, err := f(r.Context(), body)
	if err != nil {
		if !errors.Is(err, errElsewhere) && r.Context().Err() == nil {
			g.log.Warn("cannot do what another server asks for", "what", name, "error", err)
		}
		answer.Fail(w, answer.Errorf(http.StatusServiceUnavailable, "unavailable", "%v", err))
		return
	}
	w.Header().Set(headerSign, sign(secret, out, "answer", head))
	_, _ = w.Write(out)
}

// Call asks another server.
func (g *Group) Call(ctx context.Context, id, name string, body []byte) ([]byte, error) {
	members, secret := g.leases.members()
	m, there := members[id]
	if !there {
		return nil, fmt.Errorf("there is no server %q", id)
	}
	out, err := g.call(ctx, id, m, secret, name, body)
	if errors.Is(err, errClock) { // which is known now
		out, err = g.call(ctx, id, m, secret, name, body)
	}
	return out, err
}

// errClock means that a request was refused for its time.
var errClock = errors.New("its clock is another")

func (g *Group) call(ctx context.Context, id string, m Member, secret []byte, name string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.URL+Path+name, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("cannot ask the server %s: %w", m.Name, err)
	}
	at := fmt.Sprintf("%d.%s", g.leases.now().Add(g.once.ahead(id)).UnixMilli(), rand.Text())
	signed := sign(secret, body, name, id, at)
	req.Header.Set(headerTo, id)
	req.Header.Set(headerTime, at)
	req.Header.Set(headerSign, signed)
	req.Header.Set(headerHead, sign(secret, nil, "head", name, id, at, signed, strconv.Itoa(len(body))))
	resp, err := g.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the server %s: %w", m.Name, err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(io.LimitReader(resp.Body, maxCall))
	if err != nil {
		return nil, fmt.Errorf("cannot read the answer of the server %s: %w", m.Name, err)
	}
	given := []byte(resp.Header.Get(headerSign))
	if clock := resp.Header.Get(headerClock); resp.StatusCode == http.StatusUnauthorized && clock != "" && hmac.Equal(given, []byte(sign(secret, nil, "clock", signed, clock))) {
		ms, err := strconv.ParseInt(clock, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("cannot understand the clock of the server %s: %w", m.Name, err)
		}
		g.once.learn(id, time.UnixMilli(ms).Sub(g.leases.now().Round(0)))
		return nil, fmt.Errorf("the server %s refuses a request: %w", m.Name, errClock)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server %s answers %d: %.300s", m.Name, resp.StatusCode, out)
	}
	if !hmac.Equal(given, []byte(sign(secret, out, "answer", signed))) {
		return nil, fmt.Errorf("what answers at the address of the server %s is not that server", m.Name)
	}
	return out, nil
}

// All asks all other servers at once, and returns the answers of those that answer before ctx is done, by their ids, and the errors of the rest.
func (g *Group) All(ctx context.Context, name string, body []byte) (answers map[string][]byte, failed map[string]error) {
	answers, failed = map[string][]byte{}, map[string]error{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for id := range g.Members() {
		if id == g.ID() {
			continue
		}
		group.Go(func() {
			b, err := g.Call(ctx, id, name, body)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[id] = err
			} else {
				answers[id] = b
			}
		})
	}
	group.Wait()
	return answers, failed
}
