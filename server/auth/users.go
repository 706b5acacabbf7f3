package auth

import (
	"context"
	"database/sql"
	"slices"
	"strings"
)

// UserRequest says what user is wanted. Without a Tenant it is that of the caller; without Namespaces the user sees all
// namespaces of the tenant, without Clusters all clusters. Names are unique over all tenants.
type UserRequest struct {
	Name       string   `json:"name"`
	Password   string   `json:"password"`
	Role       Role     `json:"role"`
	Tenant     string   `json:"tenant"`
	Namespaces []string `json:"namespaces"`
	Clusters   []string `json:"clusters"`
}

// UserChange says what is to become of a user; nil leaves a thing as it is.
type UserChange struct {
	Password *string `json:"password"`
	Role     *Role   `json:"role"`
	Disabled *bool   `json:"disabled"`
}

func (s *Store) user(name string) *user {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.users[name]
}

// Users returns the users that by may manage, by name.
func (s *Store) Users(by Principal) []User {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := []User{}
	for _, u := range s.users {
		if by.mayManage(u.principal) {
			all = append(all, u.User)
		}
	}
	slices.SortFunc(all, func(a, b User) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// CreateUser makes a user, who can do no more than by can. Its errors are *answer.Error where the caller is to blame.
func (s *Store) CreateUser(ctx context.Context, by Principal, req UserRequest) (User, error) {
	tenant, err := s.scope(by, req.Tenant, req.Namespaces, req.Clusters)
	if err != nil {
		return User{}, err
	}
	if err := checkUserName(req.Name); err != nil {
		return User{}, err
	}
	if err := checkPasswordForm("password", req.Password); err != nil {
		return User{}, err
	}
	if err := checkRole(req.Role); err != nil {
		return User{}, err
	}
	return s.insertUser(ctx, tenant, req)
}

func (s *Store) insertUser(ctx context.Context, tenant Tenant, req UserRequest) (User, error) {
	password, err := s.hasher.hash(ctx, req.Password)
	if err != nil {
		return User{}, err
	}
	u := newUser(User{
		Name: req.Name, Role: req.Role, Tenant: tenant.Name, Namespaces: slices.Clone(req.Namespaces), Clusters: slices.Clone(req.Clusters),
		Created: millis(s.opt.Now()),
	}, tenant.Number, password)

	defer s.changing(ctx)()
	if s.user(u.Name) != nil {
		return User{}, conflict("name: there is a user %q already", u.Name)
	}
	err = s.exec(ctx, "INSERT INTO users (name, tenant, role, namespaces, clusters, password, disabled, created) VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
		u.Name, tenant.Number, u.Role, patternsJSON(u.Namespaces), patternsJSON(u.Clusters), password, u.Created)
	if err != nil {
		return User{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[u.Name] = u
	return u.User, nil
}

// userFor returns a user whom by may manage. Others do not exist for by.
func (s *Store) userFor(by Principal, name string) (*user, error) {
	u := s.user(name)
	if u == nil || !by.mayManage(u.principal) {
		return nil, notFound("user", name)
	}
	return u, nil
}

// ChangeUser changes a user whom by may manage. A new password or disabling ends the sessions of the user. Its errors are
// *answer.Error where the caller is to blame.
func (s *Store) ChangeUser(ctx context.Context, by Principal, name string, c UserChange) error {
	return s.changeManaged(ctx, by, name, c, nil)
}

// changeManaged is ChangeUser, but leaves the session keep alone.
func (s *Store) changeManaged(ctx context.Context, by Principal, name string, c UserChange, keep *session) error {
	if _, err := s.userFor(by, name); err != nil { // before the work of hashing; it is looked at again under the lock
		return err
	}
	if c.Role != nil {
		if err := checkRole(*c.Role); err != nil {
			return err
		}
	}
	allowed := func(u *user) bool { return by.mayManage(u.principal) }
	return s.changeUser(ctx, name, c, keep, allowed)
}

// changeUser changes a user if allowed says so, once the lock is held.
func (s *Store) changeUser(ctx context.Context, name string, c UserChange, keep *session, allowed func(*user) bool) error {
	var password string
	if c.Password != nil {
		if err := checkPasswordForm("password", *c.Password); err != nil {
			return err
		}
		var err error
		if password, err = s.hasher.hash(ctx, *c.Password); err != nil {
			return err
		}
	}
	defer s.changing(ctx)()
	old := s.user(name)
	if old == nil || !allowed(old) {
		return notFound("user", name)
	}
	next := *old
	if c.Password != nil {
		next.password = password
	}
	if c.Role != nil {
		next.Role, next.principal.Role = *c.Role, *c.Role
	}
	if c.Disabled != nil {
		next.Disabled = *c.Disabled
	}
	if old.supreme() && !next.supreme() && s.lastSupreme(name) {
		return conflict("%q is the last enabled admin of the tenant %q; make another one first", name, DefaultTenantName)
	}
	endSessions := c.Password != nil || next.Disabled
	err := s.writeShared(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE users SET password = ?, role = ?, disabled = ? WHERE name = ?", next.password, next.Role, next.Disabled, name)
		if err == nil && endSessions {
			_, err = tx.ExecContext(ctx, "DELETE FROM sessions WHERE user = ? AND hash IS NOT ?", name, keep.key())
		}
		return err
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.users[name] = &next
	if endSessions {
		s.dropSessionsLocked(name, keep)
	}
	s.mu.Unlock()
	if c.Password != nil {
		s.throttle.forget(name)
	}
	return nil
}

// lastSupreme tells whether no other user than name can manage everything. The lock change must be held.
func (s *Store) lastSupreme(name string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, u := range s.users {
		if u.Name != name && u.supreme() {
			return false
		}
	}
	return true
}

// DeleteUser removes a user whom by may manage, with all sessions.
func (s *Store) DeleteUser(ctx context.Context, by Principal, name string) error {
	defer s.changing(ctx)()
	u, err := s.userFor(by, name)
	if err != nil {
		return err
	}
	if u.supreme() && s.lastSupreme(name) {
		return conflict("%q is the last enabled admin of the tenant %q; make another one first", name, DefaultTenantName)
	}
	if err := s.exec(ctx, "DELETE FROM users WHERE name = ?", name); err != nil { // its sessions go by the foreign key
		return err
	}
	s.mu.Lock()
	delete(s.users, name)
	s.dropSessionsLocked(name, nil)
	s.mu.Unlock()
	s.throttle.forget(name)
	return nil
}
