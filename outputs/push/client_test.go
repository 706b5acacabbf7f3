package push

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/outputs"
	"github.com/elastic/beats/v7/libbeat/outputs/outest"
	libtesting "github.com/elastic/beats/v7/libbeat/testing"
)

// server answers pushes as its script says, and then with 200; a push without events is always well.
type server struct {
	*httptest.Server
	mu      sync.Mutex
	script  []func(w http.ResponseWriter)
	asked   []*http.Request
	got     []string // messages of the requests that were answered with 200
	largest int
}

func newServer(t testing.TB, script ...func(http.ResponseWriter)) *server {
	s := &server{script: script, largest: 1 << 30}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r)
	var in io.Reader = r.Body
	switch r.Header.Get("Content-Encoding") {
	case "gzip":
		z, err := gzip.NewReader(in)
		if err != nil {
			w.WriteHeader(400)
			return
		}
		in = z
	case "zstd":
		z, err := zstd.NewReader(in)
		if err != nil {
			w.WriteHeader(400)
			return
		}
		defer z.Close()
		in = z
	}
	text, err := io.ReadAll(in)
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	switch {
	case err != nil:
		w.WriteHeader(400)
		return
	case len(text) == 0:
		fmt.Fprint(w, `{"accepted":0,"duplicates":0,"rejected":[]}`)
		return
	case len(lines) > s.largest:
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	case len(s.script) > 0:
		f := s.script[0]
		s.script = s.script[1:]
		if f != nil {
			f(w)
			return
		}
	}
	for _, line := range lines {
		var e struct{ Message string }
		if json.Unmarshal([]byte(line), &e) != nil {
			w.WriteHeader(400)
			return
		}
		s.got = append(s.got, strings.TrimPrefix(e.Message, "line "))
	}
	fmt.Fprintf(w, `{"accepted":%d,"duplicates":0,"rejected":[],"rejected_count":0}`, len(lines))
}

func answers(status int, text string, header ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprint(w, text)
	}
}

// counts are what an output tells its observer.
type counts struct {
	outputs.Observer
	acked, dropped, failed, tooMany int
}

func (c *counts) Acked(n int)      { c.acked += n }
func (c *counts) Dropped(n int)    { c.dropped += n }
func (c *counts) Failed(n int)     { c.failed += n }
func (c *counts) ErrTooMany(n int) { c.tooMany += n }

// closedOnce is for tests that close a client themselves: libbeat's back-off takes it once.
type closedOnce struct {
	outputs.NetworkClient
	once sync.Once
}

func (c *closedOnce) Close() (err error) {
	c.once.Do(func() { err = c.NetworkClient.Close() })
	return err
}

func newClient(t testing.TB, url, options string) (outputs.NetworkClient, *counts, error) {
	t.Helper()
	cfg, err := common.NewConfigWithYAML(fmt.Appendf(nil, `{hosts: [%q], backoff: {init: 1ms, max: 2ms}, %s}`, url, options), "test")
	if err != nil {
		t.Fatal(err)
	}
	n := &counts{Observer: outputs.NewNilObserver()}
	g, err := New(nil, beat.Info{IndexPrefix: "tallybeat", Version: "7"}, n, cfg)
	if err != nil {
		return nil, nil, err
	}
	c := &closedOnce{NetworkClient: g.Clients[0].(outputs.NetworkClient)}
	t.Cleanup(func() { c.Close() })
	return c, n, nil
}

func lines(from, n int) []beat.Event {
	out := make([]beat.Event, n)
	for i := range out {
		out[i] = beat.Event{Timestamp: time.Unix(1, 0), Fields: common.MapStr{"message": fmt.Sprint("line ", from+i)},
			Meta: common.MapStr{"tally": common.MapStr{"source": "s", "from": from + i, "to": from + i + 1}}}
	}
	return out
}

