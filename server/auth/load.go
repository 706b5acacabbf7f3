package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// load reads everything but the audit log into memory.
func (s *Store) load(ctx context.Context) error {
	for _, step := range []struct {
		what string
		read func(context.Context) error
	}{{"tenants", s.loadTenants}, {"users", s.loadUsers}, {"tokens", s.loadTokens}, {"sessions", s.loadSessions}} {
		if err := step.read(ctx); err != nil {
			return fmt.Errorf("cannot read the %s: %w", step.what, err)
		}
	}
	return nil
}

type scan func(to ...any) error

func (s *Store) loadTenants(ctx context.Context) error {
	return s.each(ctx, "SELECT number, name, created FROM tenants", func(scan scan) error {
		var t Tenant
		if err := scan(&t.Number, &t.Name, &t.Created); err != nil {
			return err
		}
		s.tenants[t.Name], s.numbers[t.Number] = t, t
		return nil
	})
}

func (s *Store) loadUsers(ctx context.Context) error {
	const query = "SELECT name, tenant, role, namespaces, clusters, password, disabled, created FROM users"
	return s.each(ctx, query, func(scan scan) error {
		var u User
		var tenant uint32
		var namespaces, clusters, password string
		if err := scan(&u.Name, &tenant, &u.Role, &namespaces, &clusters, &password, &u.Disabled, &u.Created); err != nil {
			return err
		}
		if err := errors.Join(json.Unmarshal([]byte(namespaces), &u.Namespaces), json.Unmarshal([]byte(clusters), &u.Clusters)); err != nil {
			return fmt.Errorf("cannot read the scope of user %q: %w", u.Name, err)
		}
		u.Tenant = s.numbers[tenant].Name
		s.users[u.Name] = newUser(u, tenant, password)
		return nil
	})
}

func (s *Store) loadTokens(ctx context.Context) error {
	const query = "SELECT id, name, tenant, role, namespaces, clusters, hash, created, created_by, expires, last_used FROM tokens"
	return s.each(ctx, query, func(scan scan) error {
		var t Token
		var tenant uint32
		var namespaces, clusters string
		var h []byte
		if err := scan(&t.ID, &t.Name, &tenant, &t.Role, &namespaces, &clusters, &h, &t.Created, &t.CreatedBy, &t.Expires, &t.LastUsed); err != nil {
			return err
		}
		err := errors.Join(json.Unmarshal([]byte(namespaces), &t.Namespaces), json.Unmarshal([]byte(clusters), &t.Clusters))
		if err != nil || len(h) != len(hash{}) {
			return errors.Join(fmt.Errorf("cannot read the scope and the hash of token %q", t.ID), err)
		}
		t.Tenant = s.numbers[tenant].Name
		e := newTokenEntry(t, tenant, hash(h))
		s.tokens[e.hash], s.tokenIDs[t.ID] = e, e
		return nil
	})
}

func (s *Store) loadSessions(ctx context.Context) error {
	return s.each(ctx, "SELECT hash, user, created, last_used FROM sessions", func(scan scan) error {
		var h []byte
		var user string
		var created, used Millis
		if err := scan(&h, &user, &created, &used); err != nil {
			return err
		}
		if len(h) != len(hash{}) {
			return fmt.Errorf("cannot read a session of user %q: its hash has %d bytes", user, len(h))
		}
		s.sessions[hash(h)] = &session{hash: hash(h), user: user, created: created, used: newLastUse(used)}
		return nil
	})
}

// each calls f for each row of a query.
func (s *Store) each(ctx context.Context, query string, f func(scan scan) error, args ...any) error {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
