package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/auth"
)

const password = "correct horse battery"

// kit is a register over a real access database and an account that the test writes.
type kit struct {
	t       *testing.T
	dir     string
	reg     *Register
	auth    *auth.Store
	mux     *http.ServeMux
	now     time.Time
	ca      string
	agents  []admit.Agent
	sources []admit.Source
}

func (k *kit) Agents(uint32) []admit.Agent { return k.agents }

func (k *kit) Sources(time.Time, admit.Filter) []admit.Source { return k.sources }

func newKit(t *testing.T) *kit {
	t.Helper()
	k := &kit{t: t, dir: t.TempDir(), mux: http.NewServeMux(), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	var err error
	if k.auth, err = auth.Open(t.Context(), k.dir, auth.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.auth.Close() })
	if _, _, err := k.auth.EnsureAdmin(t.Context(), k.dir, password); err != nil {
		t.Fatal(err)
	}
	k.open()
	k.auth.Routes(k.mux)
	k.reg.Routes(k.mux)
	k.mux.Handle("GET /push", k.auth.Require(auth.Push, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := auth.FromContext(r.Context())
		fmt.Fprint(w, p.Tenant, p.Clusters, p.Role)
	})))
	return k
}

func (k *kit) open() {
	k.t.Helper()
	reg, err := Open(k.t.Context(), k.dir, Options{Tokens: k.auth, Accounts: k, CA: func() string { return k.ca }, Image: "tallybeat:1", Now: func() time.Time { return k.now }})
	if err != nil {
		k.t.Fatal(err)
	}
	k.reg = reg
	k.t.Cleanup(func() { reg.Close() })
}

// do sends a request as user, or with a token, or without credentials, and checks the status.
func (k *kit) do(method, path, who, body string, want int) string {
	k.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "tally.example:5080"
	if user, ok := strings.CutPrefix(who, "user:"); ok {
		r.SetBasicAuth(user, password)
	} else if who != "" {
		r.Header.Set("Authorization", "Bearer "+who)
	}
	w := httptest.NewRecorder()
	k.mux.ServeHTTP(w, r)
	if w.Code != want {
		k.t.Fatalf("%s %s as %.10s: %d %s, want %d", method, path, who, w.Code, w.Body, want)
	}
	return w.Body.String()
}

func (k *kit) register(name string) (inv Invitation) {
	k.t.Helper()
	body, _ := json.Marshal(map[string]string{"name": name})
	if err := json.Unmarshal([]byte(k.do("POST", "/api/v1/clusters", "user:admin", string(body), 200)), &inv); err != nil {
		k.t.Fatal(err)
	}
	return inv
}

// objects reads a manifest as kubectl does: documents by kind.
func objects(t *testing.T, text string) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	for d := yaml.NewDecoder(strings.NewReader(text)); ; {
		var o map[string]any
		if err := d.Decode(&o); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		all[o["kind"].(string)] = o
	}
}

func tokenIn(t *testing.T, manifest string) string {
	t.Helper()
	return objects(t, manifest)["Secret"]["stringData"].(map[string]any)["token"].(string)
}

func TestInstall(t *testing.T) {
	k := newKit(t)
	k.ca = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"
	inv := k.register("prod-eu")
	if want := "kubectl apply -f http://tally.example:5080/install/" + inv.Code; inv.Command != want || !inv.Expires.Equal(k.now.Add(codeAge)) {
		t.Errorf("invitation %+v, want %s", inv, want)
	}
	text := k.do("GET", "/install/"+inv.Code, "", "", 200)
	o := objects(t, text)
	for _, kind := range []string{"Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Secret", "ConfigMap", "DaemonSet"} {
		if o[kind] == nil {
			t.Errorf("there is no %s", kind)
		}
	}
	data := o["ConfigMap"]["data"].(map[string]any)
	if data["cluster"] != "prod-eu" || data["server"] != "http://tally.example:5080" || data["ca.crt"] != k.ca {
		t.Errorf("ConfigMap %v", data)
	}
	var config map[string]any
	if err := yaml.Unmarshal([]byte(data["tallybeat.yml"].(string)), &config); err != nil || config["output.tally"] == nil {
		t.Errorf("%v in %v", err, data["tallybeat.yml"])
	}
	// The token can do one thing.
	if got := k.do("GET", "/push", tokenIn(t, text), "", 200); got != "default[prod-eu]push" {
		t.Errorf("the token is %s", got)
	}
	k.do("GET", "/api/v1/clusters", tokenIn(t, text), "", 403)
	k.do("POST", "/api/v1/clusters", "user:admin", `{"name":"prod-eu"}`, 409)
	// Neither secret nor code is in any file.
	files, _ := filepath.Glob(filepath.Join(k.dir, "*"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(inv.Code)) || bytes.Contains(b, []byte(tokenIn(t, text))) {
			t.Errorf("%s holds a secret", f)
		}
	}
	// It outlives a restart.
	k.reg.Close()
	k.open()
	k.mux = http.NewServeMux()
	k.reg.Routes(k.mux)
	if again := k.do("GET", "/install/"+inv.Code, "", "", 200); again != text {
		t.Error("after a restart the manifest differs")
	}
}