// deliver publishes as the pipeline does until the batch is acknowledged, and returns how many tries that took.
func deliver(t testing.TB, c outputs.NetworkClient, in []beat.Event) (tries int) {
	t.Helper()
	for ; tries < 20; tries++ {
		if err := c.Connect(); err != nil {
			continue
		}
		b := outest.NewBatch(in...)
		err := c.Publish(context.Background(), b)
		if len(b.Signals) != 1 {
			t.Fatalf("signals %v", b.Signals)
		}
		switch s := b.Signals[0]; s.Tag {
		case outest.BatchACK:
			if err != nil {
				t.Fatalf("acknowledged, with %v", err)
			}
			return tries + 1
		case outest.BatchRetryEvents:
			if err == nil {
				t.Fatal("given back without an error")
			}
			in = nil
			for _, e := range s.Events {
				in = append(in, e.Content)
			}
		default:
			t.Fatalf("signal %v", s.Tag)
		}
	}
	t.Fatal("not delivered")
	return 0
}

func TestPush(t *testing.T) {
	for _, compression := range []string{"zstd", "gzip", "none"} {
		s := newServer(t)
		c, n, err := newClient(t, s.URL+"/prefix/", "token: secret, compression: "+compression)
		if err != nil {
			t.Fatal(err)
		}
		deliver(t, c, lines(0, 3))
		deliver(t, c, append([]beat.Event{{Meta: common.MapStr{"tally": common.MapStr{"control": "complete"}}}}, lines(3, 2)...))
		if got := strings.Join(s.got, " "); got != "0 1 2  3 4" || n.acked != 6 || n.dropped != 0 {
			t.Errorf("%s: got %s, %+v", compression, got, n)
		}
		for _, r := range s.asked {
			if r.Header.Get("Authorization") != "Bearer secret" || r.Header.Get("Tally-Positions") != "event" || r.URL.Path != "/prefix/api/v1/push" {
				t.Errorf("%s %v", r.URL, r.Header)
			}
		}
	}
}

// Only a 200 of Tally acknowledges. Everything else is tried again, and each event arrives once.
func TestAnswers(t *testing.T) {
	f := func(tries int, script ...func(http.ResponseWriter)) {
		t.Helper()
		s := newServer(t, script...)
		c, n, err := newClient(t, s.URL, "")
		if err != nil {
			t.Fatal(err)
		}
		if k := deliver(t, c, lines(0, 3)); k != tries || strings.Join(s.got, " ") != "0 1 2" || n.acked != 3 || n.failed != 3*(tries-1) {
			t.Errorf("got %v after %d tries, want %d; %+v", s.got, k, tries, n)
		}
	}
	f(1)
	f(2, answers(503, `{"error":{"code":"busy","message":"come again"}}`, "Retry-After", "0"))
	f(2, answers(502, "<html>bad gateway</html>"))
	f(2, answers(401, `{"error":{"code":"unauthorized","message":"no"}}`))
	f(2, answers(403, `{"error":{"code":"forbidden","message":"wrong role"}}`))
	f(2, answers(404, ""))
	f(2, answers(500, ""))
	f(2, answers(200, "<html>please log in</html>"))
	f(2, answers(200, "{}"))
	f(2, answers(200, ""))
	f(2, answers(204, ""))
	f(2, answers(302, "", "Location", "/elsewhere"))
	f(2, answers(307, "", "Location", "/api/v1/push"))
	f(3, answers(503, ""), func(http.ResponseWriter) { panic(http.ErrAbortHandler) })
}

// What the server rejects is dropped and counted; nothing else is.
func TestRejected(t *testing.T) {
	f := func(script func(http.ResponseWriter), acked, dropped int) {
		t.Helper()
		s := newServer(t, script)
		c, n, err := newClient(t, s.URL, "")
		if err != nil {
			t.Fatal(err)
		}
		if k := deliver(t, c, lines(0, 3)); k != 1 || n.acked != acked || n.dropped != dropped {
			t.Errorf("%d tries, %+v; want %d acknowledged, %d dropped", k, n, acked, dropped)
		}
	}
	f(answers(200, `{"accepted":2,"duplicates":0,"rejected":[{"line":2,"reason":"too deep"}],"rejected_count":1}`), 2, 1)
	f(answers(200, `{"accepted":1,"duplicates":2,"rejected":[],"rejected_count":0}`), 3, 0)
	f(answers(403, `{"error":{"code":"scope","message":"outside"}}`), 0, 3)
}

