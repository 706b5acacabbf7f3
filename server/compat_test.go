package server

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestCompatible sends to a whole server as clients of Elasticsearch, Loki and OpenTelemetry do: everything is found once, and who may
// not write does not.
func TestCompatible(t *testing.T) {
	r := run(t, t.TempDir())
	code, ans, _ := r.do("POST", "/api/v1/tokens", `{"name":"beats","role":"push","namespaces":["shop"]}`)
	var token struct{ Token string }
	if err := json.Unmarshal([]byte(ans), &token); err != nil || token.Token == "" {
		t.Fatalf("%d %s", code, ans)
	}
	key := "ApiKey " + base64.StdEncoding.EncodeToString([]byte("any:"+token.Token))
	f := func(method, path, body string, status int, contains string, header ...string) {
		t.Helper()
		code, ans, _ := r.do(method, path, body, header...)
		if code != status || !strings.Contains(ans, contains) {
			t.Errorf("%s %s: %d %s; want %d and %q", method, path, code, ans, status, contains)
		}
	}
	nd := []string{"Content-Type", "application/x-ndjson", "Authorization", key}
	doc := func(op, index, id string) string {
		return `{"` + op + `":{"_index":"` + index + `","_id":"` + id + `"}}` + "\n" + `{"message":"from elastic","kubernetes":{"namespace":"shop"}}` + "\n"
	}
	f("POST", "/_bulk", doc("create", "apps", "1"), 200, `"errors":false`, nd...)
	f("POST", "/_bulk", doc("create", "apps", "1"), 200, `"version_conflict_engine_exception"`, nd...)
	f("POST", "/apps/_bulk", doc("index", "apps", "1"), 200, `"result":"updated"`, nd...)
	f("POST", "/_bulk", doc("create", "other", "1"), 200, `"errors":false`, nd...)
	f("POST", "/_bulk", strings.ReplaceAll(doc("create", "apps", "2"), "shop", "pay"), 403, "security_exception", nd...)
	f("POST", "/_bulk", doc("create", "apps", "3"), 401, "", "Content-Type", "application/json", "Authorization", "ApiKey x")
	r.count(`"from elastic"`, 2)
	r.count(`tally.index:=apps`, 1)

	bearer := []string{"Content-Type", "application/json", "Authorization", "Bearer " + token.Token}
	f("POST", "/loki/api/v1/push", `{"streams":[{"stream":{"app":"cart","namespace":"shop"},"values":[["1763773323123456789","from loki"]]}]}`, 204, "", bearer...)
	f("POST", "/loki/api/v1/push", `{"streams":[{"stream":{"namespace":"pay"},"values":[["1763773323123456789","from loki"]]}]}`, 403, "scope", bearer...)
	r.count(`"from loki" app:=cart kubernetes.namespace:=shop`, 1)
	f("POST", "/v1/logs", `{"resourceLogs":[{"resource":{"attributes":[{"key":"k8s.namespace.name","value":{"stringValue":"shop"}}]},"scopeLogs":[{"logRecords":[{"body":{"stringValue":"from otel"},"severityNumber":17}]}]}]}`, 200, "{}", bearer...)
	r.count(`"from otel" log.level:=error kubernetes.namespace:=shop`, 1)
	r.count("*", 4)

	f("GET", "/", "", 200, `"tagline"`, "Accept", "application/json")
	f("GET", "/_license", "", 200, `"active"`, bearer...)
	f("GET", "/", "", 200, "<html", "Accept", "text/html,*/*")
	f("POST", "/_bulk/x", "", 400, "no handler found")
	for accept, want := range map[string]int{"application/json": 401, "text/html": 200, "*/*": 200} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", r.url+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", accept)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("GET / without credentials, Accept %s: %d, want %d", accept, resp.StatusCode, want)
		}
	}
}
