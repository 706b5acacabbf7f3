package elasticsearch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/retention"
	"github.com/tallylog/tally/server/storage"
)

// proxy stands before the node; while answer is set it answers itself.
func proxy(t *testing.T) (address string, answer *atomic.Pointer[http.HandlerFunc]) {
	to, err := url.Parse(cluster.Addresses[0])
	if err != nil {
		t.Fatal(err)
	}
	pass := httputil.NewSingleHostReverseProxy(to)
	answer = &atomic.Pointer[http.HandlerFunc]{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := answer.Load(); f != nil {
			(*f)(w, r)
			return
		}
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, answer
}

// fails answers every request with an error of Elasticsearch.
func fails(status int, kind, reason string) *http.HandlerFunc {
	f := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":{"type":%q,"reason":%q},"status":%d}`, kind, reason, status)
	})
	return &f
}

// cut closes the connection without an answer.
func cut() *http.HandlerFunc {
	f := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	return &f
}

func batch(seq uint64, n int) *storage.Batch {
	b := &storage.Batch{Seq: seq}
	for i := range n {
		b.Events = append(b.Events, event.Event{ID: fmt.Sprintf("%d-%d", seq, i), Time: time.Now().UnixNano(), Fields: []event.Field{{Name: "message", Value: fmt.Sprintf("event %d of %d", i, seq)}}})
	}
	return b
}

// put does a request to the node itself.
func put(t *testing.T, method, path, body string) {
	t.Helper()
	req, err := http.NewRequest(method, cluster.Addresses[0]+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, text)
	}
}

// why is the reason for which the store waits, or cannot be asked.
func why(s *Store) (reason string, up bool) {
	u, err := s.Usage(context.Background())
	if gone := (*storage.Unavailable)(nil); errors.As(err, &gone) {
		return gone.Reason, false
	}
	return u.ReadOnlyWhy, err == nil
}

// waits holds that an append waits with a reason while things are bad, and loses and doubles nothing when they are good again.
func waits(t *testing.T, s *Store, seq uint64, want string, up bool, bad, good func()) {
	t.Helper()
	bad()
	b := batch(seq, 700)
	done := make(chan error, 1)
	go func() { done <- s.Append(context.Background(), b) }()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		got, answers := why(s)
		if strings.Contains(got, want) && answers == up {
			break
		}
		select {
		case err := <-done:
			t.Fatalf("%s: append returns %v and does not wait; %d rejected: %+.300v", want, err, len(b.Rejected), b.Rejected)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("the reason is %q (up %v), want %q (up %v)", got, answers, want, up)
		}
		time.Sleep(50 * time.Millisecond)
	}
	select {
	case err := <-done:
		t.Fatalf("%s: append returns %v", want, err)
	default:
	}
	good()
	if err := <-done; err != nil {
		t.Fatalf("%s: %v", want, err)
	}
	if len(b.Rejected) > 0 {
		t.Errorf("%s: %d rejected", want, len(b.Rejected))
	}
	n, err := s.Count(context.Background(), storage.Search{})
	if err != nil || n != int64(700*seq) {
		t.Errorf("%s: %d events, %v; want %d", want, n, err, 700*seq)
	}
	if got, up := why(s); got != "" || !up {
		t.Errorf("%s: the reason stays %q", want, got)
	}
}

// TestBadStates tries what happens to clusters. The store is opened while no node answers.
func TestBadStates(t *testing.T) {
	address, answer := proxy(t)
	answer.Store(cut())
	o := options(t.Name())
	o.Addresses = []string{address}
	s := open(t, o)
	index := s.name.Of(0, "", &event.Event{Time: time.Now().UnixNano()})
	set := func(f *http.HandlerFunc) func() { return func() { answer.Store(f) } }
	good := set(nil)
	waits(t, s, 1, "cannot be reached", false, func() {}, good)
	waits(t, s, 2, "refuses the credentials", false, set(fails(401, "security_exception", "the API key has expired")), good)
	waits(t, s, 3, "does not allow", false, set(fails(403, "security_exception", "action is unauthorized")), good)
	waits(t, s, 4, "overloaded", false, set(fails(429, "es_rejected_execution_exception", "queue full")), good)
	blocks := func(name string, on bool) func() {
		return func() {
			put(t, http.MethodPut, "/"+index+"/_settings", fmt.Sprintf(`{"index.blocks.%s":%v}`, name, on))
		}
	}
	waits(t, s, 5, "disk of Elasticsearch is too full", true, blocks("read_only_allow_delete", true), blocks("read_only_allow_delete", false))
	waits(t, s, 6, "read-only", true, blocks("write", true), blocks("write", false))
	waits(t, s, 7, "cannot be reached", false, set(cut()), good)
}

// TestForeignIndex holds that an index which is not ours is not written to.
func TestForeignIndex(t *testing.T) {
	o := options(t.Name())
	o.Index = strings.Replace(o.Index, "%{", "x-%{", 1)
	s := open(t, o)
	index := s.name.Of(0, "", &event.Event{Time: time.Now().UnixNano()})
	waits(t, s, 1, "mapping conflict", true,
		func() {
			// It was made before there was a template, by this store or by one of the other tests.
			req, err := http.NewRequest(http.MethodDelete, cluster.Addresses[0]+"/_index_template/tally*", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req) // 404 where there is none
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			put(t, http.MethodPut, "/"+index, `{"mappings":{"properties":{"message":{"type":"long"}}}}`)
		},
		func() { put(t, http.MethodDelete, "/"+index, "") })
}

