package server

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

// window sends documents over Lumberjack as an agent does, and returns when they are acknowledged.
func (r *running) window(docs ...string) {
	r.t.Helper()
	c, err := net.Dial("tcp", r.lj)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	b := binary.BigEndian.AppendUint32([]byte("2W"), uint32(len(docs)))
	for i, d := range docs {
		b = binary.BigEndian.AppendUint32(append(b, "2J"...), uint32(i+1))
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(d))), d...)
	}
	if _, err := c.Write(b); err != nil {
		r.t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(patience))
	for ack := make([]byte, 6); binary.BigEndian.Uint32(ack[2:]) != uint32(len(docs)); {
		if _, err := io.ReadFull(c, ack); err != nil {
			r.t.Fatalf("no acknowledgement: %v", err)
		}
	}
}

// explained asks until the answer has the state.
func (r *running) explained(params, state string) map[string]any {
	r.t.Helper()
	var ans string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		_, ans, _ = r.do("GET", "/api/v1/explain?"+params, "")
		var m map[string]any
		if json.Unmarshal([]byte(ans), &m) == nil && m["state"] == state && (state != "stored" || m["id"] != nil) {
			return m
		}
	}
	r.t.Fatalf("explain?%s: %s, want %s", params, ans, state)
	return nil
}

func TestExplain(t *testing.T) {
	r := run(t, t.TempDir())
	line := func(at time.Time, from, to, skipped int, message string) string {
		return fmt.Sprintf(`{"@timestamp":%q,"message":%q,"host":{"name":"node-1"},"log":{"file":{"path":"/var/log/a.log"}},"@metadata":{"tally":{"source":"file:one","from":%d,"to":%d,"skipped":%d,"sum":%q}}}`,
			at.Format(time.RFC3339Nano), message, from, to, skipped, message)
	}
	noon := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	r.window(
		line(noon, 0, 10, 0, "first"), line(noon.Add(time.Minute), 20, 30, 10, "second"), line(noon.Add(2*time.Minute), 60, 70, 0, "third"),
		`{"@metadata":{"tally":{"control":"lost","source":"file:one","from":30,"to":40,"reason":"corrupt"}}}`,
		`{"@metadata":{"tally":{"control":"lost","source":"file:two","from":0,"to":null,"reason":"removed","name":"/var/log/b.log"}}}`,
		`{"@metadata":{"tally":{"control":"status","source":"agent:node-1","status":{"version":"7.17.29","lag":3}}}}`,
	)
	r.window(line(noon, 0, 10, 0, "other")) // the same range with another content: stored, as a conflict
	r.count("*", 4)
	name := "name=" + url.QueryEscape("/var/log/a.log")
	f := func(params, state, says string) {
		t.Helper()
		m := r.explained(params, state)
		if s := m["sentence"].(string); !strings.Contains(s, says) || !strings.HasSuffix(s, ".") {
			t.Errorf("explain?%s: %q does not say %q", params, s, says)
		}
	}
	f(name+"&position=25", "stored", "Byte 25 of /var/log/a.log is stored: event ")
	f(name+"&position=5", "duplicate", "more than once")
	f(name+"&position=15", "skipped", "left out on purpose")
	f(name+"&position=35", "lost", "its bytes could not be read")
	f(name+"&position=45", "in_flight", "may be on its way")
	f(name+"&position=75", "not_read", "reaches up to 70")
	f("source=file:two&position=9", "lost", "/var/log/b.log will not arrive: the file was removed")
	f("name=nothing&position=0", "not_read", "has ever arrived")
	at := func(d time.Duration) string { return "&time=" + url.QueryEscape(noon.Add(d).Format(time.RFC3339Nano)) }
	f(name+at(time.Minute), "stored", "Byte 20 of")
	f(name+at(90*time.Second), "lost", "The first line after that time is")
	f(name+at(3*time.Minute), "not_read", "The last line before that time is")
	f("source=file:two"+at(0), "not_read", "No line of /var/log/b.log is stored")

	var list struct {
		Sources []struct{ ID, Name, Host string }
	}
	_, ans, _ := r.do("GET", "/api/v1/sources?host=node-1&kind=file", "")
	if err := json.Unmarshal([]byte(ans), &list); err != nil || len(list.Sources) != 1 || list.Sources[0].Name != "/var/log/a.log" {
		t.Fatalf("sources of the host: %s", ans)
	}
	id := list.Sources[0].ID
	f("id="+id+"&position=25", "stored", "Byte 25")
	event := r.explained("id="+id+"&position=25", "stored")["id"].(string)
	f("id="+event, "stored", "Byte 20 of /var/log/a.log is stored: event "+event)
	if code, ans, _ := r.do("GET", "/api/v1/sources/"+id, ""); code != 200 || !strings.Contains(ans, `"host":"node-1"`) {
		t.Errorf("the source: %d %s", code, ans)
	}
	if _, ans, _ := r.do("GET", "/api/v1/agents", ""); !strings.Contains(ans, `"id":"agent:node-1"`) || !strings.Contains(ans, `"lag":3`) {
		t.Errorf("the agents: %s", ans)
	}
	_, metrics, _ := r.do("GET", "/metrics", "")
	for _, want := range []string{"tally_ledger_sources 2", `tally_ledger_lost_units{reason="corrupt"} 10`, `tally_ledger_lost_units{reason="removed"} 1`, "tally_ledger_in_flight 20", "tally_ledger_gap_units 0", "tally_ledger_gap_lines 0"} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("the metrics lack %q", want)
		}
	}
	status := func(path string, want int, header ...string) {
		t.Helper()
		if code, ans, _ := r.do("GET", path, "", header...); code != want {
			t.Errorf("%s: %d %s, want %d", path, code, ans, want)
		}
	}
	status("/api/v1/sources/x", 404)
	status("/api/v1/explain?id="+strings.Repeat("0", 20), 404)
	status("/api/v1/explain?name=x", 400)
	status("/api/v1/explain?position=1", 400)
	status("/api/v1/explain?name=x&position=-1", 400)
	status("/api/v1/explain?name=x&position=1&time=-1h", 400)
	status("/api/v1/explain?name=x&position=1&what=x", 400)
	scoped := []string{"Authorization", "Bearer " + r.token(`{"name":"s","role":"reader","namespaces":["a"]}`)}
	r.do("POST", "/api/v1/tenants", `{"name":"other"}`)
	other := []string{"Authorization", "Bearer " + r.token(`{"name":"o","role":"reader","tenant":"other"}`)}
	for _, path := range []string{"/api/v1/sources/" + id, "/api/v1/agents", "/api/v1/explain?id=" + event} {
		status(path, 403, scoped...)
	}
	status("/api/v1/sources/"+id, 404, other...)
	status("/api/v1/explain?id="+event, 404, other...)
	if _, ans, _ := r.do("GET", "/api/v1/explain?id="+id+"&position=25", "", other...); !strings.Contains(ans, `"not_read"`) {
		t.Errorf("another tenant is told %s", ans)
	}
}