// A request that is too large is cut until it fits; an event that alone is too large is dropped.
func TestTooLarge(t *testing.T) {
	s := newServer(t)
	s.largest = 3
	c, n, err := newClient(t, s.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	if k := deliver(t, c, lines(0, 20)); k != 1 || len(s.got) != 20 || n.acked != 20 {
		t.Errorf("%d tries, got %v", k, s.got)
	}
	s.largest = 0
	deliver(t, c, lines(20, 2))
	if n.dropped != 2 || n.acked != 20 {
		t.Errorf("%+v", n)
	}
}

// Retry-After is waited for, and Close ends the wait.
func TestRetryAfter(t *testing.T) {
	s := newServer(t, answers(429, `{"error":{"code":"rate","message":"slower"}}`, "Retry-After", "1"), answers(503, "", "Retry-After", "3600"))
	c, n, err := newClient(t, s.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	_ = c.Publish(context.Background(), outest.NewBatch(lines(0, 1)...))
	if took := time.Since(begun); took < time.Second || n.tooMany != 1 {
		t.Errorf("tried again after %v, want 1s; %+v", took, n)
	}
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = c.Publish(context.Background(), outest.NewBatch(lines(0, 1)...))
		close(done)
	}()
	for asked := 0; asked < 4; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		asked = len(s.asked)
		s.mu.Unlock()
	}
	c.Close()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Error("Close does not end the wait")
	}
	for text, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "-1": 0, "99999999": maxWait, "x": 0, "Thu, 01 Jan 1970 00:01:00 GMT": time.Minute} {
		if got := retryAfter(text, time.Unix(0, 0)); got != want {
			t.Errorf("Retry-After %q is %v, want %v", text, got, want)
		}
	}
}

func TestTLS(t *testing.T) {
	s := newServer(t)
	secure := httptest.NewTLSServer(s)
	defer secure.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	var text bytes.Buffer
	if err := pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ca, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := newClient(t, secure.Listener.Addr().String(), fmt.Sprintf("ssl.certificate_authorities: [%q], username: u, password: p", ca))
	if err != nil {
		t.Fatal(err)
	}
	deliver(t, c, lines(0, 2))
	if user, password, _ := s.asked[0].BasicAuth(); len(s.got) != 2 || user != "u" || password != "p" {
		t.Errorf("got %v from %s %s", s.got, user, password)
	}
	var said bytes.Buffer
	g := c.(*closedOnce).NetworkClient.(libtesting.Testable)
	g.Test(libtesting.NewConsoleDriverWithKiller(&said, func() {}))
	if !strings.Contains(said.String(), "push of nothing... OK") {
		t.Errorf("test output says %s", said.String())
	}
	c, _, err = newClient(t, secure.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Connect(); err == nil {
		t.Error("a server of an unknown authority is trusted")
	}
}

func TestOptions(t *testing.T) {
	f := func(host, options, want string) {
		t.Helper()
		if _, _, err := newClient(t, host, options); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s %s: %v, want %q", host, options, err, want)
		}
	}
	f("a", "compression: lz4", "compression")
	f("a", "token: x, username: y", "exclude")
	f("a", "max_retries: -2", "max_retries")
	f("a", "worker: 0", "worker")
	f("ftp://a", "", "no http or https")
	f("http://u:p@a", "", "no http or https")
	for host, want := range map[string]string{"a": "http://a:5080/api/v1/push", "https://a": "https://a:5080/api/v1/push", "https://a:443/x/": "https://a:443/x/api/v1/push", "[::1]:7": "http://[::1]:7/api/v1/push"} {
		if got, err := address(host, false); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", host, got, err, want)
		}
	}
}
