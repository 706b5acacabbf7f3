package auth

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

var actions = []string{"/enter", "/push", "/read", "/operate", "/manage"}

// allowed is the whole of what roles may do.
var allowed = map[Role]map[string]bool{
	RoleAdmin:    {"/enter": true, "/push": true, "/read": true, "/operate": true, "/manage": true},
	RoleOperator: {"/enter": true, "/push": true, "/read": true, "/operate": true},
	RoleReader:   {"/enter": true, "/read": true},
	RolePush:     {"/enter": true, "/push": true},
}

// TestRoles tries each role with each kind of credentials on each action: 4 × 4 × 5 cases.
func TestRoles(t *testing.T) {
	k := newKit(t)
	for role, may := range allowed {
		name := string(role) + "-user"
		k.user(name, role)
		id, secret := k.token(TokenRequest{Role: role})
		c, csrf := k.login(name, userPassword)
		for _, kind := range []struct {
			what string
			p    prepare
			name string
		}{
			{"bearer", bearer(secret), "token:" + id},
			{"token as password", basic("anybody", secret), "token:" + id},
			{"basic", basic(name, userPassword), "user:" + name},
			{"cookie", cookie(c, csrf), "user:" + name},
		} {
			for _, path := range actions {
				t.Run(fmt.Sprintf("%s/%s%s", role, kind.what, path), func(t *testing.T) {
					r := k.do("POST", path, kind.p, nil)
					if !may[path] {
						r.want(http.StatusForbidden)
					} else if r.want(http.StatusOK); string(r.body) != kind.name {
						t.Errorf("principal %q, want %q", r.body, kind.name)
					}
				})
			}
		}
	}
}

