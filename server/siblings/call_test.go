package siblings

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/ledger"
	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/record"
)

// shop admits in memory: what it has seen is a duplicate. It is what of a server this package does not make.
type shop struct {
	mu   sync.Mutex
	seen map[string]bool
	took []string // messages, in order
	fail error
}

func (s *shop) PutRejected(_ context.Context, b *record.Batch) error { b.Rejected = nil; return nil }

func (s *shop) Admit(_ context.Context, b *record.Batch) (res admit.Result, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return res, s.fail
	}
	kept := b.Events[:0]
	for i := range b.Events {
		e := &b.Events[i]
		id := admit.EventID(b.Tenant, e)
		if id != "" && s.seen[id] {
			res.Known = append(res.Known, i)
			res.Duplicates++
			continue
		}
		s.seen[id] = true
		res.Accepted++
		message, _ := e.Get("message")
		s.took = append(s.took, message)
		kept = append(kept, *e)
	}
	b.Events = kept
	return res, nil
}

// town is servers that reach each other over HTTP, with one table in the real Elasticsearch and clocks that the test moves.
type town struct {
	*herd
	groups []*Group
	shops  []*shop
	doors  []*httptest.Server
	way    func(i int, next http.Handler) http.Handler // what lies before the door of a server; nil for nothing
}

func newTown(t *testing.T, n int, secure bool) *town {
	w := &town{herd: newHerd(t, 0)}
	pool := x509.NewCertPool()
	for i := range n {
		var g *Group
		door := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if w.way != nil {
				w.way(i, g).ServeHTTP(rw, r)
				return
			}
			g.ServeHTTP(rw, r)
		}))
		door.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		if secure {
			door.StartTLS()
			pool.AddCert(door.Certificate())
		} else {
			door.Start()
		}
		t.Cleanup(door.Close)
		c := &clock{at: time.Now()}
		s := &shop{seen: map[string]bool{}}
		o := Options{
			Documents: w.docs, ID: "server-" + string(rune('0'+i)), Self: Member{Name: "server-" + string(rune('0'+i)), URL: door.URL}, Lease: ttl, Admission: s,
			Memory: 64 << 20, Now: c.now, Log: slog.New(slog.DiscardHandler),
		}
		if secure {
			o.TLS = &tls.Config{RootCAs: pool}
		}
		g = New(o)
		w.clocks, w.all = append(w.clocks, c), append(w.all, g.leases)
		w.groups, w.shops, w.doors = append(w.groups, g), append(w.shops, s), append(w.doors, door)
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	w.round(5, all...)
	return w
}

// sources makes a batch with an event of each of n sources, one with an identity and one with nothing.
func sources(n int) *record.Batch {
	b := &record.Batch{Client: "agent", Received: time.Now().UnixNano()}
	add := func(message string, e event.Event) {
		e.Time = b.Received
		e.Put("message", message)
		b.Events = append(b.Events, e)
	}
	for i := range n {
		add("source "+string(rune('a'+i)), event.Event{Position: ledger.Position{Source: "file:" + string(rune('a'+i)), From: 0, To: 10}})
	}
	add("identity", event.Event{Identity: "one"})
	add("nothing", event.Event{})
	return b
}

