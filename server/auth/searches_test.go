package auth

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func TestSearches(t *testing.T) {
	k := newKit(t)
	admin := basic("admin", adminPassword)
	const password = "correct horse battery"
	for _, user := range []string{`{"name":"anna","password":"` + password + `","role":"reader"}`, `{"name":"ben","password":"` + password + `","role":"reader"}`} {
		k.do("POST", "/api/v1/users", admin, user).want(200)
	}
	k.do("POST", "/api/v1/tenants", admin, `{"name":"acme"}`).want(200)
	k.do("POST", "/api/v1/users", admin, `{"name":"carl","password":"`+password+`","role":"reader","tenant":"acme"}`).want(200)
	anna, ben, carl := basic("anna", password), basic("ben", password), basic("carl", password)
	list := func(by prepare) string {
		t.Helper()
		return strings.Join(names(t, k.do("GET", "/api/v1/searches", by, nil), "searches", "name"), ",")
	}

	k.do("PUT", "/api/v1/searches/mine", anna, `{"query":"error","start":"-1h","columns":["host.name"]}`).want(204)
	k.do("PUT", "/api/v1/searches/"+url.PathEscape("a b/失败"), anna, `{"query":"失败","by":"level","shared":true}`).want(204)
	if got := list(anna); got != "a b/失败,mine" {
		t.Errorf("anna has %q", got)
	}
	if got := list(ben); got != "a b/失败" {
		t.Errorf("ben sees %q", got)
	}
	if got := list(carl); got != "" {
		t.Errorf("another tenant sees %q", got)
	}
	// Nobody else changes it: the same name is another search.
	k.do("DELETE", "/api/v1/searches/"+url.PathEscape("a b/失败"), ben, nil).want(404)
	k.do("PUT", "/api/v1/searches/mine", ben, `{"query":"ben's"}`).want(204)
	k.do("PUT", "/api/v1/searches/mine", anna, `{"query":"error OR fatal","start":"-2h"}`).want(204)
	body := string(k.do("GET", "/api/v1/searches", anna, nil).want(200).body)
	if want := `{"name":"mine","owner":"anna","query":"error OR fatal","start":"-2h","end":"","columns":[],"by":"","shared":false,"changed":"`; !strings.Contains(body, want) {
		t.Errorf("%s lacks %s", body, want)
	}
	if strings.Contains(body, "ben") {
		t.Errorf("anna sees what ben did not share: %s", body)
	}

	k.do("PUT", "/api/v1/searches/"+strings.Repeat("x", 101), anna, `{}`).want(400)
	k.do("PUT", "/api/v1/searches/x", anna, `{"query":1}`).want(400)
	k.do("PUT", "/api/v1/searches/x", anna, `{"color":"red"}`).want(400)
	k.do("PUT", "/api/v1/searches/x", anna, `{"columns":["`+strings.Repeat(`a","`, 60)+`b"]}`).want(400)
	_, secret := k.token(TokenRequest{Role: RoleReader})
	k.do("GET", "/api/v1/searches", bearer(secret), nil).want(403)
	k.do("GET", "/api/v1/searches", nil, nil).want(401)

	// A search goes with its user, and is bounded for each.
	k.do("DELETE", "/api/v1/searches/mine", anna, nil).want(204)
	k.do("DELETE", "/api/v1/users/anna", admin, nil).want(204)
	if got := list(ben); got != "mine" {
		t.Errorf("after its user went ben sees %q", got)
	}
	for i := range maxSearches - 1 {
		if _, err := k.s.db.Exec("INSERT INTO searches VALUES ('ben', ?, 0, 0, '{}', 0)", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	k.do("PUT", "/api/v1/searches/one%20more", ben, `{}`).want(409)
	k.do("PUT", "/api/v1/searches/mine", ben, `{}`).want(204)
}
