package bulk

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/elastic/go-elasticsearch/v8"
	"github.com/elastic/go-elasticsearch/v8/esutil"

	"github.com/tallylog/tally/server/intake/intaketest"
	"github.com/tallylog/tally/test/rig"
)

// TestFilebeat: a genuine Filebeat 7.17.29, configured as README.md has it, connects with all its checks switched on (license,
// lifecycle policy, template, alias) and delivers 1,000 lines once.
func TestFilebeat(t *testing.T) {
	s := intaketest.Serve(t, register)
	s.Gate.Wait = 30 * time.Second
	home := t.TempDir()
	const n = 1000
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, "line %d\n", i)
	}
	logs := filepath.Join(home, "a.log")
	if err := os.WriteFile(logs, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(home, "module"), 0o700); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(home, "filebeat.yml")
	text := strings.NewReplacer("/var/log/app/*.log", logs, "http://127.0.0.1:5080", s.URL).Replace(intaketest.Sample(t, "yaml"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := rig.Start(t, nil, rig.Filebeat(t), "-e", "-c", config, "--path.home", home, "--strict.perms=false")
	rig.Eventually(t, 2*time.Minute, "all lines have come", func() bool { return s.Count() >= n })
	if code := p.Stop(); code != 0 {
		t.Errorf("filebeat ended with %d", code)
	}
	seen := map[string]int{}
	for _, e := range s.Events() {
		m, _ := e.Get("message")
		seen[m]++
		path, _ := e.Get("log.file.path")
		index, _ := e.Get(IndexField)
		if path != logs || index != "filebeat-7.17.29" || e.Time == 0 || e.HasPosition() {
			t.Fatalf("event %+v", e)
		}
	}
	for i := range n {
		if seen[fmt.Sprint("line ", i)] != 1 {
			t.Errorf("line %d came %d times", i, seen[fmt.Sprint("line ", i)])
		}
	}
	for line := range strings.Lines(string(p.Log())) {
		if strings.Contains(line, "\tERROR\t") || strings.Contains(line, "Cannot index") {
			t.Errorf("filebeat is not content: %s", line)
		}
	}
}

// TestOfficialClient: go-elasticsearch 8 delivers with its BulkIndexer, and is told what was there already.
func TestOfficialClient(t *testing.T) {
	s := intaketest.Serve(t, register)
	s.Gate.Wait = 30 * time.Second
	client, err := elasticsearch.NewClient(elasticsearch.Config{Addresses: []string{s.URL}, Username: "push", Password: "x", CompressRequestBody: true})
	if err != nil {
		t.Fatal(err)
	}
	info, err := client.Info()
	if err != nil {
		t.Fatal(err)
	}
	defer info.Body.Close()
	var root struct{ Version struct{ Number string } }
	if err := json.NewDecoder(info.Body).Decode(&root); err != nil || root.Version.Number != Version || info.StatusCode != 200 {
		t.Fatalf("%v, %d, version %q", err, info.StatusCode, root.Version.Number)
	}
	const n = 1000
	send := func(action string) (stats esutil.BulkIndexerStats, failed int64) {
		var failures atomic.Int64
		bi, err := esutil.NewBulkIndexer(esutil.BulkIndexerConfig{Client: client, Index: "apps", NumWorkers: 2, FlushBytes: 20_000})
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			err := bi.Add(t.Context(), esutil.BulkIndexerItem{
				Action: action, DocumentID: fmt.Sprint(i), Body: strings.NewReader(fmt.Sprintf(`{"message":"line %d"}`, i)),
				OnFailure: func(_ context.Context, _ esutil.BulkIndexerItem, r esutil.BulkIndexerResponseItem, err error) {
					if err != nil || r.Status != 409 || r.Error.Type != "version_conflict_engine_exception" {
						t.Errorf("item failed: %v %+v", err, r)
					}
					failures.Add(1)
				},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := bi.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		return bi.Stats(), failures.Load()
	}
	f := func(action string, created, updated uint64, failed int64) {
		t.Helper()
		stats, failures := send(action)
		if stats.NumCreated+stats.NumIndexed != created || stats.NumUpdated != updated || failures != failed {
			t.Errorf("%s: %+v, %d failures", action, stats, failures)
		}
		if got := s.Count(); got != n {
			t.Errorf("after %s %d events are stored, want %d", action, got, n)
		}
	}
	f("create", n, 0, 0)
	f("create", 0, 0, n)
	stats, failures := send("index")
	if failures != 0 || stats.NumFailed != 0 || s.Count() != n {
		t.Errorf("index of known ids: %+v, %d failures, %d stored", stats, failures, s.Count())
	}
}

// TestFacade: who asks "/" decides what comes, and no address that a client asks for is missing.
func TestFacade(t *testing.T) {
	s := intaketest.Serve(t, register)
	f := func(method, path string, status int, contains string, header ...string) {
		t.Helper()
		resp, text := s.Do(method, path, nil, header...)
		if resp.StatusCode != status || !strings.Contains(text, contains) {
			t.Errorf("%s %s %v: %d %s; want %d and %q", method, path, header, resp.StatusCode, text, status, contains)
		}
	}
	js := []string{"Accept", "application/json"}
	f("GET", "/", 200, `"number":"`+Version+`"`, js...)
	f("GET", "/", 200, `"number":"`+Version+`"`, "Authorization", "Bearer x")
	f("HEAD", "/", 200, "", js...)
	f("GET", "/", 200, "page")
	f("GET", "/", 200, "page", "Accept", "text/html,application/json;q=0.9")
	f("GET", "/favicon.ico", 200, "page", "Accept", "image/*")
	f("GET", "/assets/x/main.js", 200, "page", js...)
	f("GET", "/_license?human=false", 200, `"status":"active"`, js...)
	f("GET", "/_xpack", 200, `"ilm":{"available":true,"enabled":true}`, js...)
	f("GET", "/_cluster/health", 200, `"status":"green"`)
	f("GET", "/_cluster/health/apps", 200, `"status":"green"`)
	for _, p := range []string{"/_template/x", "/_index_template/x", "/_component_template/x", "/_ilm/policy/x", "/_ingest/pipeline/x"} {
		f("HEAD", p, 200, "")
		f("GET", p, 200, `"x"`)
		f("PUT", p, 200, `"acknowledged":true`)
	}
	f("GET", "/_alias/filebeat-7.17.29", 200, `"is_write_index":true`)
	f("GET", "/_cat/indices", 200, "")
	f("GET", "/_cat/indices?format=json", 200, "[]")
	f("HEAD", "/apps", 200, "", js...)
	f("GET", "/apps", 200, `"apps":`, js...)
	f("PUT", "/apps", 200, `"index":"apps"`)
	f("PUT", "/%3Capps-%7Bnow%2Fd%7D-000001%3E", 200, `"acknowledged":true`)
	f("DELETE", "/_template/x", 400, "no handler found")
	f("GET", "/_search", 400, "no handler found")
	f("POST", "/_search", 400, "no handler found")
	s.Who.Role = "none"
	f("GET", "/", 403, "", js...)
	f("GET", "/_license", 403, "")
	s.Who.Role = "reader"
	f("GET", "/_license", 200, "active")
	f("PUT", "/_template/x", 403, "")
}

// TestAPIKey: an API key reaches authentication as Basic credentials, whose password is the token.
func TestAPIKey(t *testing.T) {
	f := func(want string, header ...string) {
		t.Helper()
		r, _ := http.NewRequest("GET", "/", nil)
		r.Header["Authorization"] = header
		got := ""
		dress(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			user, password, _ := r.BasicAuth()
			got = user + " " + password
		})).ServeHTTP(httptest.NewRecorder(), r)
		if got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
	key := base64.StdEncoding.EncodeToString([]byte("id:secret"))
	f("id secret", "ApiKey "+key)
	f("id secret", "apikey "+key)
	f("id secret", "Basic "+key)
	f(" ", "Bearer "+key)
	f(" ", "ApiKey "+key, "Bearer x")
}
