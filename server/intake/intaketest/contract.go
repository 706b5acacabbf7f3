package intaketest

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/intake"
	"github.com/tallylog/tally/server/record"
)

// Room is what Contract wants to know of a room.
type Room struct {
	Register func(g *intake.Gate, mux *http.ServeMux, wrap intake.Wrap)
	Path     string
	Media    string // Content-Type
	// Body makes a body of one event for each message, with that kubernetes.namespace where it is not empty.
	Body func(namespace string, messages ...string) []byte
	OK   int // status when all is stored
	Busy int // status when there is no space
	// Partial tells that a body which breaks off is stored up to there; else nothing of it is.
	Partial bool
}

// Contract holds a room to what all rooms promise.
func Contract(t *testing.T, room Room) {
	s := Serve(t, room.Register)
	post := func(body []byte, header ...string) int {
		t.Helper()
		resp, text := s.Do("POST", room.Path, body, append([]string{"Content-Type", room.Media}, header...)...)
		if resp.StatusCode != room.OK {
			t.Logf("%d %.200s", resp.StatusCode, text)
		}
		return resp.StatusCode
	}
	want := func(name string, status, wanted int, messages string) {
		t.Helper()
		if got := s.Messages(); status != wanted || got != messages {
			t.Errorf("%s: %d and stored %q; want %d and %q", name, status, got, wanted, messages)
		}
		if used := s.Gate.Budget.Used(); used != 0 {
			t.Errorf("%s: %d bytes of the budget are not given back", name, used)
		}
	}
	good := room.Body("", "a", "b")
	zs, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("bodies", func(t *testing.T) {
		want("plain", post(good), room.OK, "a b")
		want("gzip", post(Gzip(good), "Content-Encoding", "gzip"), room.OK, "a b")
		want("zstd", post(zs.EncodeAll(good, nil), "Content-Encoding", "zstd"), room.OK, "a b")
		want("unknown encoding", post(good, "Content-Encoding", "br"), 415, "")
		want("no gzip", post(good, "Content-Encoding", "gzip"), 400, "")
		want("cut gzip", post(Gzip(good)[:20], "Content-Encoding", "gzip"), 400, "")
		want("gzip bomb", post(Gzip(make([]byte, 64<<20)), "Content-Encoding", "gzip"), 413, "")
		want("zstd bomb", post(zs.EncodeAll(make([]byte, 64<<20), nil), "Content-Encoding", "zstd"), 413, "")
		want("too large", post(make([]byte, 2<<20)), 413, "")
		if code := post([]byte("\xff\xfenothing at all")); code != 400 && !room.Partial {
			t.Errorf("garbage: %d", code)
		}
		code, stored := post(good[:len(good)-len(good)/4]), s.Messages()
		if code != 400 || stored != "" && !room.Partial {
			t.Errorf("a body that is cut: %d, stored %q", code, stored)
		}
	})
	t.Run("scope", func(t *testing.T) {
		s.Who.Namespaces = []string{"shop", "pay-*"}
		defer func() { s.Who.Namespaces, s.Who.Clusters = nil, nil }()
		want("own", post(room.Body("shop", "a")), room.OK, "a")
		want("by pattern", post(room.Body("pay-1", "a")), room.OK, "a")
		want("foreign", post(room.Body("other", "a", "b")), 403, "")
		want("none", post(good), 403, "")
		s.Who.Namespaces = []string{"shop"}
		if code := post(good); code != room.OK {
			t.Errorf("none, from a principal of one: %d", code)
		}
		for _, e := range s.Events() {
			if ns, _ := e.Get(intake.NamespaceField); ns != "shop" {
				t.Errorf("kubernetes.namespace is %q, want shop", ns)
			}
		}
		want("foreign, from a principal of one", post(room.Body("other", "a")), 403, "")
		s.Who.Clusters = []string{"prod"}
		want("foreign, but of one's cluster", post(room.Body("other", "a")), 403, "")
		if code := post(room.Body("shop", "a")); code != room.OK {
			t.Errorf("no cluster, from a principal of one: %d", code)
		}
		for _, e := range s.Events() {
			if cluster, _ := e.Get(intake.ClusterField); cluster != "prod" {
				t.Errorf("orchestrator.cluster.name is %q, want prod", cluster)
			}
		}
		s.Who.Clusters = []string{"prod", "test-*"}
		want("no cluster, from a principal of several", post(room.Body("shop", "a")), 403, "")
	})
	t.Run("role", func(t *testing.T) {
		s.Who.Role = auth.RoleReader
		defer func() { s.Who.Role = auth.RolePush }()
		want("reader", post(good), 403, "")
	})
	t.Run("no space", func(t *testing.T) {
		s.Room = 0
		defer func() { s.Room = -1 }()
		want("full", post(good), room.Busy, "")
	})
	t.Run("over a limit", func(t *testing.T) {
		s.Gate.Ready = func(uint32) error { return &answer.Error{Status: 429, Code: "limit", RetryAfter: 7} }
		defer func() { s.Gate.Ready = nil }()
		want("a small body", post(good), 429, "")
		resp, _ := s.Do("POST", room.Path, bytes.Repeat([]byte{' '}, 1<<20-1), "Content-Type", room.Media)
		if got := resp.Header.Get("Retry-After"); resp.StatusCode != 429 || got != "7" {
			t.Errorf("a large body: %d, Retry-After %q, want 429 and 7", resp.StatusCode, got)
		}
	})
	t.Run("clean", func(t *testing.T) {
		s.Gate.Clean = func(b *record.Batch) {
			keep := b.Events[:0]
			for _, e := range b.Events {
				if m, _ := e.Get(event.Message); m != "a" {
					keep = append(keep, e)
				}
			}
			b.Events = keep
		}
		defer func() { s.Gate.Clean = nil }()
		want("an event is dropped", post(good), room.OK, "b")
	})
}

// Gzip compresses b.
func Gzip(b []byte) []byte {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write(b)
	_ = w.Close()
	return z.Bytes()
}
