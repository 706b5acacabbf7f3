package auth

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// TokenRequest says what token is wanted. Without a Tenant it is that of the caller; without Namespaces the token sees all
// namespaces of the tenant, without Clusters all clusters. Without Expires it is valid for ever; one in the past gives a token that is refused from the start.
type TokenRequest struct {
	Name       string     `json:"name"`
	Role       Role       `json:"role"`
	Tenant     string     `json:"tenant"`
	Namespaces []string   `json:"namespaces"`
	Clusters   []string   `json:"clusters"`
	Expires    *time.Time `json:"expires"`
}

// CreateToken makes a token and returns its id and its secret, which is kept nowhere. The token can do no more than by can.
// Its errors are *answer.Error where the caller is to blame.
func (s *Store) CreateToken(ctx context.Context, by Principal, req TokenRequest) (id, secret string, err error) {
	tenant, err := s.scope(by, req.Tenant, req.Namespaces, req.Clusters)
	if err != nil {
		return "", "", err
	}
	if err := checkTokenName(req.Name); err != nil {
		return "", "", err
	}
	if err := checkRole(req.Role); err != nil {
		return "", "", err
	}
	t := Token{
		ID: hex.EncodeToString(random(8)), Name: req.Name, Role: req.Role, Tenant: tenant.Name,
		Namespaces: slices.Clone(req.Namespaces), Clusters: slices.Clone(req.Clusters), Created: millis(s.opt.Now()), CreatedBy: by.Name,
	}
	if req.Expires != nil {
		t.Expires = max(1, millis(*req.Expires)) // 0 would mean never
	}
	secret, h := newToken()
	e := newTokenEntry(t, tenant.Number, h)

	defer s.changing(ctx)()
	err = s.exec(ctx, `INSERT INTO tokens (id, name, tenant, role, namespaces, clusters, hash, created, created_by, expires, last_used)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`,
		t.ID, t.Name, tenant.Number, t.Role, patternsJSON(t.Namespaces), patternsJSON(t.Clusters), h[:], t.Created, t.CreatedBy, t.Expires)
	if err != nil {
		return "", "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[h], s.tokenIDs[t.ID] = e, e
	return t.ID, secret, nil
}

// tokenFor returns a token that by may manage. Others do not exist for by.
func (s *Store) tokenFor(by Principal, id string) (*token, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	e := s.tokenIDs[id]
	if e == nil || !by.mayManage(e.principal) {
		return nil, notFound("token", id)
	}
	return e, nil
}

// RevokeToken removes a token. When it returns, no request is let in with it any more.
func (s *Store) RevokeToken(ctx context.Context, by Principal, id string) error {
	defer s.changing(ctx)()
	e, err := s.tokenFor(by, id)
	if err != nil {
		return err
	}
	if err := s.exec(ctx, "DELETE FROM tokens WHERE id = ?", id); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, e.hash)
	delete(s.tokenIDs, id)
	return nil
}

// RotateToken gives a token a new secret and returns it; the old one is refused from then on. Its id stays, and with it
// the client identity of the ledger.
func (s *Store) RotateToken(ctx context.Context, by Principal, id string) (secret string, err error) {
	defer s.changing(ctx)()
	old, err := s.tokenFor(by, id)
	if err != nil {
		return "", err
	}
	secret, h := newToken()
	if err := s.exec(ctx, "UPDATE tokens SET hash = ? WHERE id = ?", h[:], id); err != nil {
		return "", err
	}
	e := &token{Token: old.Token, hash: h, principal: old.principal, used: old.used}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, old.hash)
	s.tokens[h], s.tokenIDs[id] = e, e
	return secret, nil
}

// Tokens returns the tokens that by may manage, by name.
func (s *Store) Tokens(by Principal) []Token {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := []Token{}
	for _, e := range s.tokenIDs {
		if by.mayManage(e.principal) {
			t := e.Token
			t.LastUsed = e.used.load()
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b Token) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}