func TestCodesEnd(t *testing.T) {
	k := newKit(t)
	inv := k.register("a")
	old := tokenIn(t, k.do("GET", "/install/"+inv.Code, "", "", 200))
	k.do("GET", "/install/"+inv.Code[1:]+"A", "", "", 404)
	k.now = k.now.Add(codeAge)
	k.do("GET", "/install/"+inv.Code, "", "", 404)

	var next Invitation
	if err := json.Unmarshal([]byte(k.do("POST", "/api/v1/clusters/"+inv.ID+"/codes", "user:admin", "", 200)), &next); err != nil {
		t.Fatal(err)
	}
	fresh := tokenIn(t, k.do("GET", "/install/"+next.Code, "", "", 200))
	k.do("GET", "/push", old, "", 401)
	k.do("GET", "/push", fresh, "", 200)
	var list struct{ Clusters []Cluster }
	if err := json.Unmarshal([]byte(k.do("GET", "/api/v1/clusters", "user:admin", "", 200)), &list); err != nil {
		t.Fatal(err)
	}
	codes := list.Clusters[0].Codes
	if len(codes) != 1 || codes[0].Used != 1 {
		t.Fatalf("codes %+v", codes)
	}
	k.do("DELETE", "/api/v1/clusters/"+inv.ID+"/codes/"+codes[0].ID, "user:admin", "", 204)
	k.do("GET", "/install/"+next.Code, "", "", 404)
	k.do("DELETE", "/api/v1/clusters/"+inv.ID+"/codes/"+codes[0].ID, "user:admin", "", 404)
	k.do("GET", "/push", fresh, "", 200)
	k.do("DELETE", "/api/v1/clusters/"+inv.ID, "user:admin", "", 204)
	k.do("GET", "/push", fresh, "", 401)
	k.do("DELETE", "/api/v1/clusters/"+inv.ID, "user:admin", "", 404)
	// Its name is free again, and a token that was revoked by hand is no obstacle.
	inv = k.register("a")
	if err := json.Unmarshal([]byte(k.do("GET", "/api/v1/clusters", "user:admin", "", 200)), &list); err != nil {
		t.Fatal(err)
	}
	k.do("DELETE", "/api/v1/tokens/"+list.Clusters[0].Token, "user:admin", "", 204)
	k.do("DELETE", "/api/v1/clusters/"+inv.ID, "user:admin", "", 204)
}

func TestWhoMayRegister(t *testing.T) {
	k := newKit(t)
	k.do("POST", "/api/v1/tenants", "user:admin", `{"name":"acme"}`, 200)
	for _, u := range []string{`"name":"op","role":"operator"`, `"name":"rd","role":"reader"`, `"name":"other","role":"admin","tenant":"acme"`, `"name":"narrow","role":"admin","clusters":["dev-*"]`} {
		k.do("POST", "/api/v1/users", "user:admin", `{"password":"`+password+`",`+u+`}`, 200)
	}
	inv := k.register("prod")
	k.do("POST", "/api/v1/clusters", "", `{"name":"x"}`, 401)
	k.do("POST", "/api/v1/clusters", "user:op", `{"name":"x"}`, 403)
	k.do("GET", "/api/v1/clusters", "user:rd", "", 403)
	k.do("POST", "/api/v1/clusters", "user:narrow", `{"name":"prod-2"}`, 403)
	k.do("POST", "/api/v1/clusters", "user:narrow", `{"name":"dev-1"}`, 200)
	k.do("DELETE", "/api/v1/clusters/"+inv.ID, "user:narrow", "", 404)
	k.do("DELETE", "/api/v1/clusters/"+inv.ID, "user:other", "", 404)
	if got := k.do("GET", "/api/v1/clusters", "user:other", "", 200); strings.Contains(got, "prod") {
		t.Errorf("another tenant sees %s", got)
	}
	if got := k.do("GET", "/api/v1/clusters", "user:narrow", "", 200); strings.Contains(got, `"prod"`) || !strings.Contains(got, `"dev-1"`) {
		t.Errorf("a narrowed admin sees %s", got)
	}
	k.do("GET", "/api/v1/clusters", "user:op", "", 200)
	for _, body := range []string{`{"name":""}`, `{"name":"a*"}`, `{"name":"a\nb"}`, `{"name":"a","x":1}`, `{}{}`, `[]`, ``} {
		k.do("POST", "/api/v1/clusters", "user:admin", body, 400)
	}
}