func TestCredentials(t *testing.T) {
	k := newKit(t)
	_, secret := k.token(TokenRequest{Role: RoleReader})
	inAnHour := k.clock.now().Add(time.Hour)
	_, lasting := k.token(TokenRequest{Role: RoleReader, Expires: &inAnHour})
	past := k.clock.now().Add(-time.Hour)
	_, expired := k.token(TokenRequest{Role: RoleReader, Expires: &past})
	zero := time.Time{}
	_, ancient := k.token(TokenRequest{Role: RoleReader, Expires: &zero})
	now := k.clock.now()
	_, justExpired := k.token(TokenRequest{Role: RoleReader, Expires: &now})
	revokedID, revoked := k.token(TokenRequest{Role: RoleReader})
	if err := k.s.RevokeToken(t.Context(), root, revokedID); err != nil {
		t.Fatal(err)
	}
	rotatedID, rotated := k.token(TokenRequest{Role: RoleReader})
	fresh, err := k.s.RotateToken(t.Context(), root, rotatedID)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"reader", "gone", "off"} {
		k.user(name, RoleReader)
	}
	off := true
	readerCookie, csrf := k.login("reader", userPassword)
	goneCookie, _ := k.login("gone", userPassword)
	offCookie, _ := k.login("off", userPassword)
	k.do("GET", "/read", basic("off", userPassword), nil).want(200) // now its proof is remembered, and must not count
	k.do("GET", "/read", basic("gone", userPassword), nil).want(200)
	if err := k.s.ChangeUser(t.Context(), root, "off", UserChange{Disabled: &off}); err != nil {
		t.Fatal(err)
	}
	if err := k.s.DeleteUser(t.Context(), root, "gone"); err != nil {
		t.Fatal(err)
	}
	ended, endedCSRF := k.login("reader", userPassword)
	k.do("POST", "/api/v1/logout", cookie(ended, endedCSRF), nil).want(204)
	_, otherCSRF := k.login("admin", adminPassword)
	both := func(ps ...prepare) prepare {
		return func(r *http.Request) {
			for _, p := range ps {
				p(r)
			}
		}
	}
	made := &http.Cookie{Name: CookieName, Value: "0123456789abcdef"}

	for _, c := range []struct {
		name, method, path string
		p                  prepare
		want               int
	}{
		{"nothing", "GET", "/read", nil, 401},
		{"token", "GET", "/read", bearer(secret), 200},
		{"token, scheme in lower case", "GET", "/read", header("Authorization", "bearer "+secret), 200},
		{"token in an unknown scheme", "GET", "/read", header("Authorization", "Token "+secret), 401},
		{"token in Digest", "GET", "/read", header("Authorization", "Digest "+secret), 401},
		{"token without a scheme", "GET", "/read", header("Authorization", secret), 401},
		{"empty bearer", "GET", "/read", header("Authorization", "Bearer "), 401},
		{"empty header", "GET", "/read", header("Authorization", ""), 401},
		{"token cut short", "GET", "/read", bearer(secret[:len(secret)-1]), 401},
		{"token with one more", "GET", "/read", bearer(secret + "0"), 401},
		{"token in upper case", "GET", "/read", bearer("TLY_" + secret[4:]), 401},
		{"two tokens", "GET", "/read", bearer(secret + " " + secret), 401},
		{"two headers", "GET", "/read", both(bearer(secret), header("Authorization", "Bearer "+secret)), 401},
		{"token that will expire", "GET", "/read", bearer(lasting), 200},
		{"expired token", "GET", "/read", bearer(expired), 401},
		{"token that expired in the year 1", "GET", "/read", bearer(ancient), 401},
		{"token that expires now", "GET", "/read", bearer(justExpired), 401},
		{"expired token as password", "GET", "/read", basic("x", expired), 401},
		{"revoked token", "GET", "/read", bearer(revoked), 401},
		{"revoked token as password", "GET", "/read", basic("x", revoked), 401},
		{"rotated token, old secret", "GET", "/read", bearer(rotated), 401},
		{"rotated token, new secret", "GET", "/read", bearer(fresh), 200},
		{"token as password without a user", "GET", "/read", basic("", secret), 200},
		{"user's password as bearer", "GET", "/read", bearer(userPassword), 401},
		{"token in the URL", "GET", "/read?token=" + secret, nil, 401},
		{"access_token in the URL", "GET", "/read?a=b&access_token=" + secret, nil, 401},
		{"api_key in the URL", "GET", "/read?api_key=" + secret, nil, 401},
		{"token in the URL, name escaped", "GET", "/read?%74oken=" + secret, nil, 401},
		{"token in the URL beside a good header", "GET", "/read?token=" + secret, bearer(secret), 401},
		{"token in the URL beside a good cookie", "GET", "/read?Token=" + secret, cookie(readerCookie, csrf), 401},
		{"the word token in a query", "GET", "/read?query=token:x", bearer(secret), 200},
		{"basic", "GET", "/read", basic("reader", userPassword), 200},
		{"basic, wrong password", "GET", "/read", basic("reader", "wrong"), 401},
		{"basic, empty password", "GET", "/read", basic("reader", ""), 401},
		{"basic, other case of the name", "GET", "/read", basic("Reader", userPassword), 401},
		{"basic, unknown user", "GET", "/read", basic("nobody", userPassword), 401},
		{"basic, impossible user", "GET", "/read", basic("no/body\x00", userPassword), 401},
		{"basic, disabled user", "GET", "/read", basic("off", userPassword), 401},
		{"basic, deleted user", "GET", "/read", basic("gone", userPassword), 401},
		{"basic, not base64", "GET", "/read", header("Authorization", "Basic !!!"), 401},
		{"basic, no colon", "GET", "/read", header("Authorization", "Basic cmVhZGVy"), 401},
		{"cookie, GET without CSRF", "GET", "/read", cookie(readerCookie, ""), 200},
		{"cookie, HEAD without CSRF", "HEAD", "/read", cookie(readerCookie, ""), 200},
		{"cookie, POST with CSRF", "POST", "/read", cookie(readerCookie, csrf), 200},
		{"cookie, POST without CSRF", "POST", "/read", cookie(readerCookie, ""), 403},
		{"cookie, POST with a wrong CSRF", "POST", "/read", cookie(readerCookie, csrf[:63]+"x"), 403},
		{"cookie, POST with another session's CSRF", "POST", "/read", cookie(readerCookie, otherCSRF), 403},
		{"cookie, DELETE without CSRF", "DELETE", "/read", cookie(readerCookie, ""), 403},
		{"cookie, OPTIONS without CSRF", "OPTIONS", "/read", cookie(readerCookie, ""), 403},
		{"cookie, made up", "GET", "/read", cookie(made, ""), 401},
		{"cookie of a deleted user", "GET", "/read", cookie(goneCookie, ""), 401},
		{"cookie of a disabled user", "GET", "/read", cookie(offCookie, ""), 401},
		{"cookie after logout", "GET", "/read", cookie(ended, ""), 401},
		{"CSRF without a cookie", "POST", "/read", header(CSRFHeader, csrf), 401},
		{"token needs no CSRF", "POST", "/read", bearer(secret), 200},
		{"basic needs no CSRF", "POST", "/read", basic("reader", userPassword), 200},
		{"wrong token beside a good cookie", "GET", "/read", both(bearer("tly_x"), cookie(readerCookie, csrf)), 401},
		{"good token beside a dead cookie", "POST", "/read", both(bearer(secret), cookie(goneCookie, "")), 200},
		{"right credentials, wrong role", "GET", "/push", bearer(secret), 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := k.do(c.method, c.path, c.p, nil)
			if r.status != c.want {
				t.Fatalf("%d %s, want %d", r.status, r.body, c.want)
			}
			if c.want >= 400 && r.message() == "" {
				t.Errorf("%d without an error object: %q", r.status, r.body)
			}
		})
	}

	k.clock.forward(time.Hour)
	k.do("GET", "/read", bearer(lasting), nil).want(401)
	k.do("GET", "/read", bearer(secret), nil).want(200)
}

