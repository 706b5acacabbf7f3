package cmd

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestScopes: what tokens and users are narrowed to is sent as it was given, and shown in the lists.
func TestScopes(t *testing.T) {
	var asked string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = r.Method + " " + r.URL.Path + " " + string(body)
		if r.Method == "GET" {
			_, _ = w.Write([]byte(`{"tokens":[{"id":"1f","name":"n","role":"push","tenant":"default","namespaces":["shop"],"clusters":["prod-eu","test-*"]}],` +
				`"users":[{"name":"ann","role":"reader","tenant":"default","clusters":["prod-eu"],"disabled":false}]}`))
			return
		}
		_, _ = w.Write([]byte(`{"id":"1f","token":"tly_x"}`))
	}))
	defer srv.Close()
	t.Setenv("TALLY_URL", srv.URL)
	t.Setenv("TALLY_TOKEN", "t")
	f := func(args, request string, printed ...string) {
		t.Helper()
		var out, errs bytes.Buffer
		if code := Main(strings.Fields(args), strings.NewReader("long enough\n"), &out, &errs); code != 0 {
			t.Fatalf("%s: exit %d: %s", args, code, &errs)
		}
		if strings.TrimSpace(asked) != request {
			t.Errorf("%s: sent %s, want %s", args, asked, request)
		}
		for _, want := range printed {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: printed %s, which lacks %s", args, &out, want)
			}
		}
	}
	f("token create --name n --role push --clusters prod-eu,test-* --namespaces shop", `POST /api/v1/tokens {"clusters":["prod-eu","test-*"],"name":"n","namespaces":["shop"],"role":"push"}`, "tly_x")
	f("token create --name n --clusters prod-eu", `POST /api/v1/tokens {"clusters":["prod-eu"],"name":"n","role":"reader"}`, "tly_x")
	f("token create --name n", `POST /api/v1/tokens {"name":"n","role":"reader"}`, "tly_x")
	f("user create ann --clusters prod-eu", `POST /api/v1/users {"clusters":["prod-eu"],"name":"ann","password":"long enough","role":"reader"}`)
	f("token list -o text", "GET /api/v1/tokens", "CLUSTERS", "prod-eu,test-*", "shop")
	f("user list -o text", "GET /api/v1/users", "CLUSTERS", "prod-eu")
}
