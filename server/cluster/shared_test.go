package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tallylog/tally/server/documents"
)

// paper is the document of a test; those of Elasticsearch are tried by their own package, and with servers in test/faults/runs.
type paper struct {
	mu    sync.Mutex
	doc   documents.Document
	away  bool
	first func() // called once before the next Put
}

var errAway = errors.New("the documents are away")

func (p *paper) Get(context.Context, string) (documents.Document, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away {
		return documents.Document{}, errAway
	}
	return p.doc, nil
}

func (p *paper) Put(_ context.Context, id string, body []byte, v documents.Version) (documents.Version, error) {
	p.mu.Lock()
	first := p.first
	p.first = nil
	p.mu.Unlock()
	if first != nil {
		first()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away {
		return v, errAway
	}
	if p.doc.Version != v {
		return v, documents.ErrChanged
	}
	p.doc = documents.Document{ID: id, Body: slices.Clone(json.RawMessage(body)), Version: documents.Version{Seq: v.Seq + 1, Primary: 1}}
	return p.doc.Version, nil
}

// share opens the register of a kit again, as one of several servers.
func (k *kit) share(p *paper) {
	k.t.Helper()
	k.reg.Close()
	reg, err := Open(k.t.Context(), k.dir, Options{Tokens: k.auth, Accounts: k, CA: func() string { return k.ca }, Image: "tallybeat:1", Documents: p, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		k.t.Fatal(err)
	}
	k.reg, k.mux = reg, http.NewServeMux()
	k.t.Cleanup(func() { reg.Close() })
	k.auth.Routes(k.mux)
	k.reg.Routes(k.mux)
}

// A code that one server made is good at another at once, and so is its end.
func TestCodesOfAnotherServer(t *testing.T) {
	p := &paper{}
	a, b := newKit(t), newKit(t)
	a.register("before") // when it was the only server
	b.register("too")
	a.share(p)
	b.share(p)
	inv := a.register("prod")
	text := b.do("GET", "/install/"+inv.Code, "", "", 200)
	if again := a.do("GET", "/install/"+inv.Code, "", "", 200); again != text {
		t.Error("two servers give two manifests")
	}
	b.do("POST", "/api/v1/clusters", "user:admin", `{"name":"prod"}`, 409)
	var list struct{ Clusters []Cluster }
	names := func(k *kit) (all []string) {
		t.Helper()
		if err := json.Unmarshal([]byte(k.do("GET", "/api/v1/clusters", "user:admin", "", 200)), &list); err != nil {
			t.Fatal(err)
		}
		for _, c := range list.Clusters {
			all = append(all, c.Name)
		}
		return all
	}
	for _, k := range []*kit{a, b} {
		if got := names(k); !slices.Equal(got, []string{"before", "prod", "too"}) {
			t.Errorf("a server knows %v", got)
		}
		if codes := list.Clusters[1].Codes; len(codes) != 1 || codes[0].Used != 2 {
			t.Errorf("codes %+v", codes)
		}
	}
	b.do("DELETE", "/api/v1/clusters/"+inv.ID+"/codes/"+list.Clusters[1].Codes[0].ID, "user:admin", "", 204)
	a.do("GET", "/install/"+inv.Code, "", "", 404)
	// What was removed does not come back with a server that was away.
	a.reg.Close()
	id := list.Clusters[0].ID
	if list.Clusters[0].Name != "before" {
		t.Fatal(list.Clusters[0].Name)
	}
	if err := b.reg.db.remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	a.share(p)
	if got := names(a); !slices.Equal(got, []string{"prod", "too"}) {
		t.Errorf("after its removal elsewhere: %v", got)
	}
}

// Two servers register at the same moment: both clusters are there, and one name is given once.
func TestRegisterAtOnce(t *testing.T) {
	p := &paper{}
	a, b := newKit(t), newKit(t)
	a.share(p)
	b.share(p)
	p.first = func() { b.register("theirs") }
	a.register("ours")
	p.first = func() { b.register("same") }
	a.do("POST", "/api/v1/clusters", "user:admin", `{"name":"same"}`, 409)
	for _, k := range []*kit{a, b} {
		if got := k.do("GET", "/api/v1/clusters", "user:admin", "", 200); strings.Count(got, `"name":`) != 3 {
			t.Errorf("clusters %s", got)
		}
	}
	var wg sync.WaitGroup
	for i, k := range []*kit{a, b, a, b} {
		wg.Go(func() {
			for n := range 3 {
				c := Registered{ID: fmt.Sprint(i, n), Name: fmt.Sprint(i, n), Token: "t"}
				for k.reg.db.add(t.Context(), c) != nil { // another was faster twenty times
				}
			}
		})
	}
	wg.Wait()
	for _, k := range []*kit{a, b} {
		if all, err := k.reg.db.list(t.Context(), 0); err != nil || len(all) != 15 {
			t.Errorf("%d clusters, %v", len(all), err)
		}
	}
}

// Without the documents the register can be read, and not changed.
func TestRegisterAway(t *testing.T) {
	p := &paper{}
	k := newKit(t)
	k.share(p)
	inv := k.register("prod")
	p.away = true
	if got := k.do("GET", "/api/v1/clusters", "user:admin", "", 200); !strings.Contains(got, `"prod"`) {
		t.Errorf("clusters %s", got)
	}
	k.do("POST", "/api/v1/clusters", "user:admin", `{"name":"x"}`, 503)
	k.do("GET", "/install/"+inv.Code, "", "", 503)
	k.share(p) // it starts, too
	if got := k.do("GET", "/api/v1/clusters", "user:admin", "", 200); !strings.Contains(got, `"prod"`) {
		t.Errorf("clusters %s", got)
	}
	p.away = false
	k.do("GET", "/install/"+inv.Code, "", "", 200)
	// The document is gone, as after a restore of Elasticsearch: the copy is what there is.
	p.doc = documents.Document{}
	k.share(p)
	k.do("GET", "/install/"+inv.Code, "", "", 200)
	if !strings.Contains(string(p.doc.Body), `"prod"`) {
		t.Errorf("the document is %s", p.doc.Body)
	}
}
