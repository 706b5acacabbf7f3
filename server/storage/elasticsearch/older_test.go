package elasticsearch

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/storage"
)

// parameters714 are the operations that the store may use, with their parameters, as the REST API specification of Elasticsearch 7.14 has
// them. filter_path belongs to all.
var parameters714 = map[string][]string{
	"_alias": nil, "_bulk": nil, "_index_template": nil, "_mget": nil, "_pit": {"keep_alive", "ignore_unavailable"}, "_terms_enum": nil,
	"_mapping": {"ignore_unavailable", "allow_no_indices"}, "_refresh": {"ignore_unavailable", "allow_no_indices"},
	"_search": {"ignore_unavailable", "allow_no_indices", "allow_partial_search_results"}, "_stats": {"ignore_unavailable", "allow_no_indices"},
}

// refusal714 tells why 7.14 would not take a request: it knows no media types of compatibility with 8, and no parameter that came later.
func refusal714(r *http.Request) string {
	for _, h := range []string{"Content-Type", "Accept"} {
		switch media, _, _ := strings.Cut(r.Header.Get(h), ";"); media {
		case "", "*/*", "application/json", "application/x-ndjson":
		default:
			return h + " header [" + r.Header.Get(h) + "] is not supported"
		}
	}
	operation := ""
	for _, part := range strings.Split(r.URL.Path, "/")[1:] {
		if strings.HasPrefix(part, "_") {
			operation = part
			break
		}
	}
	known, ok := parameters714[operation]
	if operation != "" && !ok {
		return "no handler found for uri [" + r.URL.Path + "]"
	}
	for name := range r.URL.Query() {
		if name != "filter_path" && !slices.Contains(known, name) {
			return "request [" + r.URL.Path + "] contains unrecognized parameter: [" + name + "]"
		}
	}
	return ""
}

// TestOldest reaches the node through a door that lets pass only what Elasticsearch 7.14 understands. With -elasticsearch 7.17.29 the whole
// suite runs against the last version of that line.
func TestOldest(t *testing.T) {
	to, err := url.Parse(cluster.Addresses[0])
	if err != nil {
		t.Fatal(err)
	}
	pass := httputil.NewSingleHostReverseProxy(to)
	var mu sync.Mutex
	refused := map[string]bool{}
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why := refusal714(r); why != "" {
			mu.Lock()
			refused[why] = true
			mu.Unlock()
			(*fails(http.StatusBadRequest, "illegal_argument_exception", why))(w, r)
			return
		}
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(door.Close)
	for _, server := range []string{"", "a"} {
		o := options(t.Name() + server)
		o.Addresses, o.Server = []string{door.URL}, server
		s := open(t, o)
		ctx := context.Background()
		var parts []storage.Partition
		answers := func(name string, f func() error) {
			t.Helper()
			if err := f(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		b := batch(1, 2500)
		all := storage.Search{Expr: query.Phrase{Field: event.Message, Text: "event"}}
		answers("append", func() error { return s.Append(ctx, b) })
		answers("append again", func() error { s.caughtUp = false; return s.Append(ctx, batch(1, 10)) })
		answers("count", func() error {
			n, err := s.Count(ctx, all)
			if n != 2500 {
				t.Errorf("%d events", n)
			}
			return err
		})
		answers("rows", func() error {
			n := 0
			_, err := s.Rows(ctx, storage.RowsRequest{Search: all, Limit: 5000}, func(*event.Event) error { n++; return nil })
			if n != 2500 {
				t.Errorf("%d rows", n)
			}
			return err
		})
		answers("has", func() error { _, err := s.Has(ctx, 0, []string{b.Events[0].ID}); return err })
		answers("usage", func() error { _, err := s.Usage(ctx); return err })
		answers("recover", func() error { return s.Recover(ctx, 1, func(uint32, *event.Event) error { return nil }) })
		answers("partitions", func() (err error) { parts, err = s.Partitions(ctx, true); return err })
		for _, p := range parts {
			answers("remove", func() error { return s.Remove(ctx, p.Name) })
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for why := range refused {
		t.Errorf("Elasticsearch 7.14 would say: %s", why)
	}
}

// TestNoElasticsearch holds that something else at the address is named as such: what does not say that it is Elasticsearch, as all since 7.14 do.
func TestNoElasticsearch(t *testing.T) {
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"version":{"number":"7.10.2"}}`))
	}))
	t.Cleanup(door.Close)
	o := options(t.Name())
	o.Addresses = []string{door.URL}
	s := open(t, o)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.Append(ctx, batch(1, 1)) }()
	for end := time.Now().Add(time.Minute); !strings.Contains(s.state.reason(), "no Elasticsearch of version 7.14 or later"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the reason is %q", s.state.reason())
		}
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("an append to something else succeeds")
	}
}
