package elasticsearch

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/test/rig"
)

const moved = 30_000

// movedLines are lines of four days and two namespaces; every second has a time that others have too.
func movedLines(from, to int) string {
	var b strings.Builder
	today := time.Now().UTC().Truncate(24 * time.Hour)
	for n := from; n < to; n++ {
		at := today.AddDate(0, 0, -1-n%4).Add(time.Duration(n/2) * time.Millisecond)
		fmt.Fprintf(&b, `{"@timestamp":%q,"message":"line %d status=%d 失败","level":"l%d","kubernetes":{"namespace":"ns%d"}}`+"\n", at.Format(time.RFC3339Nano), n, n%7, n%3, n%2)
	}
	return b.String()
}

// TestMove moves a server from the embedded store into Elasticsearch with the command, killed at several places on the way. The server
// on the same data directory then gives the same answers, and knows every line.
func TestMove(t *testing.T) {
	dir := t.TempDir()
	s := rig.NewServer(t, dir, "").Start()
	push := func(s *rig.Server, source, want string) {
		t.Helper()
		for from := 0; from < moved; from += 10_000 {
			code, body, err := s.Request("POST", "/api/v1/push", movedLines(from, from+10_000), "Tally-Source", source, "Tally-From", fmt.Sprint(from))
			if err != nil || code != 200 || !strings.HasPrefix(body, want) {
				t.Fatalf("push: %d %.200s %v, want %s", code, body, err, want)
			}
		}
	}
	push(s, "s", `{"accepted":10000,"duplicates":0`)
	s.WaitCount("*", moved, time.Minute)
	answers := func(s *rig.Server) map[string]any {
		t.Helper()
		all := map[string]any{"sources": s.Sources("s")[0].Ranges}
		for _, q := range []string{"*", "失败 level:l1", `"status=3" kubernetes.namespace:ns1`, `~"line 4\\d\\d "`} {
			all[q] = s.Events(q, "")
			for _, path := range []string{"/api/v1/count", "/api/v1/values", "/api/v1/stats", "/api/v1/fields"} {
				v := url.Values{"query": {q}}
				switch path {
				case "/api/v1/values":
					v.Set("field", "level")
				case "/api/v1/stats":
					v.Set("fn", "count")
					v.Set("by", "level")
				}
				var a any
				if err := s.Get(path, v, &a); err != nil {
					t.Fatal(err)
				}
				all[path+q] = a
			}
		}
		return all
	}
	want := answers(s)
	if code := s.Stop(); code != 0 {
		t.Fatalf("the server ended with %d", code)
	}

	o := options(dir)
	yml := fmt.Sprintf("storage: {type: elasticsearch, elasticsearch: {addresses: [%q], index: %q, replicas: 0}}\nretention: {rules: [{name: odd, namespace: ns1, age: 400d}]}\n", o.Addresses[0], o.Index)
	file := filepath.Join(t.TempDir(), "tally.yml")
	if err := os.WriteFile(file, []byte(yml), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(place string) (out string, killed bool) {
		t.Helper()
		c := exec.Command(rig.Tally(t), "storage", "copy", "--data", dir, "-c", file)
		c.Env = append(os.Environ(), "TALLY_FAILPOINT="+place)
		b, err := c.CombinedOutput()
		if err != nil && place == "" {
			t.Fatalf("%v\n%s", err, b)
		}
		return string(b), c.ProcessState.ExitCode() == -1
	}
	for _, place := range []string{"copy.appended=2", "copy.synced=1", "copy.saved=1"} {
		if out, killed := run(place); !killed {
			t.Fatalf("%s: the copy was not killed:\n%s", place, out)
		}
	}
	if out, _ := run(""); !strings.Contains(out, "Elasticsearch has all") || strings.Contains(out, "LACKS") || strings.Count(out, "whole") != 4 {
		t.Errorf("the copy says\n%s", out)
	}
	var p struct {
		Done   bool
		Events int
	}
	if b, err := os.ReadFile(filepath.Join(dir, "copy.json")); err != nil || json.Unmarshal(b, &p) != nil || !p.Done || p.Events != moved {
		t.Errorf("progress %+v, %v", p, err)
	}

	s = rig.NewServer(t, dir, yml).Start()
	got := answers(s)
	for q := range want {
		if !reflect.DeepEqual(got[q], want[q]) {
			t.Errorf("%s: the answers differ: %.300v\nand %.300v", q, got[q], want[q])
		}
	}
	stored(t, s)
	push(s, "s", `{"accepted":0,"duplicates":10000`)
	push(s, "t", `{"accepted":10000,"duplicates":0`)
	s.WaitCount("*", 2*moved, time.Minute)
	if n := s.Count("*"); n != 2*moved {
		t.Errorf("%d events, want %d", n, 2*moved)
	}
	if a := s.Sources("s"); a[0].Conflicts != 0 || a[0].Duplicates != moved || len(a[0].Gaps) != 0 {
		t.Errorf("the account: %+v", a)
	}
	if code := s.Stop(); code != 0 {
		t.Fatalf("the server ended with %d", code)
	}
	// After that everything is looked at again, and nothing is doubled.
	if out, _ := run(""); !strings.Contains(out, "a server has run since") || strings.Contains(out, "LACKS") {
		t.Errorf("another copy says\n%s", out)
	}
	s = rig.NewServer(t, dir, yml).Start()
	if n := s.Count("*"); n != 2*moved {
		t.Errorf("%d events after another copy, want %d", n, 2*moved)
	}
}

// stored holds that retention and usage are told of Elasticsearch as of the embedded store.
func stored(t *testing.T, s *rig.Server) {
	t.Helper()
	var a struct {
		Rows    int
		Classes []struct {
			Name  string
			Rows  int
			Bytes int
		}
		Usage      []struct{ Tenant, Namespace string }
		Partitions []struct{ Name, Class, Day string }
		Removals   []struct{ Class, Reason string }
	}
	if err := s.Get("/api/v1/storage", nil, &a); err != nil {
		t.Fatal(err)
	}
	if a.Rows != moved || len(a.Classes) != 2 || a.Classes[1].Name != "odd" || a.Classes[1].Rows != moved/2 || a.Classes[1].Bytes == 0 || len(a.Usage) != 2 || a.Usage[0].Tenant != "default" || len(a.Partitions) != 4 {
		t.Errorf("storage: %+v", a)
	}
	if err := s.Get("/api/v1/storage/plan", url.Values{"until": {"500d"}}, &a); err != nil || len(a.Removals) != 2 || a.Removals[0].Class != "odd" || a.Removals[0].Reason != "age" {
		t.Errorf("plan: %+v, %v", a.Removals, err)
	}
	c := exec.Command(rig.Tally(t), "storage")
	c.Env = append(os.Environ(), "TALLY_URL=http://"+s.HTTP, "TALLY_USER=admin", "TALLY_PASSWORD="+rig.Password)
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), `"namespace":"ns1","rows":15000`) {
		t.Errorf("tally storage: %v\n%s", err, out)
	}
}
