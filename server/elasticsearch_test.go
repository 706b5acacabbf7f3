package server

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/tallylog/tally/server/config"
)

// TestStoreAway holds that the server starts while Elasticsearch does not answer, says so, and takes and keeps what it is sent.
func TestStoreAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + l.Addr().String()
	if err := l.Close(); err != nil { // nobody listens there now
		t.Fatal(err)
	}
	dir := t.TempDir()
	r := runWith(t, dir, func(o *Options) {
		o.Config.Storage.Type, o.Config.Storage.Elasticsearch.Addresses = "elasticsearch", []string{address}
	})
	const why = "Elasticsearch cannot be reached"
	f := func(method, path, body string, code int, want string) {
		t.Helper()
		got, text, _ := r.do(method, path, body)
		if got != code || !strings.Contains(text, want) || strings.Contains(text, address) {
			t.Errorf("%s: %d %s; want %d %s", path, got, text, code, want)
		}
	}
	f("GET", "/readyz", "", http.StatusServiceUnavailable, why)
	f("GET", "/healthz", "", http.StatusOK, "ok")
	f("POST", "/api/v1/push", `{"message":"kept"}`, http.StatusOK, `"accepted":1`)
	f("GET", "/api/v1/count?query=kept", "", http.StatusServiceUnavailable, why)
	f("GET", "/metrics", "", http.StatusOK, "tally_store_up 0")
	if err := r.stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

func TestElasticsearchConfig(t *testing.T) {
	f := func(yaml, want string) {
		t.Helper()
		_, err := config.Parse("tally.yml", []byte("storage:\n  type: elasticsearch\n  elasticsearch: {"+yaml+"}\n"), func(string) (string, bool) { return "", false })
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", yaml, err, want)
		}
	}
	f(`addresses: ["https://es:9200"]`, "")
	f("", "addresses")
	f("addresses: [es:9200]", "es:9200")
	f(`addresses: ["http://es:9200"], index: logs`, "tally-")
	f(`addresses: ["http://es:9200"], username: u`, "password")
	f(`addresses: ["http://es:9200"], username: u, password: p, api_key: k`, "API key")
	f(`addresses: ["http://es:9200"], shards: 0`, "shards")
	f(`addresses: ["http://es:9200"], certificate: c`, "key")
	s := &Server{o: Options{Config: config.Default()}}
	s.o.Config.Storage.Elasticsearch = config.Elasticsearch{Addresses: []string{"https://es:9200"}, Index: "tally-x", Authorities: "none.pem"}
	if _, err := s.openElasticsearch(); err == nil || !strings.Contains(err.Error(), "none.pem") {
		t.Errorf("a missing file gives %v", err)
	}
}
