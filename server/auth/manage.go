package auth

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/tallylog/tally/server/answer"
)

func (s *Store) listTokens(w http.ResponseWriter, r *http.Request) error {
	answer.JSON(w, http.StatusOK, map[string]any{"tokens": s.Tokens(grantOf(r).Principal)})
	return nil
}

func (s *Store) postToken(w http.ResponseWriter, r *http.Request) error {
	var req TokenRequest
	if err := decode(w, r, &req); err != nil {
		return err
	}
	by := grantOf(r).Principal
	id, secret, err := s.CreateToken(r.Context(), by, req)
	if err != nil {
		return err
	}
	s.Audit(by, RemoteIP(r), "token.create", fmt.Sprintf("id=%s name=%q role=%s tenant=%s namespaces=%s clusters=%s",
		id, req.Name, req.Role, req.Tenant, strings.Join(req.Namespaces, ","), strings.Join(req.Clusters, ",")))
	answer.JSON(w, http.StatusOK, map[string]string{"id": id, "token": secret})
	return nil
}

func (s *Store) deleteToken(w http.ResponseWriter, r *http.Request) error {
	by, id := grantOf(r).Principal, r.PathValue("id")
	if err := s.RevokeToken(r.Context(), by, id); err != nil {
		return err
	}
	s.Audit(by, RemoteIP(r), "token.revoke", "id="+id)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Store) rotateToken(w http.ResponseWriter, r *http.Request) error {
	by, id := grantOf(r).Principal, r.PathValue("id")
	secret, err := s.RotateToken(r.Context(), by, id)
	if err != nil {
		return err
	}
	s.Audit(by, RemoteIP(r), "token.rotate", "id="+id)
	answer.JSON(w, http.StatusOK, map[string]string{"id": id, "token": secret})
	return nil
}

func (s *Store) listUsers(w http.ResponseWriter, r *http.Request) error {
	answer.JSON(w, http.StatusOK, map[string]any{"users": s.Users(grantOf(r).Principal)})
	return nil
}

func (s *Store) postUser(w http.ResponseWriter, r *http.Request) error {
	var req UserRequest
	if err := decode(w, r, &req); err != nil {
		return err
	}
	by := grantOf(r).Principal
	u, err := s.CreateUser(r.Context(), by, req)
	if err != nil {
		return err
	}
	s.Audit(by, RemoteIP(r), "user.create", fmt.Sprintf("name=%s role=%s tenant=%s namespaces=%s clusters=%s",
		u.Name, u.Role, u.Tenant, strings.Join(u.Namespaces, ","), strings.Join(u.Clusters, ",")))
	answer.JSON(w, http.StatusOK, u)
	return nil
}

func (s *Store) patchUser(w http.ResponseWriter, r *http.Request) error {
	var c UserChange
	if err := decode(w, r, &c); err != nil {
		return err
	}
	if c == (UserChange{}) {
		return answer.Errorf(http.StatusBadRequest, "invalid", "want at least one of password, role and disabled")
	}
	g, name := grantOf(r), r.PathValue("name")
	if err := s.changeManaged(r.Context(), g.Principal, name, c, g.session); err != nil {
		return err
	}
	detail := "name=" + name
	if c.Password != nil {
		detail += " password"
	}
	if c.Role != nil {
		detail += fmt.Sprintf(" role=%s", *c.Role)
	}
	if c.Disabled != nil {
		detail += fmt.Sprintf(" disabled=%t", *c.Disabled)
	}
	s.Audit(g.Principal, RemoteIP(r), "user.change", detail)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Store) deleteUser(w http.ResponseWriter, r *http.Request) error {
	by, name := grantOf(r).Principal, r.PathValue("name")
	if err := s.DeleteUser(r.Context(), by, name); err != nil {
		return err
	}
	s.Audit(by, RemoteIP(r), "user.delete", "name="+name)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// listTenants shows an admin of all tenants all of them, and any other admin their own.
func (s *Store) listTenants(w http.ResponseWriter, r *http.Request) error {
	by := grantOf(r).Principal
	mine := []Tenant{}
	for _, t := range s.Tenants() {
		if by.AllTenants() || t.Number == by.TenantID {
			mine = append(mine, t)
		}
	}
	answer.JSON(w, http.StatusOK, map[string]any{"tenants": mine})
	return nil
}

func (s *Store) postTenant(w http.ResponseWriter, r *http.Request) error {
	var req struct {
		Name string `json:"name"`
	}
	if err := decode(w, r, &req); err != nil {
		return err
	}
	by := grantOf(r).Principal
	t, err := s.CreateTenant(r.Context(), by, req.Name)
	if err != nil {
		return err
	}
	s.Audit(by, RemoteIP(r), "tenant.create", "name="+t.Name)
	answer.JSON(w, http.StatusOK, t)
	return nil
}

// listAudit takes limit (1 to 1000, default 100) and before (an id: only older entries).
func (s *Store) listAudit(w http.ResponseWriter, r *http.Request) error {
	limit, before := int64(100), int64(0)
	for name, to := range map[string]*int64{"limit": &limit, "before": &before} {
		text := r.URL.Query().Get(name)
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 || name == "limit" && n > 1000 {
			return invalid(name, "want a whole number from 1 on (limit: to 1000)")
		}
		*to = n
	}
	entries, err := s.AuditEntries(r.Context(), grantOf(r).Principal, before, int(limit))
	if err != nil {
		return err
	}
	ans := map[string]any{"audit": entries}
	if len(entries) == int(limit) {
		ans["cursor"] = strconv.FormatInt(entries[limit-1].ID, 10)
	}
	answer.JSON(w, http.StatusOK, ans)
	return nil
}
