package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/storage"
	"github.com/tallylog/tally/server/tail"
)

// scripted is a store whose rows are made up: as many as it is told, and then an error.
type scripted struct {
	storage.Store
	rows int
	err  error
	wait func(ctx context.Context) error // before each row
}

func (s *scripted) Rows(ctx context.Context, r storage.RowsRequest, f func(*event.Event) error) (string, error) {
	for i := range min(s.rows, r.Limit) {
		if s.wait != nil {
			if err := s.wait(ctx); err != nil {
				return "", err
			}
		}
		e := event.Event{ID: fmt.Sprint(i), Time: int64(i + 1), Fields: []event.Field{{Name: "message", Value: strings.Repeat("x", 1000)}}}
		if err := f(&e); err != nil {
			return fmt.Sprint("after ", i), err
		}
	}
	return "the end", s.err
}

func (s *scripted) Count(ctx context.Context, _ storage.Search) (int64, error) {
	return 1, s.wait(ctx)
}

// serve runs the API over a store, with an admin's credentials for each request.
func serve(t *testing.T, s storage.Store, timeout time.Duration) (*API, string) {
	t.Helper()
	ctx := t.Context()
	a, err := auth.Open(ctx, t.TempDir(), auth.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	if _, _, err := a.EnsureAdmin(ctx, t.TempDir(), "a long enough password"); err != nil {
		t.Fatal(err)
	}
	api := &API{Store: s, Hub: &tail.Hub{}, Auth: a, Timeout: timeout, Log: slog.New(slog.DiscardHandler), Stopping: make(chan struct{})}
	mux := http.NewServeMux()
	api.Routes(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return api, server.URL
}

func get(t *testing.T, url string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("admin", "a long enough password")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

// TestFailureInMidStream: what was found arrives, and the answer never looks whole.
func TestFailureInMidStream(t *testing.T) {
	_, url := serve(t, &scripted{rows: 500, err: fmt.Errorf("%w: of memory", storage.ErrPartial)}, time.Minute)
	f := func(path string, aborted bool) {
		t.Helper()
		resp, body, err := get(t, url+path)
		if n := strings.Count(body, "\n"); n != 500 || resp.StatusCode != 200 {
			t.Errorf("%s: %d with %d rows, want all 500", path, resp.StatusCode, n)
		}
		if aborted {
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: the answer ended with %v, want a broken connection", path, err)
			}
			return
		}
		if err != nil || !strings.Contains(resp.Trailer.Get("Tally-Error"), "took too long") || resp.Trailer.Get("Tally-Cursor") != "the end" {
			t.Errorf("%s: %v, trailers %v", path, err, resp.Trailer)
		}
	}
	f("/api/v1/query", false)
	f("/api/v1/query?on_error=trailer", false)
	f("/api/v1/query?on_error=abort", true)
	f("/api/v1/export", true)
	f("/api/v1/export?on_error=abort&gzip=false", true)
	f("/api/v1/export?on_error=trailer", false)
}

// TestFailureBeforeTheFirstRow is an ordinary error, whatever was asked for.
func TestFailureBeforeTheFirstRow(t *testing.T) {
	_, url := serve(t, &scripted{err: fmt.Errorf("%w: slow", storage.ErrPartial)}, time.Minute)
	for _, path := range []string{"/api/v1/query", "/api/v1/query?on_error=abort", "/api/v1/export"} {
		if resp, body, err := get(t, url+path); err != nil || resp.StatusCode != 504 || !strings.Contains(body, `"timeout"`) {
			t.Errorf("%s: %d %s %v", path, resp.StatusCode, body, err)
		}
	}
}

// TestExportOutlivesTheTimeout: only a store that stalls ends an export.
func TestExportOutlivesTheTimeout(t *testing.T) {
	pace := func(d time.Duration) func(context.Context) error {
		return func(ctx context.Context) error {
			select {
			case <-time.After(d):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	s := &scripted{rows: 8, wait: pace(300 * time.Millisecond)}
	_, url := serve(t, s, 2*time.Second) // a row must not take so long, whatever else the machine does
	if resp, body, err := get(t, url+"/api/v1/export?on_error=trailer"); err != nil || strings.Count(body, "\n") != 8 || resp.Trailer.Get("Tally-Error") != "" {
		t.Errorf("%d rows, %v, %v", strings.Count(body, "\n"), err, resp.Trailer)
	}
	if resp, _, _ := get(t, url+"/api/v1/query"); resp.Trailer.Get("Tally-Error") == "" {
		t.Error("a query of more than its time is not partial")
	}
	s = &scripted{rows: 2, wait: pace(time.Hour)}
	_, url = serve(t, s, 100*time.Millisecond)
	if resp, body, err := get(t, url+"/api/v1/export"); err != nil || resp.StatusCode != 504 {
		t.Errorf("a stalled store: %d %s %v", resp.StatusCode, body, err)
	}
}

// TestExportEndsWithTheServer, and says so.
func TestExportEndsWithTheServer(t *testing.T) {
	begun := make(chan struct{}, 2)
	s := &scripted{rows: 2, wait: func(ctx context.Context) error {
		if begun <- struct{}{}; len(begun) < 2 {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}}
	a, url := serve(t, s, time.Minute)
	stopping := make(chan struct{})
	a.Stopping = stopping
	go func() {
		for len(begun) < 2 {
			time.Sleep(time.Millisecond)
		}
		close(stopping)
	}()
	if resp, body, err := get(t, url+"/api/v1/export?on_error=trailer"); err != nil || strings.Count(body, "\n") != 1 || !strings.Contains(resp.Trailer.Get("Tally-Error"), "stopping") {
		t.Errorf("%q, %v, %v", body, err, resp.Trailer)
	}
}

// TestTooManySearches: what finds no place is told to come again, and nothing else suffers.
func TestTooManySearches(t *testing.T) {
	release := make(chan struct{})
	begun := make(chan struct{}, 100)
	s := &scripted{wait: func(ctx context.Context) error {
		begun <- struct{}{}
		<-release
		return nil
	}}
	a, url := serve(t, s, time.Minute)
	a.searches = &gate{what: "searches", all: 2, each: 2, queue: 1, wait: 50 * time.Millisecond}
	a.tails = &gate{what: "live tails", all: 1, each: 1}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if resp, body, _ := get(t, url+"/api/v1/count"); resp.StatusCode != 200 {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
		})
		<-begun
	}
	if resp, body, _ := get(t, url+"/api/v1/count"); resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" || !strings.Contains(body, `"busy"`) {
		t.Errorf("%d %s %v", resp.StatusCode, body, resp.Header)
	}
	if resp, _, _ := get(t, url+"/api/v1/count?query=("); resp.StatusCode != 400 {
		t.Errorf("a wrong query waits for a place: %d", resp.StatusCode)
	}
	close(release)
	wg.Wait()
	if resp, _, _ := get(t, url+"/api/v1/count"); resp.StatusCode != 200 {
		t.Errorf("afterwards: %d", resp.StatusCode)
	}
	req, _ := http.NewRequestWithContext(t.Context(), "GET", url+"/api/v1/tail", nil)
	req.SetBasicAuth("admin", "a long enough password")
	open, err := http.DefaultClient.Do(req)
	if err != nil || open.StatusCode != 200 {
		t.Fatal(err)
	}
	defer open.Body.Close()
	if resp, _, _ := get(t, url+"/api/v1/tail"); resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("a second live tail: %d", resp.StatusCode)
	}
}

// TestSlowReaderGivesItsPlaceUp: a client that does not read holds up nobody.
func TestSlowReaderGivesItsPlaceUp(t *testing.T) {
	s := &scripted{rows: 100_000, wait: func(context.Context) error { return nil }}
	a, url := serve(t, s, time.Minute)
	a.searches = &gate{what: "searches", all: 1, each: 1, queue: 10, wait: 20 * time.Second}
	req, _ := http.NewRequestWithContext(t.Context(), "GET", url+"/api/v1/query?limit=100000", nil)
	req.SetBasicAuth("admin", "a long enough password")
	slow, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Body.Close()
	if resp, body, _ := get(t, url+"/api/v1/count"); resp.StatusCode != 200 {
		t.Errorf("behind a slow reader: %d %s", resp.StatusCode, body)
	}
	if b, err := io.ReadAll(slow.Body); err != nil || strings.Count(string(b), "\n") != 100_000 || slow.Trailer.Get("Tally-Error") != "" {
		t.Errorf("the slow reader has %d bytes, %v, %v", len(b), err, slow.Trailer)
	}
}