// TestClusterScope: an admin of some clusters gives away no more than these, and manages nobody who has more; a scope on
// namespaces does not stand for one on clusters, nor the other way round.
func TestClusterScope(t *testing.T) {
	k := newKit(t)
	admin := basic("admin", adminPassword)
	user := func(name, scope string) prepare {
		k.do("POST", "/api/v1/users", admin, `{"name":"`+name+`","password":"long enough","role":"admin",`+scope+`}`).want(200)
		return basic(name, "long enough")
	}
	prod, both := user("prod", `"clusters":["prod-*"]`), user("both", `"namespaces":["team-*"],"clusters":["prod-*"]`)
	user("test", `"clusters":["test"]`)
	team := user("team", `"namespaces":["team-*"]`)
	ids := map[string]string{}
	for name, req := range map[string]TokenRequest{
		"wide": {}, "in prod": {Clusters: []string{"prod-eu"}}, "in test": {Clusters: []string{"test"}},
		"in both": {Clusters: []string{"prod-*"}, Namespaces: []string{"team-a"}}, "in team": {Namespaces: []string{"team-a"}},
	} {
		req.Name, req.Role = name, RoleReader
		ids[name], _ = k.token(req)
	}
	for _, c := range []struct {
		name               string
		by                 prepare
		method, path, body string
		want               int
	}{
		{"prod mints narrower", prod, "POST", "tokens", `{"name":"x","role":"reader","clusters":["prod-eu","prod-u*"]}`, 200},
		{"prod mints narrower, with namespaces", prod, "POST", "tokens", `{"name":"x","role":"push","clusters":["prod-eu"],"namespaces":["a"]}`, 200},
		{"prod mints all", prod, "POST", "tokens", `{"name":"x","role":"reader"}`, 403},
		{"prod mints null", prod, "POST", "tokens", `{"name":"x","role":"reader","clusters":null}`, 403},
		{"prod mints none", prod, "POST", "tokens", `{"name":"x","role":"reader","clusters":[]}`, 403},
		{"prod mints by namespaces instead", prod, "POST", "tokens", `{"name":"x","role":"reader","namespaces":["prod-eu"]}`, 403},
		{"prod mints wider", prod, "POST", "tokens", `{"name":"x","role":"reader","clusters":["prod-eu","pro*"]}`, 403},
		{"prod mints every cluster", prod, "POST", "tokens", `{"name":"x","role":"reader","clusters":["*"]}`, 403},
		{"prod makes a wide user", prod, "POST", "users", `{"name":"x","password":"long enough","role":"reader"}`, 403},
		{"prod makes a narrow user", prod, "POST", "users", `{"name":"y","password":"long enough","role":"reader","clusters":["prod-eu"]}`, 200},
		{"prod makes a tenant", prod, "POST", "tenants", `{"name":"x"}`, 403},
		{"prod reads the audit log", prod, "GET", "audit", ``, 403},
		{"prod takes over admin", prod, "PATCH", "users/admin", `{"password":"mine by now"}`, 404},
		{"prod takes over test", prod, "PATCH", "users/test", `{"password":"mine by now"}`, 404},
		{"prod deletes team", prod, "DELETE", "users/team", ``, 404},
		{"prod revokes the wide", prod, "DELETE", "tokens/" + ids["wide"], ``, 404},
		{"prod rotates test's", prod, "POST", "tokens/" + ids["in test"] + "/rotate", ``, 404},
		{"prod revokes team's", prod, "DELETE", "tokens/" + ids["in team"], ``, 404},
		{"prod rotates its own", prod, "POST", "tokens/" + ids["in prod"] + "/rotate", ``, 200},
		{"both mints within", both, "POST", "tokens", `{"name":"x","role":"reader","clusters":["prod-eu"],"namespaces":["team-a"]}`, 200},
		{"both drops namespaces", both, "POST", "tokens", `{"name":"x","role":"reader","clusters":["prod-eu"]}`, 403},
		{"both drops clusters", both, "POST", "tokens", `{"name":"x","role":"reader","namespaces":["team-a"]}`, 403},
		{"both revokes prod's", both, "DELETE", "tokens/" + ids["in prod"], ``, 404},
		{"team mints by clusters instead", team, "POST", "tokens", `{"name":"x","role":"reader","clusters":["team-a"]}`, 403},
		{"team revokes both's", team, "DELETE", "tokens/" + ids["in both"], ``, 204},
	} {
		t.Run(c.name, func(t *testing.T) { k.do(c.method, "/api/v1/"+c.path, c.by, c.body).want(c.want) })
	}
	if got := fmt.Sprint(names(t, k.do("GET", "/api/v1/users", prod, nil), "users", "name")); got != "[both prod y]" {
		t.Errorf("prod sees the users %s", got)
	}
	if got := fmt.Sprint(names(t, k.do("GET", "/api/v1/tokens", both, nil), "tokens", "name")); got != "[x]" {
		t.Errorf("both sees the tokens %s", got)
	}
	// The last admin of everything stays, however many admins of clusters there are.
	k.do("DELETE", "/api/v1/users/admin", admin, nil).want(409)
}

