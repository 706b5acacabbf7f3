package auth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func names(t *testing.T, r reply, list, key string) []string {
	t.Helper()
	var v map[string]json.RawMessage
	if err := json.Unmarshal(r.want(200).body, &v); err != nil {
		t.Fatal(err)
	}
	var entries []map[string]any
	if err := json.Unmarshal(v[list], &entries); err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for _, e := range entries {
		got = append(got, e[key].(string))
	}
	return got
}

func TestMe(t *testing.T) {
	k := newKit(t)
	id, secret := k.token(TokenRequest{Role: RolePush, Namespaces: []string{"a"}})
	clusterID, clusterSecret := k.token(TokenRequest{Role: RoleReader, Namespaces: []string{"a"}, Clusters: []string{"prod-*", "arn:aws:eks:eu/c@1"}})
	c, csrf := k.login("admin", adminPassword)
	f := func(p prepare, want string) {
		t.Helper()
		r := k.do("GET", "/api/v1/me", p, nil).want(200)
		if got := strings.TrimSpace(string(r.body)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if r.header.Get("Cache-Control") != "no-store" {
			t.Error("the answer may be cached")
		}
	}
	f(cookie(c, ""), `{"user":"admin","kind":"user","role":"admin","tenant":"default","csrf":"`+csrf+`"}`)
	f(basic("admin", adminPassword), `{"user":"admin","kind":"user","role":"admin","tenant":"default","csrf":""}`)
	f(bearer(secret), `{"user":"token:`+id+`","kind":"token","role":"push","tenant":"default","namespaces":["a"],"csrf":""}`)
	f(bearer(clusterSecret), `{"user":"token:`+clusterID+`","kind":"token","role":"reader","tenant":"default","namespaces":["a"],"clusters":["prod-*","arn:aws:eks:eu/c@1"],"csrf":""}`)
	k.do("GET", "/api/v1/me", nil, nil).want(401)
}

func TestLogin(t *testing.T) {
	k := newKit(t)
	f := func(body any, status int, says string) {
		t.Helper()
		if r := k.do("POST", "/api/v1/login", nil, body).want(status); !strings.Contains(r.message(), says) {
			t.Errorf("%q does not say %q", r.message(), says)
		}
	}
	f(map[string]string{"user": "admin", "password": adminPassword}, 200, "")
	f(map[string]string{"user": "admin", "password": "x"}, 401, "wrong")
	f(map[string]string{"password": "x"}, 400, "user: ")
	f(map[string]string{"user": "admin"}, 400, "password: ")
	f(map[string]string{"user": "admin", "password": "x", "otp": "1"}, 400, `"otp"`)
	f(`{"user":1,"password":"x"}`, 400, "user: ")
	f(`{"user":"admin","password":"x"} {}`, 400, "follows")
	f(`["admin","x"]`, 400, "object")
	f(``, 400, "object")
	f(`{"user":"admin"`, 400, "JSON")
	f(`{"user":"`+strings.Repeat("x", maxBody)+`"}`, 413, "65536")
	cross := k.do("POST", "/api/v1/login", header("Sec-Fetch-Site", "cross-site"), map[string]string{"user": "admin", "password": adminPassword})
	cross.want(403)

}

func TestTokens(t *testing.T) {
	k := newKit(t)
	admin := basic("admin", adminPassword)
	post := func(by prepare, body any) reply { return k.do("POST", "/api/v1/tokens", by, body) }

	r := post(admin, `{"name":"agent","role":"push","namespaces":["a*"],"clusters":["prod"],"expires":"9999-12-31T23:59:59-05:00"}`).want(200)
	id, secret := r.text("id"), r.text("token")
	if !looksLikeToken(secret) {
		t.Errorf("secret %q", secret)
	}
	k.do("GET", "/push", bearer(secret), nil).want(200)
	list := k.do("GET", "/api/v1/tokens", admin, nil).want(200)
	if strings.Contains(string(list.body), secret) {
		t.Error("the list shows a secret")
	}
	for _, want := range []string{`"id":"` + id, `"created_by":"user:admin"`, `"last_used":"2026-05-04T03:02:01.000Z"`, `"namespaces":["a*"],"clusters":["prod"]`} {
		if !strings.Contains(string(list.body), want) {
			t.Errorf("the list %s lacks %s", list.body, want)
		}
	}
	r = k.do("POST", "/api/v1/tokens/"+id+"/rotate", admin, nil).want(200)
	k.do("GET", "/push", bearer(secret), nil).want(401)
	if got := k.do("GET", "/push", bearer(r.text("token")), nil).want(200); string(got.body) != "token:"+id {
		t.Errorf("after rotation the client is %s", got.body)
	}
	k.do("DELETE", "/api/v1/tokens/"+id, admin, nil).want(204)
	k.do("GET", "/push", bearer(r.text("token")), nil).want(401)
	k.do("DELETE", "/api/v1/tokens/"+id, admin, nil).want(404)
	k.do("POST", "/api/v1/tokens/"+id+"/rotate", admin, nil).want(404)

	for _, c := range []struct{ body, says string }{
		{`{"role":"push"}`, "name: "},
		{`{"name":"a\u0007","role":"push"}`, "name: "},
		{`{"name":"a"}`, "role: "},
		{`{"name":"a","role":"root"}`, "role: "},
		{`{"name":"a","role":["push"]}`, "role: "},
		{`{"name":"a","role":"push","tenant":"none"}`, "tenant: "},
		{`{"name":"a","role":"push","namespaces":"a"}`, "namespaces: "},
		{`{"name":"a","role":"push","namespaces":["a",""]}`, "namespaces[1]: "},
		{`{"name":"a","role":"push","namespaces":["a?"]}`, "namespaces[0]: "},
		{`{"name":"a","role":"push","clusters":"a"}`, "clusters: "},
		{`{"name":"a","role":"push","clusters":["a",""]}`, "clusters[1]: "},
		{`{"name":"a","role":"push","clusters":["a b"]}`, "clusters[0]: "},
		{`{"name":"a","role":"push","clusters":[` + strings.Repeat(`"a",`, 200) + `"a"]}`, "clusters: "},
		{`{"name":"a","role":"push","expires":"tomorrow"}`, "expires: "},
		{`{"name":"a","role":"push","expires":5}`, "expires: "},
		{`{"name":"a","role":"push","scope":"x"}`, `"scope"`},
	} {
		if r := post(admin, c.body).want(400); !strings.Contains(r.message(), c.says) {
			t.Errorf("%s: %q does not say %q", c.body, r.message(), c.says)
		}
	}
}

// TestNobodyWidens tries to get more than one has, by each way there is.
func TestNobodyWidens(t *testing.T) {
	k := newKit(t)
	admin := basic("admin", adminPassword)
	k.do("POST", "/api/v1/tenants", admin, `{"name":"acme"}`).want(200)
	k.do("POST", "/api/v1/tenants", admin, `{"name":"acme"}`).want(409)
	k.do("POST", "/api/v1/tenants", admin, `{"name":"A b"}`).want(400)
	k.do("POST", "/api/v1/users", admin, `{"name":"boss","password":"long enough","role":"admin","tenant":"acme"}`).want(200)
	k.do("POST", "/api/v1/users", admin, `{"name":"lead","password":"long enough","role":"admin","namespaces":["team-*"]}`).want(200)
	boss, lead := basic("boss", "long enough"), basic("lead", "long enough")
	defaultID, _ := k.token(TokenRequest{Name: "wide", Role: RoleReader})
	acmeID, acme := k.token(TokenRequest{Name: "theirs", Role: RoleAdmin, Tenant: "acme"})
	teamID, _ := k.token(TokenRequest{Name: "narrow", Role: RoleReader, Namespaces: []string{"team-a"}})
	if r := k.do("GET", "/api/v1/me", bearer(acme), nil).want(200); r.text("tenant") != "acme" {
		t.Errorf("%s", r.body)
	}
	_, operator := k.token(TokenRequest{Role: RoleOperator})

	for _, c := range []struct {
		name               string
		by                 prepare
		method, path, body string
		want               int
	}{
		{"operator mints", bearer(operator), "POST", "tokens", `{"name":"x","role":"reader"}`, 403},
		{"operator lists users", bearer(operator), "GET", "users", ``, 403},
		{"boss mints at home", boss, "POST", "tokens", `{"name":"x","role":"admin"}`, 200},
		{"boss names their tenant", boss, "POST", "tokens", `{"name":"x","role":"admin","tenant":"acme"}`, 200},
		{"boss mints abroad", boss, "POST", "tokens", `{"name":"x","role":"push","tenant":"default"}`, 403},
		{"boss tries a tenant that is not", boss, "POST", "tokens", `{"name":"x","role":"push","tenant":"none"}`, 403},
		{"boss makes a user abroad", boss, "POST", "users", `{"name":"x","password":"long enough","role":"admin","tenant":"default"}`, 403},
		{"boss makes a tenant", boss, "POST", "tenants", `{"name":"x"}`, 403},
		{"boss revokes abroad", boss, "DELETE", "tokens/" + defaultID, ``, 404},
		{"boss rotates abroad", boss, "POST", "tokens/" + defaultID + "/rotate", ``, 404},
		{"boss takes over admin", boss, "PATCH", "users/admin", `{"password":"mine by now"}`, 404},
		{"boss deletes admin", boss, "DELETE", "users/admin", ``, 404},
		{"lead mints narrower", lead, "POST", "tokens", `{"name":"x","role":"admin","namespaces":["team-a*"]}`, 200},
		{"lead mints all", lead, "POST", "tokens", `{"name":"x","role":"reader"}`, 403},
		{"lead mints null", lead, "POST", "tokens", `{"name":"x","role":"reader","namespaces":null}`, 403},
		{"lead mints wider", lead, "POST", "tokens", `{"name":"x","role":"reader","namespaces":["team-a","te*"]}`, 403},
		{"lead mints abroad", lead, "POST", "tokens", `{"name":"x","role":"reader","tenant":"acme","namespaces":["team-a"]}`, 403},
		{"lead makes a wide user", lead, "POST", "users", `{"name":"x","password":"long enough","role":"admin"}`, 403},
		{"lead makes a tenant", lead, "POST", "tenants", `{"name":"x"}`, 403},
		{"lead takes over admin", lead, "PATCH", "users/admin", `{"password":"mine by now"}`, 404},
		{"lead revokes the wide", lead, "DELETE", "tokens/" + defaultID, ``, 404},
		{"lead reads the audit log", lead, "GET", "audit", ``, 403},
		{"lead revokes the narrow", lead, "DELETE", "tokens/" + teamID, ``, 204},
		{"admin revokes abroad", admin, "DELETE", "tokens/" + acmeID, ``, 204},
		{"nobody mints", nil, "POST", "tokens", `{"name":"x","role":"reader"}`, 401},
	} {
		t.Run(c.name, func(t *testing.T) { k.do(c.method, "/api/v1/"+c.path, c.by, c.body).want(c.want) })
	}
	users := func(by prepare) []string { return names(t, k.do("GET", "/api/v1/users", by, nil), "users", "name") }
	tenants := func(by prepare) []string {
		return names(t, k.do("GET", "/api/v1/tenants", by, nil), "tenants", "name")
	}
	for what, got := range map[string][2][]string{
		"users of admin":   {users(admin), {"admin", "boss", "lead"}},
		"users of boss":    {users(boss), {"boss"}},
		"users of lead":    {users(lead), {"lead"}},
		"tenants of admin": {tenants(admin), {"default", "acme"}},
		"tenants of boss":  {tenants(boss), {"acme"}},
	} {
		if !slices.Equal(got[0], got[1]) {
			t.Errorf("%s: %q, want %q", what, got[0], got[1])
		}
	}
}

func TestUsers(t *testing.T) {
	k := newKit(t)
	admin := basic("admin", adminPassword)
	post := func(body string) reply { return k.do("POST", "/api/v1/users", admin, body) }
	post(`{"name":"ann","password":"long enough","role":"reader"}`).want(200)
	post(`{"name":"ann","password":"long enough","role":"reader"}`).want(409)
	for _, c := range []struct{ body, says string }{
		{`{"name":"a:b","password":"long enough","role":"reader"}`, "name: "},
		{`{"name":"bob","password":"short","role":"reader"}`, "password: "},
		{`{"name":"bob","password":"` + strings.Repeat("x", 1025) + `","role":"reader"}`, "password: "},
		{`{"name":"bob","password":"tly_` + strings.Repeat("0", 64) + `","role":"reader"}`, "password: "},
		{`{"name":"bob","password":"long enough"}`, "role: "},
		{`{"name":"bob","password":"long enough","role":"reader","mail":"x"}`, `"mail"`},
	} {
		if r := post(c.body).want(400); !strings.Contains(r.message(), c.says) {
			t.Errorf("%s: %q does not say %q", c.body, r.message(), c.says)
		}
	}
	patch := func(name, body string, want int) {
		t.Helper()
		k.do("PATCH", "/api/v1/users/"+name, admin, body).want(want)
	}
	c, _ := k.login("ann", "long enough")
	patch("ann", `{"role":"operator"}`, 204) // at once, and the session goes on
	k.do("GET", "/operate", cookie(c, ""), nil).want(200)
	patch("ann", `{"password":"even longer"}`, 204)
	k.do("GET", "/read", cookie(c, ""), nil).want(401)
	c, _ = k.login("ann", "even longer")
	patch("ann", `{"disabled":true}`, 204)
	k.do("GET", "/read", cookie(c, ""), nil).want(401)
	k.do("GET", "/read", basic("ann", "even longer"), nil).want(401)
	patch("ann", `{"disabled":false}`, 204)
	k.do("GET", "/read", basic("ann", "even longer"), nil).want(200)
	k.do("GET", "/read", cookie(c, ""), nil).want(401)
	patch("ann", `{}`, 400)
	patch("ann", `{"role":"king"}`, 400)
	patch("ann", `{"disabled":"yes"}`, 400)
	patch("nobody", `{"disabled":true}`, 404)

	// The last enabled admin stays, whoever else there is.
	post(`{"name":"narrow","password":"long enough","role":"admin","namespaces":["a"]}`).want(200)
	patch("admin", `{"role":"operator"}`, 409)
	patch("admin", `{"disabled":true}`, 409)
	k.do("DELETE", "/api/v1/users/admin", admin, nil).want(409)
	post(`{"name":"second","password":"long enough","role":"admin"}`).want(200)
	patch("second", `{"disabled":true}`, 204)
	k.do("DELETE", "/api/v1/users/admin", admin, nil).want(409)
	patch("second", `{"disabled":false}`, 204)
	k.do("DELETE", "/api/v1/users/admin", admin, nil).want(204)
	k.do("GET", "/enter", admin, nil).want(401)
	k.do("DELETE", "/api/v1/users/second", basic("second", "long enough"), nil).want(409)
}

func TestOwnPassword(t *testing.T) {
	k := newKit(t)
	k.user("ann", RoleReader)
	here, csrf := k.login("ann", userPassword)
	there, _ := k.login("ann", userPassword)
	post := func(p prepare, old, new string) reply {
		return k.do("POST", "/api/v1/me/password", p, map[string]string{"old": old, "new": new})
	}
	post(cookie(here, csrf), "wrong", "a new password").want(403)
	post(cookie(here, csrf), userPassword, "short").want(400)
	post(cookie(here, ""), userPassword, "a new password").want(403)
	_, secret := k.token(TokenRequest{Role: RoleAdmin})
	post(bearer(secret), userPassword, "a new password").want(403)
	post(cookie(here, csrf), userPassword, "a new password").want(204)
	k.do("GET", "/read", cookie(here, ""), nil).want(200)
	k.do("GET", "/read", cookie(there, ""), nil).want(401)
	k.do("GET", "/read", basic("ann", userPassword), nil).want(401)
	k.do("GET", "/read", basic("ann", "a new password"), nil).want(200)
	left := 0
	if err := k.s.db.QueryRow("SELECT count(*) FROM sessions WHERE user = 'ann'").Scan(&left); err != nil || left != 1 {
		t.Errorf("%d sessions are in the file, %v; want the one that changed the password", left, err)
	}
	for range 15 { // guessing the old one is guessing
		if r := post(cookie(here, csrf), "wrong", "a new password"); r.status == http.StatusTooManyRequests {
			return
		}
	}
	t.Error("15 wrong old passwords without a 429")
}

func TestAudit(t *testing.T) {
	k := newKit(t)
	admin := basic("admin", adminPassword)
	k.do("POST", "/api/v1/tenants", admin, `{"name":"acme"}`).want(200)
	id := k.do("POST", "/api/v1/tokens", admin, `{"name":"x","role":"admin","tenant":"acme"}`).want(200)
	theirs := bearer(id.text("token"))
	k.do("POST", "/api/v1/users", theirs, `{"name":"ann","password":"long enough","role":"reader"}`).want(200)
	k.do("GET", "/read", basic("ann", "hunter2 hunter2"), nil).want(401)
	k.do("GET", "/read", basic("myPassword1", "oops"), nil).want(401)
	k.login("admin", adminPassword)

	all := k.do("GET", "/api/v1/audit", admin, nil).want(200)
	want := []string{"login", "password.wrong", "password.wrong", "user.create", "token.create", "tenant.create"}
	if got := names(t, all, "audit", "action"); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, no := range []string{"hunter2", "myPassword1", "long enough", id.text("token"), adminPassword} {
		if strings.Contains(string(all.body), no) {
			t.Errorf("the log shows %q", no)
		}
	}
	for _, yes := range []string{`"remote":"127.0.0.1"`, `"principal":"user:admin"`, `"principal":"token:` + id.text("id"), `"principal":"unknown"`, `"tenant":"acme"`} {
		if !strings.Contains(string(all.body), yes) {
			t.Errorf("the log %s lacks %s", all.body, yes)
		}
	}
	if got := names(t, k.do("GET", "/api/v1/audit", theirs, nil), "audit", "action"); !slices.Equal(got, []string{"password.wrong", "user.create"}) {
		t.Errorf("the admin of a tenant sees %q", got)
	}
	if got := names(t, k.do("GET", "/api/v1/audit?before=3&limit=1", admin, nil), "audit", "action"); !slices.Equal(got, []string{"token.create"}) {
		t.Errorf("a page shows %q", got)
	}
	for _, q := range []string{"limit=0", "limit=1001", "limit=x", "before=-1"} {
		k.do("GET", "/api/v1/audit?"+q, admin, nil).want(400)
	}

	k.clock.forward(60 * 24 * time.Hour)
	for i := range 2 * maxBatch {
		k.s.Audit(root, "local", "later", fmt.Sprint(i))
	}
	k.clock.forward(31 * 24 * time.Hour)
	if err := k.s.tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	entries, err := k.s.AuditEntries(t.Context(), root, 0, 10_000)
	if err != nil || len(entries) != 2*maxBatch || entries[0].Detail != fmt.Sprint(2*maxBatch-1) {
		t.Errorf("%d entries are left, %v; want the %d of the last 90 days, newest first", len(entries), err, 2*maxBatch)
	}
}
