package auth

import (
	"cmp"
	"context"
	"slices"
)

func (s *Store) tenant(name string) (Tenant, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t, ok := s.tenants[name]
	return t, ok
}

// TenantNumber gives the number of a tenant.
func (s *Store) TenantNumber(name string) (number uint32, ok bool) {
	t, ok := s.tenant(name)
	return t.Number, ok
}

// Tenants returns all tenants by number, "default" first.
func (s *Store) Tenants() []Tenant {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]Tenant, 0, len(s.tenants))
	for _, t := range s.tenants {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b Tenant) int { return cmp.Compare(a.Number, b.Number) })
	return all
}

// CreateTenant makes a tenant under the next free number. Tenants cannot be removed, so a number always means the same one.
// Its errors are *answer.Error where the caller is to blame.
func (s *Store) CreateTenant(ctx context.Context, by Principal, name string) (Tenant, error) {
	if !by.AllTenants() {
		return Tenant{}, forbidden("only an admin of the tenant %q that no namespace narrows may make tenants", DefaultTenantName)
	}
	if !tenantName.MatchString(name) {
		return Tenant{}, invalid("name", "want 1 to 63 of the characters a-z 0-9 _ -, the first a letter or digit")
	}
	defer s.changing(ctx)()
	if _, there := s.tenant(name); there {
		return Tenant{}, conflict("name: there is a tenant %q already", name)
	}
	all := s.Tenants()
	t := Tenant{Number: all[len(all)-1].Number + 1, Name: name, Created: millis(s.opt.Now())}
	err := s.exec(ctx, "INSERT INTO tenants (number, name, created) VALUES (?, ?, ?)", t.Number, t.Name, t.Created)
	if err != nil {
		return Tenant{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tenants[t.Name], s.numbers[t.Number] = t, t
	return t, nil
}
