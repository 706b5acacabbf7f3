package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/tallylog/tally/server/answer"
)

// maxBody bounds the body of a request to these handlers.
const maxBody = 64 << 10

// Routes adds the handlers of access control to mux. Lists are objects with one key: {"tokens":[…]}, {"users":[…]},
// {"tenants":[…]}, {"audit":[…]}. What makes something answers 200 with it; what only changes or ends something, 204.
func (s *Store) Routes(mux *http.ServeMux) {
	for pattern, f := range map[string]func(http.ResponseWriter, *http.Request) error{
		"POST /api/v1/logout":      s.logout,
		"GET /api/v1/me":           s.me,
		"POST /api/v1/me/password": s.changeOwnPassword,
	} {
		mux.Handle(pattern, s.Require(Enter, s.handler(f)))
	}
	for pattern, f := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /api/v1/searches":           s.listSearches,
		"PUT /api/v1/searches/{name}":    s.putSearch,
		"DELETE /api/v1/searches/{name}": s.deleteSearch,
	} {
		mux.Handle(pattern, s.Require(Read, s.handler(f)))
	}
	for pattern, f := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /api/v1/tokens":              s.listTokens,
		"POST /api/v1/tokens":             s.postToken,
		"DELETE /api/v1/tokens/{id}":      s.deleteToken,
		"POST /api/v1/tokens/{id}/rotate": s.rotateToken,
		"GET /api/v1/users":               s.listUsers,
		"POST /api/v1/users":              s.postUser,
		"PATCH /api/v1/users/{name}":      s.patchUser,
		"DELETE /api/v1/users/{name}":     s.deleteUser,
		"GET /api/v1/tenants":             s.listTenants,
		"POST /api/v1/tenants":            s.postTenant,
		"GET /api/v1/audit":               s.listAudit,
	} {
		mux.Handle(pattern, s.Require(Manage, s.handler(f)))
	}
	mux.Handle("POST /api/v1/login", s.handler(s.login))
}

// handler makes a handler of a function that either answers or returns an error. The answers hold secrets and the state of
// the moment, so no cache may keep them.
func (s *Store) handler(f func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if err := f(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

// decode reads the JSON object of a request's body into v. Its errors name the key at fault and never repeat a value, for
// that may be a password.
func decode(w http.ResponseWriter, r *http.Request, v any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return answer.Errorf(http.StatusRequestEntityTooLarge, "too_large", "the body has more than %d bytes", maxBody)
	}
	if err != nil {
		return answer.Errorf(http.StatusBadRequest, "invalid", "the body could not be read")
	}
	if body = bytes.TrimSpace(body); len(body) == 0 || body[0] != '{' {
		return answer.Errorf(http.StatusBadRequest, "invalid", "the body is not a JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err = d.Decode(v)
	var wrongType *json.UnmarshalTypeError
	switch {
	case err == nil:
		if _, err := d.Token(); err != io.EOF {
			return answer.Errorf(http.StatusBadRequest, "invalid", "something follows the JSON object of the body")
		}
		return nil
	case errors.As(err, &wrongType):
		return invalid(wrongType.Field, "want %s, not %s", wanted(wrongType), wrongType.Value)
	case strings.HasPrefix(err.Error(), "json: unknown field "): // the package has no type for this error
		return answer.Errorf(http.StatusBadRequest, "invalid", "unknown key %s", strings.TrimPrefix(err.Error(), "json: unknown field "))
	case strings.Contains(err.Error(), "parsing time") || strings.Contains(err.Error(), "Time.UnmarshalJSON"):
		return invalid("expires", "want a time as in RFC 3339") // the only time in these requests
	}
	return answer.Errorf(http.StatusBadRequest, "invalid", "the body is not valid JSON")
}

func wanted(e *json.UnmarshalTypeError) string {
	switch e.Type.Kind().String() {
	case "bool":
		return "true or false"
	case "slice":
		return "an array of strings"
	}
	return "a " + e.Type.Kind().String()
}

func (s *Store) login(w http.ResponseWriter, r *http.Request) error {
	// A page of another site could log its visitor in as somebody else. Browsers tell where a request comes from.
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		return forbidden("a page of another site cannot log in here")
	}
	var req struct {
		User     string `json:"user"`
		Password string `json:"password"`
	}
	if err := decode(w, r, &req); err != nil {
		return err
	}
	if req.User == "" {
		return invalid("user", "is missing")
	}
	if req.Password == "" {
		return invalid("password", "is missing")
	}
	from := clientOf(r)
	u, err := s.checkPassword(r.Context(), req.User, req.Password, from)
	if err != nil {
		return err
	}
	id, err := s.newSession(r.Context(), u)
	if err != nil {
		return err
	}
	s.Audit(u.principal, from.ip, "login", "")
	setCookie(w, r, id)
	answer.JSON(w, http.StatusOK, map[string]string{"user": u.Name, "csrf": csrfOf(id)})
	return nil
}

func (s *Store) logout(w http.ResponseWriter, r *http.Request) error {
	g := grantOf(r)
	if g.session != nil {
		if err := s.endSession(r.Context(), g.session); err != nil {
			return err
		}
		s.Audit(g.Principal, RemoteIP(r), "logout", "")
	}
	setCookie(w, r, "")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// me tells who the caller is. The user is the name of a user, or the client identity of a token; csrf is empty without a cookie.
func (s *Store) me(w http.ResponseWriter, r *http.Request) error {
	g := grantOf(r)
	name := g.ID
	if g.Kind != KindUser {
		name = g.Name
	}
	answer.JSON(w, http.StatusOK, struct {
		User       string   `json:"user"`
		Kind       string   `json:"kind"`
		Role       Role     `json:"role"`
		Tenant     string   `json:"tenant"`
		Namespaces []string `json:"namespaces,omitempty"`
		Clusters   []string `json:"clusters,omitempty"`
		CSRF       string   `json:"csrf"`
	}{name, g.Kind, g.Role, g.Tenant, g.Namespaces, g.Clusters, g.csrf})
	return nil
}

func (s *Store) changeOwnPassword(w http.ResponseWriter, r *http.Request) error {
	g := grantOf(r)
	if g.Kind != KindUser {
		return forbidden("only a user has a password")
	}
	var req struct {
		Old string `json:"old"`
		New string `json:"new"`
	}
	if err := decode(w, r, &req); err != nil {
		return err
	}
	if err := checkPasswordForm("new", req.New); err != nil {
		return err
	}
	u, err := s.checkPassword(r.Context(), g.ID, req.Old, clientOf(r))
	if errors.Is(err, errCredentials) {
		return forbidden("old: it is not your password") // 401 would tell the page that its session has ended
	}
	if err != nil {
		return err
	}
	unchanged := func(now *user) bool { return now.password == u.password }
	if err := s.changeUser(r.Context(), g.ID, UserChange{Password: &req.New}, g.session, unchanged); err != nil {
		return err
	}
	s.Audit(g.Principal, RemoteIP(r), "password.change", "")
	w.WriteHeader(http.StatusNoContent)
	return nil
}
