package server

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/server/config"
)

// TestRetention: rules by namespace and stream, by age and by size; the plan says what goes, it goes and nothing else does, what is sent
// again from a removed day is refused, and the account stays whole. Others see only what is theirs.
func TestRetention(t *testing.T) {
	dir := t.TempDir()
	day := func(n int) string { return time.Now().UTC().AddDate(0, 0, -n).Format(time.DateOnly) + "T00:00:01Z" }
	// An age at which the day before the day before yesterday is past, and the day after that is not for hours, whatever the clock shows.
	age := 47 * time.Hour
	if time.Now().UTC().Hour() >= 12 {
		age = 59 * time.Hour
	}
	var body strings.Builder
	for n := range 80 {
		fmt.Fprintf(&body, `{"@timestamp":%q,"message":"line %d","kubernetes":{"namespace":"ns%d"},"data_stream":{"dataset":"d%d"}}`+"\n", day(n%4), n, n/4%2, n/8%2)
	}
	change := func(rules ...config.RetentionRule) func(*Options) {
		return func(o *Options) { o.Config.Retention.Rules = rules }
	}
	rule := func(name, ns, stream string, age time.Duration, size config.Bytes) config.RetentionRule {
		return config.RetentionRule{Name: name, Namespace: ns, Stream: stream, Age: config.Duration(age), Size: size}
	}
	r := runWith(t, dir, change(rule("one", "ns1", "logs-d1-*", 400*24*time.Hour, 0), rule("two", "ns1", "", 400*24*time.Hour, 0)))
	send := func() { r.push(body.String(), "Tally-Source", "s", "Tally-From", "0") }
	send()
	r.count("*", 80)
	type part struct {
		Name, Class, Day, Reason string
		Rows                     int64
		Shares                   []struct{ Tenant, Namespace string }
	}
	type answer struct {
		Rows                          int64
		Classes                       []struct{ Name string }
		Usage                         []struct{ Tenant, Namespace string }
		Partitions, Removed, Removals []part
	}
	get := func(path string, header ...string) (a answer) {
		t.Helper()
		code, ans, _ := r.do("GET", "/api/v1/storage"+path, "", header...)
		if err := json.Unmarshal([]byte(ans), &a); code != 200 || err != nil {
			t.Fatalf("%s: %d %s", path, code, ans)
		}
		return a
	}
	if a := get(""); a.Rows != 80 || len(a.Classes) != 3 || len(a.Partitions) != 12 || len(a.Usage) != 2 || len(a.Removed) != 0 {
		t.Errorf("storage: %+v", a)
	}
	if a := get("/plan"); len(a.Removals) != 0 {
		t.Errorf("plan: %+v", a.Removals)
	}
	_, ans, _ := r.do("POST", "/api/v1/tokens", `{"name":"x","role":"operator","namespaces":["ns1"]}`)
	var token struct{ Token string }
	_ = json.Unmarshal([]byte(ans), &token)
	if a := get("", "Authorization", "Bearer "+token.Token); a.Rows != 40 || len(a.Usage) != 1 || a.Usage[0].Namespace != "ns1" || a.Removed != nil {
		t.Errorf("a token of ns1 sees %+v", a)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}

	// By age one class loses its day 3, by size another all but the current day.
	r = runWith(t, dir, change(rule("one", "ns1", "logs-d1-*", age, 0), rule("two", "ns1", "", 0, 1)))
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if a := get(""); len(a.Removed) >= 4 && a.Rows <= 60 || time.Now().After(end) {
			break
		}
	}
	a := get("")
	gone := map[string]int{}
	for _, p := range a.Removed {
		gone[p.Class+"/"+p.Reason]++
		if p.Class == "one" && p.Day != day(3)[:10] || p.Day == day(0)[:10] || p.Rows != 5 {
			t.Errorf("removed %+v", p)
		}
	}
	if len(gone) != 2 || gone["one/age"] != 1 || gone["two/size"] != 3 || a.Rows != 60 {
		t.Errorf("removed %v, %d rows are left", gone, a.Rows)
	}
	r.count("*", 60)
	r.count("kubernetes.namespace:=ns0", 40)
	send()
	r.count("*", 60)
	if _, ans, _ := r.do("GET", "/api/v1/sources?name=s", ""); !strings.Contains(ans, `"ranges":[[0,80]],"gaps":[]`) || !strings.Contains(ans, `"conflicts":0`) {
		t.Errorf("the account: %s", ans)
	}
	if a := get("/plan?until=30d"); len(a.Removals) != 3 || a.Removals[0].Class != "one" || a.Removals[0].Day != day(2)[:10] {
		t.Errorf("plan: %+v", a.Removals)
	}
	for path, want := range map[string]int{"/plan?until=soon": 400, "/plan?x=1": 400, "?x=1": 400} {
		if code, ans, _ := r.do("GET", "/api/v1/storage"+path, ""); code != want {
			t.Errorf("%s: %d %s", path, code, ans)
		}
	}
}