// Whatever name or Host, the manifest stays the same objects with these texts in them.
func FuzzManifest(f *testing.F) {
	f.Add("prod", "https://tally.example", "tly_x", "")
	f.Add("a\"\n---\nkind: Pod", "http://[::1]:5080", "{{.}}", "\u2028'\\")
	f.Fuzz(func(t *testing.T, name, server, token, ca string) {
		if strings.ToValidUTF8(name+server+token+ca, "") != name+server+token+ca || strings.ContainsAny(name+server+token+ca, "\x7f\ufffe\uffff\ufeff\u0085") {
			t.Skip() // YAML has no such characters
		}
		if name == "" || server == "" || token == "" {
			t.Skip() // a registered cluster has them all
		}
		text, err := manifest(values{Cluster: name, Server: server, Token: token, CA: ca, Image: name})
		if err != nil {
			t.Fatal(err)
		}
		o := objects(t, string(text))
		if len(o) != 7 || tokenIn(t, string(text)) != token || o["ConfigMap"]["data"].(map[string]any)["cluster"] != name {
			t.Errorf("the manifest says something else:\n%s", text)
		}
	})
}

func TestNodes(t *testing.T) {
	k := newKit(t)
	k.register("prod")
	var list struct{ Clusters []Cluster }
	if err := json.Unmarshal([]byte(k.do("GET", "/api/v1/clusters", "user:admin", "", 200)), &list); err != nil {
		t.Fatal(err)
	}
	client := "token:" + list.Clusters[0].Token
	ago := func(d time.Duration) string { return k.now.Add(-d).Format(time.RFC3339) }
	k.agents = []admit.Agent{
		{ID: "agent:1", Client: client, Updated: ago(time.Second), Status: []byte(`{"node":"n1","version":"7","config":"aa","lag":5,"nodes":{"count":4,"names":["n1","n2","n4"]}}`)},
		{ID: "agent:2", Client: client, Updated: ago(10 * time.Minute), Status: []byte(`{"node":"n2","config":"bb"}`)},
		{ID: "agent:3", Client: client, Updated: ago(time.Second), Status: []byte(`{"node":"n3","config":"bb","nodes":"odd"}`)},
		{ID: "agent:9", Client: "token:other", Updated: ago(time.Second), Status: []byte(`{"node":"n9"}`)},
		{ID: "agent:8", Client: "lumberjack", Updated: ago(time.Second), Status: []byte(`{"node":"edge-1"}`)},
	}
	at := func(cluster, host, client string, d time.Duration) admit.Source {
		return admit.Source{Client: client, Events: 10, Gaps: []admit.Gap{{Reason: "missing"}}, Updated: ago(d), Attributes: admit.Attributes{Cluster: cluster, Host: host}}
	}
	k.sources = []admit.Source{at("prod", "n1", client, 0), at("prod", "n5", client, time.Hour), at("prod", "n6", client, 8*24*time.Hour), at("edge", "edge-1", "lumberjack", 0)}
	if err := json.Unmarshal([]byte(k.do("GET", "/api/v1/clusters", "user:admin", "", 200)), &list); err != nil {
		t.Fatal(err)
	}
	describe := func(c Cluster) string {
		s := c.Name + " " + strings.Join(c.Missing, ",") + fmt.Sprint(" ", len(c.Agents), " ", c.Events, " ", c.Gaps, " ", len(c.Configurations), ":")
		for _, n := range c.Nodes {
			s += " " + n.Name + "=" + n.State
		}
		return s
	}
	got := ""
	for _, c := range list.Clusters {
		got += describe(c) + "\n"
	}
	// n3's odd status is a sign of life without a name.
	want := "prod n2,n4,n5 3 30 3 1: n1=agent n2=silent n4=none n5=none\nedge  1 10 1 0: edge-1=agent\n"
	if got != want {
		t.Errorf("clusters\n%swant\n%s", got, want)
	}
}