// A batch is admitted part by part by the servers whose it is, once, whichever it is sent to, and what is left of it is in order.
func TestForwarded(t *testing.T) {
	w := newTown(t, 3, false)
	for round := range 3 {
		b := sources(20)
		res, err := w.groups[round].Admit(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		if round == 0 && (res.Accepted != 22 || res.Duplicates != 0 || len(b.Events) != 22) {
			t.Errorf("the first time: %+v, %d events left", res, len(b.Events))
		}
		if round > 0 && (res.Accepted != 1 || res.Duplicates != 21 || len(res.Known) != 21 || len(b.Events) != 1) {
			t.Errorf("again: %+v, %d events left", res, len(b.Events))
		}
		last := ""
		for _, e := range b.Events {
			m, _ := e.Get("message")
			if strings.HasPrefix(m, "source") && m < last {
				t.Errorf("%q comes behind %q", m, last)
			}
			if last = m; e.HasPosition() && e.ID != e.Position.ID() && round == 0 {
				// admission of this package gives no ids; those that were forwarded have theirs
				if e.ID != "" {
					t.Errorf("%q has the id %q", m, e.ID)
				}
			}
		}
	}
	for i, s := range w.shops {
		if len(s.took) < 2 {
			t.Errorf("server %d admitted %q", i, s.took)
		}
	}
	// One that cannot take its part makes the batch fail as a whole, and the rest is known when it comes again.
	b := sources(20)
	for i := range b.Events {
		b.Events[i].Position.From, b.Events[i].Position.To = 10, 20
	}
	w.shops[1].fail = errors.New("its disk is full")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := w.groups[0].Admit(ctx, b); err == nil {
		t.Error("a batch is acknowledged of which a part was refused")
	}
}

// Over https, with an authority of one's own; without it no server is asked.
func TestForwardedOverTLS(t *testing.T) {
	w := newTown(t, 2, true)
	if _, err := w.groups[0].Admit(t.Context(), sources(20)); err != nil {
		t.Error(err)
	}
	if len(w.shops[1].took) == 0 {
		t.Error("nothing was forwarded")
	}
	bare := New(Options{Documents: w.docs, ID: "bare", Self: Member{Name: "bare", URL: "http://127.0.0.1:1"}, Lease: ttl, Admission: w.shops[0], Memory: 1 << 20, Log: slog.New(slog.DiscardHandler)})
	bare.leases.beat(t.Context())
	if _, err := bare.Call(t.Context(), "server-1", "admit", nil); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate that nobody vouches for: %v", err)
	}
}

// Clocks that differ by years do not keep servers from each other, nor does one that steps.
func TestForwardedWithWrongClocks(t *testing.T) {
	w := newTown(t, 2, false)
	w.groups[1].Handle("echo", func(_ context.Context, b []byte) ([]byte, error) { return b, nil })
	for _, step := range []time.Duration{0, 10 * 365 * 24 * time.Hour, -20 * 365 * 24 * time.Hour, 3 * time.Minute, -90 * time.Second} {
		w.clocks[1].pass(step)
		for range 3 {
			if out, err := w.groups[0].Call(t.Context(), "server-1", "echo", []byte("x")); err != nil || string(out) != "x" {
				t.Errorf("after a step of %v: %q, %v", step, out, err)
			}
		}
	}
}

// heard is a request as somebody on the way has it.
type heard struct {
	path   string
	header http.Header
	body   []byte
}

