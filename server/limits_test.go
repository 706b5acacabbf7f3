package server

import (
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/server/config"
	"github.com/tallylog/tally/server/intake/limit"
)

// TestLimits: a tenant over its limit is told so on every way in, nothing of what it sends is stored meanwhile, other tenants
// are not held up, and a restart does not give back the quota.
func TestLimits(t *testing.T) {
	dir := t.TempDir()
	start := func() *running {
		return runWith(t, dir, func(o *Options) {
			o.Config.Limits.Tenants = map[string]config.Rates{"small": {BytesPerDay: 1000}}
		})
	}
	r := start()
	r.do("POST", "/api/v1/tenants", `{"name":"small"}`)
	small := []string{"Authorization", "Bearer " + r.token(`{"name":"s","role":"operator","tenant":"small"}`)}
	report := func(token []string) (rep limit.Report) {
		t.Helper()
		code, text, _ := r.do("GET", "/api/v1/limits", "", token...)
		if err := json.Unmarshal([]byte(text), &rep); err != nil || code != 200 {
			t.Fatal(code, text, err)
		}
		return rep
	}
	if code, text, _ := r.do("POST", "/api/v1/push", numbered(0, 100), small...); code != 200 {
		t.Fatal(code, text)
	}
	ways := []struct{ path, kind, body string }{
		{"/api/v1/push", "application/x-ndjson", `{"message":"late"}`},
		{"/_bulk", "application/x-ndjson", "{\"create\":{\"_index\":\"a\"}}\n{\"message\":\"late\"}\n"},
		{"/loki/api/v1/push", "application/json", `{"streams":[{"stream":{"a":"b"},"values":[["1700000000000000000","late"]]}]}`},
		{"/v1/logs", "application/json", `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"late"}}]}]}]}`},
	}
	for range 2 {
		for _, w := range ways {
			code, text, resp := r.do("POST", w.path, w.body, append(small, "Content-Type", w.kind)...)
			if resp.Header.Get("Retry-After") == "" || code != 429 {
				t.Errorf("%s over the limit: %d, Retry-After %q: %s", w.path, code, resp.Header.Get("Retry-After"), text)
			}
			if code, text, _ := r.do("POST", w.path, w.body, "Content-Type", w.kind); code/100 != 2 {
				t.Errorf("%s of another tenant: %d %s", w.path, code, text)
			}
		}
		rep := report(small)
		if rep.Tenant != "small" || rep.Limits != (limit.Rates{BytesPerDay: 1000}) || rep.Now.BytesToday < 1000 || rep.Now.RetryAfter < 1 || rep.Now.Refused != 4 {
			t.Errorf("report %+v", rep)
		}
		if rep := report(nil); rep.Tenant != "default" || rep.Limits != (limit.Rates{}) || rep.Now.RetryAfter != 0 {
			t.Errorf("report of the default %+v", rep)
		}
		if _, text, _ := r.do("GET", "/metrics", ""); !strings.Contains(text, `tally_tenant_refused_total{tenant="small"} 4`) || !strings.Contains(text, "tally_searches_running 0") || !strings.Contains(text, "tally_tails_refused_total 0") {
			t.Errorf("metrics: %.3000s", text)
		}
		if _, text, _ := r.do("GET", "/api/v1/count?query=late", "", small...); !strings.Contains(text, `"count":0`) {
			t.Errorf("of what was refused there is %s", text)
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r = start()
	}
}

// TestLimitsSlowLumberjack: a Lumberjack client is neither cut off nor refused, but waits.
func TestLimitsSlowLumberjack(t *testing.T) {
	r := runWith(t, t.TempDir(), func(o *Options) { o.Config.Limits.Default.EventsPerSecond = 100 })
	window := make([]string, 300)
	for i := range window {
		window[i] = `{"message":"x"}`
	}
	began := time.Now()
	for range 2 {
		c, err := net.Dial("tcp", r.lj)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := sendLumberjack(c, window...); err != nil {
			t.Fatal(err)
		}
	}
	// The first window leaves a debt of two seconds.
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("600 events at 100 a second took %v", took)
	}
	r.count("*", 600)
}
