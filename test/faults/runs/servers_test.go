package runs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	real "github.com/tallylog/tally/test/real/elasticsearch"
	"github.com/tallylog/tally/test/rig"
)

// gate carries connections to one address, or, while it is shut, to nowhere.
type gate struct {
	addr string
	shut atomic.Bool
	mu   sync.Mutex
	open map[net.Conn]bool
}

// newGate opens a gate to one of several addresses, each connection to the next one that takes it: a plain TCP balancer.
func newGate(t testing.TB, to ...string) *gate {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	g := &gate{addr: l.Addr().String(), open: map[net.Conn]bool{}}
	go func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go g.carry(c, to, n)
		}
	}()
	return g
}

func (g *gate) carry(client net.Conn, to []string, n int) {
	defer client.Close()
	for i := range to {
		if g.shut.Load() {
			return
		}
		server, err := net.DialTimeout("tcp", to[(n+i)%len(to)], time.Second)
		if err != nil {
			continue
		}
		g.mu.Lock()
		g.open[client], g.open[server] = true, true
		g.mu.Unlock()
		go func() { _, _ = io.Copy(server, client); server.Close() }()
		_, _ = io.Copy(client, server)
		server.Close()
		g.mu.Lock()
		delete(g.open, client)
		delete(g.open, server)
		g.mu.Unlock()
		return
	}
}

// cut shuts the gate, also for connections that are open.
func (g *gate) cut() {
	g.shut.Store(true)
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.open {
		c.Close()
	}
}

// herd is three servers before one Elasticsearch, behind a balancer. Each reaches Elasticsearch, and is reached by the others, through a
// gate of its own.
type herd struct {
	t        *testing.T
	es       *real.Cluster
	servers  []*rig.Server
	store    []*gate // to Elasticsearch
	door     []*gate // from the others
	http, lj *gate
}

func newHerd(t *testing.T, n int) *herd {
	h := &herd{t: t}
	var err error
	if h.es, err = real.Start(context.Background(), real.Options{HeapMB: 512}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.es.Close(); err != nil {
			t.Error(err)
		}
	})
	var https, ljs []string
	for i := range n {
		port := rig.Port(t)
		store, door := newGate(t, strings.TrimPrefix(h.es.Addresses[0], "http://")), newGate(t, port)
		s := rig.NewServer(t, t.TempDir(), fmt.Sprintf(`
storage:
  type: elasticsearch
  elasticsearch: {addresses: ["http://%s"], index: "tally-run-%%{+yyyy.MM.dd}", replicas: 0}
  cluster: {address: "http://%s", name: server-%d, lease: "${LEASE}"}
buffer: {checkpoint: 2s}
retention: {age: "${AGE}"}
pipelines:
- name: picky
  when: {equals: {picky: "yes"}}
  processors:
  - grok: {patterns: 'never %%{INT:n}'}
  on_failure: dead_letter
`, store.addr, door.addr, i))
		s.HTTP, s.Env = port, []string{"LEASE=30s", "AGE=30d"} // no test of leases fails on a machine that is too busy for them
		h.servers, h.store, h.door = append(h.servers, s), append(h.store, store), append(h.door, door)
		https, ljs = append(https, s.HTTP), append(ljs, s.Lumberjack)
	}
	h.http, h.lj = newGate(t, https...), newGate(t, ljs...)
	h.begin()
	return h
}

// begin starts all servers.
func (h *herd) begin() {
	h.t.Helper()
	for _, s := range h.servers {
		s.Begin()
	}
	for _, s := range h.servers {
		rig.Eventually(h.t, 2*time.Minute, "the server is ready", s.Ready)
	}
}

// hasten starts all servers again with a short lease, for tests of its end, and another retention.
func (h *herd) hasten() {
	h.t.Helper()
	for _, s := range h.servers {
		s.Stop()
		s.Env = []string{"LEASE=3s", "AGE=20d"}
	}
	h.begin()
}

// stored asks Elasticsearch itself how often each message of a run is there.
func (h *herd) stored(seed int64) map[string]int {
	h.t.Helper()
	base := h.es.Addresses[0] + "/tally-run~events/"
	post := func(path, body string, to any) {
		h.t.Helper()
		resp, err := http.Post(base+path, "application/json", strings.NewReader(body))
		if err != nil {
			h.t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			h.t.Fatalf("%s: %d %.500s %v", path, resp.StatusCode, text, err)
		}
		if err := json.NewDecoder(bytes.NewReader(text)).Decode(to); err != nil {
			h.t.Fatal(err)
		}
	}
	var any struct{}
	post("_refresh", "", &any)
	seen := map[string]int{}
	var a struct {
		Hits struct {
			Hits []struct {
				Source struct{ Message string } `json:"_source"`
			}
		}
	}
	post("_search", fmt.Sprintf(`{"size":10000,"query":{"term":{"fields":"run=%d"}},"_source":["message"]}`, seed), &a)
	for _, x := range a.Hits.Hits {
		seen[x.Source.Message]++
	}
	if len(a.Hits.Hits) == 10_000 {
		h.t.Fatal("a run has 10,000 lines or more")
	}
	return seen
}

