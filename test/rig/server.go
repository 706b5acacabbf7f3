package rig

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Password of the user admin of every Server.
const Password = "only for tests"

// Server is a tally serve that can be killed and started again on the same ports and data.
type Server struct {
	*Process
	t          testing.TB
	Dir        string
	HTTP       string // address
	Lumberjack string
	Config     string // YAML, beside the flags
	Env        []string
	configFile string
}

// NewServer prepares a server in dir; Start starts it. config is YAML, may be empty.
func NewServer(t testing.TB, dir, config string) *Server {
	t.Helper()
	s := &Server{t: t, Dir: dir, HTTP: Port(t), Lumberjack: Port(t), Config: config}
	if config != "" {
		s.configFile = filepath.Join(t.TempDir(), "tally.yml")
		if err := os.WriteFile(s.configFile, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// Begin starts the server and does not wait.
func (s *Server) Begin() *Server {
	s.t.Helper()
	args := []string{"serve", "--data", s.Dir, "--http", s.HTTP, "--lumberjack", s.Lumberjack}
	if s.configFile != "" {
		args = append(args, "-c", s.configFile)
	}
	s.Process = Start(s.t, append([]string{"TALLY_ADMIN_PASSWORD=" + Password}, s.Env...), Tally(s.t), args...)
	return s
}

// Ready tells whether the server answers queries.
func (s *Server) Ready() bool {
	resp, err := http.Get("http://" + s.HTTP + "/readyz")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// Start starts the server and waits until it is ready.
func (s *Server) Start() *Server {
	s.t.Helper()
	s.Begin()
	Eventually(s.t, patience, "the server is ready", func() bool {
		if s.Exited() {
			s.t.Fatalf("the server ended: %s", tailOf(s.Log(), 3000))
		}
		return s.Ready()
	})
	return s
}

// Request sends a request as admin and returns status and body.
func (s *Server) Request(method, path, body string, header ...string) (int, string, error) {
	code, answer, _, err := s.request(method, path, body, header...)
	return code, answer, err
}

func (s *Server) request(method, path, body string, header ...string) (int, string, http.Header, error) {
	req, err := http.NewRequest(method, "http://"+s.HTTP+path, strings.NewReader(body))
	if err != nil {
		return 0, "", nil, err
	}
	req.SetBasicAuth("admin", Password)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), resp.Trailer, err
}

// Get asks for JSON.
func (s *Server) Get(path string, q url.Values, out any) error {
	code, body, err := s.Request("GET", path+"?"+q.Encode(), "")
	if err != nil {
		return err
	}
	if code != http.StatusOK {
		return fmt.Errorf("%s: %d %s", path, code, body)
	}
	return json.Unmarshal([]byte(body), out)
}

// Count is the number of events that match; -1 while the server does not answer.
func (s *Server) Count(query string) int {
	var ans struct{ Count int }
	if s.Get("/api/v1/count", url.Values{"query": {query}}, &ans) != nil {
		return -1
	}
	return ans.Count
}

// WaitCount waits until at least n events match, as long as Eventually does.
func (s *Server) WaitCount(query string, n int, max time.Duration) {
	s.t.Helper()
	max = longer(max)
	last := 0
	end := time.Now().Add(max)
	for time.Now().Before(end) {
		if last = s.Count(query); last >= n {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.t.Fatalf("after %v %d events match %s, want %d", max, last, query, n)
}

// Events gives all matching events, oldest first. Where the server's time for a search ends before, it goes on from there.
func (s *Server) Events(query, fields string) (out []map[string]string) {
	s.t.Helper()
	q := url.Values{"query": {query}, "order": {"asc"}, "limit": {"5000000"}}
	if fields != "" {
		q.Set("fields", fields)
	}
	for {
		var body string
		var trailer http.Header
		s.answers("query "+query, func() error {
			code, text, t, err := s.request("GET", "/api/v1/query?"+q.Encode(), "")
			if err == nil && code != http.StatusOK {
				err = fmt.Errorf("%d %.500s", code, text)
			}
			body, trailer = text, t
			return err
		})
		d := json.NewDecoder(strings.NewReader(body))
		for d.More() {
			var e map[string]string
			if err := d.Decode(&e); err != nil {
				s.t.Fatal(err)
			}
			out = append(out, e)
		}
		failed, cursor := trailer.Get("Tally-Error"), trailer.Get("Tally-Cursor")
		if failed == "" {
			return out
		}
		if body == "" || cursor == "" {
			s.t.Fatalf("query %s: after %d events: %s", query, len(out), failed)
		}
		q.Set("cursor", cursor)
	}
}

// Source is one account, as /api/v1/sources gives it.
type Source struct {
	ID     string
	Name   string
	Source string
	Kind   string
	Ranges [][2]int64
	Gaps   []struct {
		From   int64
		To     *int64
		Reason string
	}
	Complete   bool
	Events     int64
	Duplicates int64
	Conflicts  int64
}

// Sources gives the accounts called name; all when it is empty.
func (s *Server) Sources(name string) []Source {
	s.t.Helper()
	var ans struct{ Sources []Source }
	q := url.Values{}
	if name != "" {
		q.Set("name", name)
	}
	s.answers("sources", func() error { return s.Get("/api/v1/sources", q, &ans) })
	return ans.Sources
}

// answers asks until there is an answer: a server that has just come up, or has much to do, may ask to come again.
func (s *Server) answers(what string, ask func() error) {
	s.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s: %v", what, err)
		}
	}
}

// Tally of numbered lines: how many of 0..n-1 are missing and how many came more than once. number finds the number in a
// message, -1 for none.
func Tallied(events []map[string]string, n int, number func(message string) int) (lost, doubled int) {
	seen := make([]int, n)
	for _, e := range events {
		if i := number(e["message"]); i >= 0 && i < n {
			seen[i]++
		}
	}
	for _, k := range seen {
		if k == 0 {
			lost++
		} else {
			doubled += k - 1
		}
	}
	return lost, doubled
}