func TestSessionEnds(t *testing.T) {
	k := newKit(t)
	c, csrf := k.login("admin", adminPassword)
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure || c.Path != "/" || c.Name != "tally_session" {
		t.Errorf("cookie %+v over plain HTTP", c)
	}
	for range 13 { // a session in use slides
		k.clock.forward(11 * time.Hour)
		k.do("POST", "/manage", cookie(c, csrf), nil).want(200)
	}
	k.clock.forward(11 * time.Hour)
	k.do("GET", "/manage", cookie(c, csrf), nil).want(200) // 154 hours
	k.clock.forward(11 * time.Hour)
	k.do("GET", "/manage", cookie(c, csrf), nil).want(200) // 165 hours
	k.clock.forward(3 * time.Hour)
	k.do("GET", "/manage", cookie(c, csrf), nil).want(401) // 7 days, though in use

	c, _ = k.login("admin", adminPassword)
	k.clock.forward(12 * time.Hour)
	k.do("GET", "/manage", cookie(c, ""), nil).want(401) // not in use

	if err := k.s.tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(k.s.sessions); n != 0 {
		t.Errorf("%d sessions are kept after they expired", n)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	k := newKit(t)
	first, _ := k.login("admin", adminPassword)
	k.clock.forward(time.Second)
	second, _ := k.login("admin", adminPassword)
	for range maxSessions - 1 {
		k.clock.forward(time.Second)
		k.login("admin", adminPassword)
	}
	k.do("GET", "/manage", cookie(first, ""), nil).want(401)
	k.do("GET", "/manage", cookie(second, ""), nil).want(200)
}