// TestRejected holds that what Elasticsearch will never take is named, with its reason, and all else is stored.
func TestRejected(t *testing.T) {
	o := options(t.Name())
	s := open(t, o)
	index := s.name.Of(0, "", &event.Event{Time: time.Now().UnixNano()})
	body := s.index("")
	properties := body["mappings"].(object)["properties"].(object)
	properties[docMessage] = object{"type": "long"} // an index made by a version with another mind
	put(t, http.MethodPut, "/"+index, string(mustJSON(body)))
	b := batch(1, 20)
	for i := range b.Events {
		if i%5 != 0 {
			b.Events[i].Put("message", fmt.Sprint(i))
		}
	}
	if err := s.Append(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	if len(b.Rejected) != 4 || b.Rejected[1].Index != 5 || !strings.Contains(b.Rejected[1].Reason, "failed to parse field [message]") {
		t.Errorf("rejected: %+v", b.Rejected)
	}
	n, err := s.Count(context.Background(), storage.Search{})
	if err != nil || n != 16 {
		t.Errorf("%d events, %v", n, err)
	}
	u, err := s.Usage(context.Background())
	if err != nil || u.Dropped[rejected] != 4 {
		t.Errorf("usage %+v, %v", u, err)
	}
}

// TestDeleted holds that an index which is deleted under us is made again, and retention deletes what is too old and nothing else.
func TestDeleted(t *testing.T) {
	o := options(t.Name())
	s := open(t, o)
	ctx := context.Background()
	now := time.Now()
	b := batch(1, 30)
	for i := range b.Events {
		b.Events[i].Time = now.Add(-time.Duration(i%3) * 24 * time.Hour).UnixNano()
	}
	if err := s.Append(ctx, b); err != nil {
		t.Fatal(err)
	}
	put(t, http.MethodDelete, "/"+s.name.Of(0, "", &b.Events[0]), "")
	if err := s.Append(ctx, batch(2, 10)); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Count(ctx, storage.Search{}); err != nil || n != 30 {
		t.Errorf("%d events, %v; want 30", n, err)
	}
	s.SetRetention(retention.Limit{Age: 24 * time.Hour}, nil)
	parts, err := s.Partitions(ctx, true)
	if err != nil || len(parts) != 3 || parts[0].Rows != 10 || len(parts[0].Shares) != 1 || parts[0].Shares[0].Rows != 10 || parts[0].Bytes == 0 {
		t.Fatalf("partitions %+v, %v", parts, err)
	}
	plan := retention.Plan(parts, s.Limits(), now, now)
	if len(plan) != 1 || plan[0].Name != s.name.Of(0, "", &b.Events[2]) {
		t.Fatalf("plan %+v", plan)
	}
	for _, name := range []string{plan[0].Name, plan[0].Name, "tally-other"} {
		if err := s.Remove(ctx, name); err != nil {
			t.Error(err)
		}
	}
	if n, err := s.Count(ctx, storage.Search{}); err != nil || n != 20 {
		t.Errorf("%d events, %v; want 20", n, err)
	}
	if at := s.Horizon(0, &b.Events[0]); at < b.Events[2].Time || at > b.Events[0].Time {
		t.Errorf("the horizon is %v", time.Unix(0, at))
	}
	again := &storage.Batch{Seq: 1, Events: b.Events[2:3]}
	if err := s.Append(ctx, again); err != nil || len(again.Rejected) != 1 {
		t.Errorf("too old: %v, %+v", err, again.Rejected)
	}
}

// TestOtherIndex holds that a batch which is appended again under another configuration, as after a restart, is not doubled, and that
// classes of retention have indices of their own.
func TestOtherIndex(t *testing.T) {
	ctx := context.Background()
	o := options(t.Name())
	prefix, _, _ := strings.Cut(o.Index, "%{")
	s := open(t, o)
	b1, b2 := batch(1, 20), batch(2, 20)
	for _, b := range []*storage.Batch{b1, {Seq: 2, Events: b2.Events[:5]}} {
		if err := s.Append(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	o.Index = prefix + "%{[message]}-%{+yyyy}"
	o.TenantName = func(uint32) string { return "default" }
	o.Rules = retention.Rules{{Name: "short", Tenant: "default", Limit: retention.Limit{Age: time.Hour}}}
	s = open(t, o)
	for _, b := range []*storage.Batch{b1, b2, batch(3, 20)} {
		if err := s.Append(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Count(ctx, storage.Search{}); err != nil || n != 60 {
		t.Errorf("%d events, %v; want 60", n, err)
	}
	parts, err := s.Partitions(ctx, true)
	rows := map[string]int64{}
	for _, p := range parts {
		rows[p.Class] += p.Rows
	}
	if err != nil || rows["short"] != 35 || rows[retention.Default] != 25 {
		t.Errorf("rows by class %v, %v", rows, err)
	}
}