// check waits until all of a model is in Elasticsearch, and compares.
func (h *herd) check(m *model) {
	h.t.Helper()
	total := m.total()
	var seen map[string]int
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		if seen = h.stored(m.seed); len(seen) >= total || time.Now().After(end) {
			break
		}
	}
	for _, s := range m.streams {
		lost, doubled, first := 0, 0, -1
		for i := range s.lines {
			n := seen[s.message(i)]
			delete(seen, s.message(i))
			want := 1
			if s.leftOut(i) {
				want = 0
			}
			lost, doubled = lost+max(0, want-n), doubled+max(0, n-want)
			if n != want && first < 0 {
				first = i
			}
		}
		if lost+doubled > 0 {
			h.t.Errorf("run %d, %s: %d lost, %d doubled of %d; the first is line %d", m.seed, s.name, lost, doubled, s.lines, first)
		}
	}
	any := h.servers[m.seed%int64(len(h.servers))]
	for _, s := range m.streams {
		if s.kind == "bulk" { // whose ids have no account
			continue
		}
		want, got := fmt.Sprintf("[[0 %d]]", s.lines*s.width()), ""
		rig.Eventually(h.t, time.Minute, "any server can be asked for the account of "+s.name, func() bool {
			for _, src := range any.Sources("") {
				if src.Source == s.name {
					got = fmt.Sprint(src.Ranges, src.Gaps)
				}
			}
			return got == want+" []"
		})
	}
	if len(seen) > 0 {
		h.t.Errorf("run %d: %d messages that nobody sent", m.seed, len(seen))
	}
}

// under sends traffic, one run after the other, for as long as f takes, and checks all that was sent.
func (h *herd) under(name string, seed int64, f func()) {
	h.t.Helper()
	began := time.Now()
	stop := make(chan struct{})
	done := make(chan []*model)
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	go func() {
		var all []*model
		var mu sync.Mutex
		var wg sync.WaitGroup
		for w := range int64(2) {
			wg.Go(func() {
				for s := seed + w; ctx.Err() == nil; s += 2 {
					m := h.send(ctx, s)
					mu.Lock()
					all = append(all, m)
					mu.Unlock()
					select {
					case <-stop:
						return
					default:
					}
				}
			})
		}
		wg.Wait()
		done <- all
	}()
	f()
	close(stop)
	all := <-done
	if ctx.Err() != nil {
		h.t.Fatalf("%s: not all is acknowledged after fifteen minutes", name)
	}
	lines := 0
	for _, m := range all {
		h.check(m)
		lines += m.total()
	}
	h.t.Logf("%s: %d runs, %d lines in %v", name, len(all), lines, time.Since(began).Round(time.Second))
}

// send sends all of a run, until it is acknowledged.
func (h *herd) send(ctx context.Context, seed int64) *model {
	rnd := rand.New(rand.NewSource(seed))
	m := newModel(seed, rnd)
	var wg sync.WaitGroup
	for _, s := range m.streams {
		tr := newTraffic(m, s, rnd, h.http.addr, h.lj.addr)
		wg.Go(func() { tr.run(ctx) })
	}
	wg.Wait()
	return m
}

// shares holds that access data made at one server is good at the others within seconds, and bad again, and that each lists all.
func (h *herd) shares() {
	h.t.Helper()
	var token struct{ ID, Token string }
	code, body, err := h.servers[0].Request("POST", "/api/v1/tokens", `{"name":"shared","role":"reader"}`, "Content-Type", "application/json")
	if err != nil || code >= 300 || json.Unmarshal([]byte(body), &token) != nil {
		h.t.Fatalf("cannot make a token: %d %s %v", code, body, err)
	}
	good := func(s *rig.Server) bool {
		code, _, err := s.Request("GET", "/api/v1/me", "", "Authorization", "Bearer "+token.Token)
		return err == nil && code == http.StatusOK
	}
	for _, s := range h.servers {
		rig.Eventually(h.t, time.Minute, "a token of one server is good at another", func() bool { return good(s) })
	}
	if code, body, err := h.servers[1].Request("DELETE", "/api/v1/tokens/"+token.ID, ""); err != nil || code >= 300 {
		h.t.Fatalf("cannot revoke a token of another server: %d %s %v", code, body, err)
	}
	for _, s := range h.servers {
		rig.Eventually(h.t, time.Minute, "a token that was revoked at one server is bad at another", func() bool { return !good(s) })
		rig.Eventually(h.t, 2*time.Minute, "each server lists all", func() bool {
			var ans struct {
				Nodes []struct {
					Name  string
					Ready bool
				}
			}
			if err := s.Get("/api/v1/nodes", nil, &ans); err != nil || len(ans.Nodes) != len(h.servers) {
				return false
			}
			for i, n := range ans.Nodes {
				if n.Name != fmt.Sprintf("server-%d", i) || !n.Ready {
					return false
				}
			}
			return true
		})
	}
}

// TestServers kills, stops and cuts off each of three servers in turn while lines come in through a balancer, and has Elasticsearch itself count.
func TestServers(t *testing.T) {
	h := newHerd(t, 3)
	seed, rounds := *base, 1
	if seed == 0 {
		seed = newSeed()
	}
	if *long {
		rounds = 10
	}
	next := func() int64 { seed += 10_000; return seed }
	h.shares()
	h.balanced()
	old := h.pushOld()
	h.hasten()
	for range rounds {
		h.under("each killed in turn", next(), func() {
			for _, s := range h.servers {
				time.Sleep(time.Second) // of traffic
				s.Kill()
				time.Sleep(time.Duration(rand.Intn(4500)) * time.Millisecond) // before and after its lease ends
				s.Start()
			}
		})
		h.under("one stopped past its lease, one cut off from Elasticsearch, one from the others", next(), func() {
			order := rand.Perm(3)
			s := h.servers[order[0]]
			s.Signal(syscall.SIGSTOP)
			time.Sleep(4 * time.Second)
			s.Signal(syscall.SIGCONT)
			store := h.store[order[1]]
			store.cut()
			time.Sleep(4 * time.Second)
			store.shut.Store(false)
			door := h.door[order[2]]
			door.cut()
			time.Sleep(2 * time.Second)
			door.shut.Store(false)
			time.Sleep(time.Second)
		})
	}
	h.removed(old)
}
