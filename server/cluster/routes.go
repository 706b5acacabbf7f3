package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"

	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/auth"
)

const maxBody = 64 << 10

// authority is what may stand in a Host header: a name, an IPv4 address, or an IPv6 address in brackets, and a port.
var authority = regexp.MustCompile(`^([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?$`)

// Routes adds the handlers to mux.
//
//	GET    /api/v1/clusters                       {"clusters":[…]}; role operator
//	POST   /api/v1/clusters        {"name"}       → Invitation; the others need the role admin, for they make tokens
//	DELETE /api/v1/clusters/{id}                  revokes the token
//	POST   /api/v1/clusters/{id}/codes            → Invitation with a new secret of the token
//	DELETE /api/v1/clusters/{id}/codes/{code}
//	GET    /install/{code}                        the manifest; no credentials but the code
func (r *Register) Routes(mux *http.ServeMux) {
	for pattern, h := range map[string]func(http.ResponseWriter, *http.Request, auth.Principal) error{
		"POST /api/v1/clusters":                     r.post,
		"DELETE /api/v1/clusters/{id}":              r.delete,
		"POST /api/v1/clusters/{id}/codes":          r.postCode,
		"DELETE /api/v1/clusters/{id}/codes/{code}": r.deleteCode,
	} {
		mux.Handle(pattern, r.o.Tokens.Require(auth.Manage, r.handler(h)))
	}
	mux.Handle("GET /api/v1/clusters", r.o.Tokens.Require(auth.Operate, r.handler(r.list)))
	mux.Handle("GET /install/{code}", r.handler(r.getManifest))
}

func (r *Register) handler(f func(http.ResponseWriter, *http.Request, auth.Principal) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		by, _ := auth.FromContext(req.Context())
		err := f(w, req, by)
		if err == nil {
			return
		}
		var e *answer.Error
		if !errors.As(err, &e) && req.Context().Err() == nil {
			// The path may hold a code.
			r.o.Log.Error("cannot answer a request about clusters", "method", req.Method, "error", err)
		}
		answer.Fail(w, err)
	})
}

// server is the address that agents are to push to.
func (r *Register) server(req *http.Request) (string, error) {
	if r.o.PublicURL != "" {
		return r.o.PublicURL, nil
	}
	if !authority.MatchString(req.Host) {
		return "", answer.Errorf(http.StatusBadRequest, "host", "the Host header is no address that agents could use; set http.public_url")
	}
	if req.TLS != nil {
		return "https://" + req.Host, nil
	}
	return "http://" + req.Host, nil
}