// TestExplainPod: who knows only the pod asks for a line of it by its time.
func TestExplainPod(t *testing.T) {
	r := run(t, t.TempDir())
	noon := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	doc := func(source, namespace string) string {
		return fmt.Sprintf(`{"@timestamp":%q,"message":"of %s","kubernetes":{"namespace":%q,"pod":{"name":"web-0","uid":"uid-%s"}},"log":{"file":{"path":"/k8spods/%s/app.log"}},`+
			`"@metadata":{"tally":{"source":"file:%s","from":0,"to":10,"skipped":0,"sum":"1"}}}`, noon.Format(time.RFC3339Nano), namespace, namespace, namespace, namespace, source)
	}
	r.window(doc("one", "shop"), doc("two", "bank"))
	r.count("*", 2)
	at := "&time=" + noon.Format(time.RFC3339)
	for params, want := range map[string]string{
		"pod=web-0&namespace=shop" + at:       "/k8spods/shop/app.log",
		"pod=web-0&namespace=bank&position=3": "/k8spods/bank/app.log",
		"pod=uid-bank" + at:                   "/k8spods/bank/app.log",
	} {
		if m := r.explained(params, "stored"); m["name"] != want {
			t.Errorf("explain?%s is about %v, want %s", params, m["name"], want)
		}
	}
	if _, ans, _ := r.do("GET", "/api/v1/explain?pod=web-9"+at, ""); !strings.Contains(ans, `"web-9\" has ever arrived`) {
		t.Errorf("of a pod that is not there: %s", ans)
	}
}