// send sends it as it is to another server, or with a change.
func (h heard) send(t *testing.T, to string, change func(*heard)) (int, http.Header, string) {
	t.Helper()
	h.header = h.header.Clone()
	if change != nil {
		change(&h)
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", to+h.path, bytes.NewReader(h.body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = h.header
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

// Who hears requests, and cannot read the table, can neither repeat nor change one, nor answer for a server.
func TestHostile(t *testing.T) {
	w := newTown(t, 2, false)
	runs := 0
	for _, g := range w.groups {
		g.Handle("count", func(_ context.Context, b []byte) ([]byte, error) { runs++; return b, nil })
		g.Handle("other", func(_ context.Context, b []byte) ([]byte, error) { runs++; return b, nil })
	}
	var last heard
	w.way = func(_ int, next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			if h := (heard{r.URL.Path, r.Header.Clone(), body}); r.Header.Get("X-Again") == "" {
				last = h
			}
			next.ServeHTTP(rw, r)
		})
	}
	call := func() heard {
		t.Helper()
		if _, err := w.groups[0].Call(t.Context(), "server-1", "count", []byte("body")); err != nil {
			t.Fatal(err)
		}
		h := last
		h.header.Set("X-Again", "1")
		return h
	}
	h := call()
	if runs != 1 {
		t.Fatalf("%d runs", runs)
	}
	refused := func(what, to string, change func(*heard)) {
		t.Helper()
		code, _, text := h.send(t, to, change)
		if code < 400 || code >= 500 || runs != 1 {
			t.Errorf("%s: %d %s, %d runs", what, code, text, runs)
		}
	}
	door := w.doors[1].URL
	refused("the same again", door, nil)
	refused("the same to another server", w.doors[0].URL, nil)
	refused("another body", door, func(h *heard) { h.body = []byte("ydob") })
	refused("a longer body", door, func(h *heard) { h.body = []byte("body and more") })
	refused("another name", door, func(h *heard) { h.path = Path + "other" })
	refused("a name that there is not", door, func(h *heard) { h.path = Path + "none" })
	refused("no signature", door, func(h *heard) { h.header.Del(headerSign) })
	refused("no signature of the head", door, func(h *heard) { h.header.Del(headerHead) })
	refused("another time", door, func(h *heard) { h.header.Set(headerTime, h.header.Get(headerTime)+"1") })
	refused("no headers", door, func(h *heard) { h.header = http.Header{"X-Again": {"1"}} })
	refused("to nobody", door, func(h *heard) { h.header.Set(headerTo, "") })
	w.clocks[1].pass(skew / 2)
	refused("again after a while", door, nil)
	before := w.groups[1].once
	w.groups[1].once = newOnce() // a server that has just started remembers nothing, and takes nothing of before
	refused("again after a restart", door, nil)
	w.groups[1].once = before
	w.clocks[1].pass(10 * skew)
	refused("again when it is forgotten", door, nil)

	// Somebody else answers in the place of a server.
	answers := func(f func(http.ResponseWriter, *http.Request)) error {
		t.Helper()
		w.way = func(int, http.Handler) http.Handler { return http.HandlerFunc(f) }
		_, err := w.groups[0].Call(t.Context(), "server-1", "count", nil)
		return err
	}
	if err := answers(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte(`{"accepted":1}`)) }); err == nil {
		t.Error("an answer without a signature is believed")
	}
	if err := answers(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set(headerSign, r.Header.Get(headerSign))
		_, _ = rw.Write([]byte(`{"accepted":1}`))
	}); err == nil {
		t.Error("the signature of a request is taken for one of its answer")
	}
	w.groups[0].once.learn("server-1", 0)
	if err := answers(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set(headerClock, "1")
		rw.Header().Set(headerSign, "00")
		rw.WriteHeader(http.StatusUnauthorized)
	}); err == nil || w.groups[0].once.ahead("server-1") != 0 {
		t.Errorf("a clock without a signature is believed: %v", err)
	}
	if err := answers(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }); err == nil {
		t.Error("a connection that breaks is an answer")
	}
}

// What is remembered of requests does not grow for ever.
func TestOnceForgets(t *testing.T) {
	at, up := time.Now(), time.Hour
	o := newOnce()
	o.uptime = func() time.Duration { return up }
	for i := range 10_000 {
		at, up = at.Add(skew/100), up+skew/100
		text := strings.Repeat("x", i%7) // many are of one moment
		if got := o.admit(milli(at)+"."+text, at); got != isFresh {
			t.Fatalf("request %d is %d", i, got)
		}
	}
	if len(o.seen) > 500 {
		t.Errorf("%d requests are remembered", len(o.seen))
	}
	for _, bad := range []string{"", ".", "x.y", "1e3.a", "99999999999999999999.a", milli(at.Add(2 * skew)), milli(at.Add(-2 * skew))} {
		if got := o.admit(bad, at); got != isStale {
			t.Errorf("%q is %d", bad, got)
		}
	}
}

// A sibling whose answers make no sense, though they are signed, acknowledges nothing.
func TestOddSibling(t *testing.T) {
	w := newTown(t, 2, false)
	for _, answer := range []string{"", "{}", "[]", `{"Accepted":-5}`, `{"Accepted":999}`, `{"Known":[0,1,2,3]}`, "\x00"} {
		w.groups[1].Handle(callAdmit, func(context.Context, []byte) ([]byte, error) { return []byte(answer), nil })
		b := sources(20)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if _, err := w.groups[0].Admit(ctx, b); err == nil {
			t.Errorf("a batch is acknowledged on the answer %q", answer)
		}
		cancel()
	}
}

func milli(at time.Time) string { return strconv.FormatInt(at.UnixMilli(), 10) }