func (r *Register) post(w http.ResponseWriter, req *http.Request, by auth.Principal) error {
	var in struct {
		Name string `json:"name"`
	}
	d := json.NewDecoder(http.MaxBytesReader(w, req.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return answer.Errorf(http.StatusBadRequest, "invalid", `the body is not {"name":…}`)
	}
	if _, err := d.Token(); err != io.EOF {
		return answer.Errorf(http.StatusBadRequest, "invalid", "something follows the JSON object of the body")
	}
	server, err := r.server(req)
	if err != nil {
		return err
	}
	inv, err := r.register(req.Context(), by, in.Name, server)
	if err != nil {
		return err
	}
	r.o.Tokens.Audit(by, auth.RemoteIP(req), "cluster.register", fmt.Sprintf("id=%s name=%q", inv.ID, inv.Name))
	answer.JSON(w, http.StatusOK, inv)
	return nil
}

// find returns the cluster of the path, which by must be allowed to see.
func (r *Register) find(req *http.Request, by auth.Principal) (Registered, error) {
	id := req.PathValue("id")
	c, ok, err := r.db.get(req.Context(), by.TenantID, id)
	if err == nil && (!ok || !by.AllowsCluster(c.Name)) {
		err = answer.Errorf(http.StatusNotFound, "not_found", "there is no cluster %.60q", id)
	}
	return c, err
}

func (r *Register) delete(w http.ResponseWriter, req *http.Request, by auth.Principal) error {
	c, err := r.find(req, by)
	if err != nil {
		return err
	}
	// The token first: it must not outlive the entry by which it could be found. It may have been revoked by hand already.
	var e *answer.Error
	if err := r.o.Tokens.RevokeToken(req.Context(), by, c.Token); err != nil && !(errors.As(err, &e) && e.Status == http.StatusNotFound) {
		return err
	}
	if err := r.db.remove(req.Context(), c.ID); err != nil {
		return fmt.Errorf("cannot remove cluster %q: %w", c.Name, err)
	}
	r.o.Tokens.Audit(by, auth.RemoteIP(req), "cluster.remove", fmt.Sprintf("id=%s name=%q", c.ID, c.Name))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (r *Register) postCode(w http.ResponseWriter, req *http.Request, by auth.Principal) error {
	c, err := r.find(req, by)
	if err != nil {
		return err
	}
	server, err := r.server(req)
	if err != nil {
		return err
	}
	inv, err := r.renew(req.Context(), by, c, server)
	if err != nil {
		return err
	}
	r.o.Tokens.Audit(by, auth.RemoteIP(req), "cluster.code", fmt.Sprintf("id=%s name=%q", c.ID, c.Name))
	answer.JSON(w, http.StatusOK, inv)
	return nil
}

func (r *Register) deleteCode(w http.ResponseWriter, req *http.Request, by auth.Principal) error {
	c, err := r.find(req, by)
	if err != nil {
		return err
	}
	ok, err := r.db.removeCode(req.Context(), c.ID, req.PathValue("code"))
	if err != nil {
		return fmt.Errorf("cannot revoke an install code: %w", err)
	}
	if !ok {
		return answer.Errorf(http.StatusNotFound, "not_found", "there is no such code")
	}
	r.o.Tokens.Audit(by, auth.RemoteIP(req), "cluster.code.revoke", fmt.Sprintf("id=%s name=%q", c.ID, c.Name))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (r *Register) getManifest(w http.ResponseWriter, req *http.Request, _ auth.Principal) error {
	text, c, ok, err := r.install(req.Context(), req.PathValue("code"))
	if err != nil {
		return err
	}
	if !ok {
		return answer.Errorf(http.StatusNotFound, "not_found", "this install code is unknown, expired or revoked; make a new one on the page Clusters")
	}
	by := auth.Principal{Name: "install-code", TenantID: c.Tenant}
	r.o.Tokens.Audit(by, auth.RemoteIP(req), "cluster.install", fmt.Sprintf("id=%s name=%q", c.ID, c.Name))
	w.Header().Set("Content-Type", "application/yaml")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(text) // an error means that the client went away
	return nil
}

func (r *Register) list(w http.ResponseWriter, req *http.Request, by auth.Principal) error {
	known, err := r.db.list(req.Context(), by.TenantID)
	if err != nil {
		return err
	}
	out := []*Cluster{}
	view := r.look(by.TenantID)
	for _, c := range known {
		if !by.AllowsCluster(c.Name) {
			continue
		}
		d := view.cluster(c.Name, auth.KindToken+":"+c.Token)
		d.ID, d.Registered, d.Token, d.CreatedBy = c.ID, true, c.Token, c.CreatedBy
		created := c.Created
		d.Created = &created
		if d.Codes, err = r.db.codes(req.Context(), c.ID, r.o.Now()); err != nil {
			return fmt.Errorf("cannot read the install codes: %w", err)
		}
		out = append(out, d)
	}
	for _, d := range view.others(known) {
		if by.AllowsCluster(d.Name) {
			out = append(out, d)
		}
	}
	now := r.o.Now()
	for _, d := range out {
		d.warn(now)
	}
	answer.JSON(w, http.StatusOK, map[string]any{"clusters": out})
	return nil
}
