package web

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tallylog/tally/server/answer"
)

// fakeAPI is a small server of the HTTP API that the page uses, in memory, for the browser test: sessions with cookie and
// CSRF token, push, query, hits, fields, values and tail behave as the API is described. Three addresses under /fake/ bring about
// what a healthy server seldom does.
type fakeAPI struct {
	mu       sync.Mutex
	events   []map[string]any // newest first
	sessions map[string]string
	wrong    map[string]int
	tails    map[chan string]func(map[string]any) bool
	next     int
}

const (
	fakeUser     = "admin"
	fakePassword = "correct horse"
	fakeTries    = 8
)

func newFakeAPI() *fakeAPI {
	return &fakeAPI{sessions: map[string]string{}, wrong: map[string]int{}, tails: map[chan string]func(map[string]any) bool{}}
}

func (f *fakeAPI) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", Handler())
	mux.HandleFunc("POST /api/v1/login", f.login)
	mux.HandleFunc("POST /api/v1/push", f.push)
	for path, h := range map[string]http.HandlerFunc{
		"GET /api/v1/me": f.me, "POST /api/v1/logout": f.logout, "GET /api/v1/query": f.query, "GET /api/v1/hits": f.hits,
		"GET /api/v1/fields": f.fields, "GET /api/v1/values": f.values, "GET /api/v1/tail": f.tail,
	} {
		mux.HandleFunc(path, f.inSession(h))
	}
	mux.HandleFunc("POST /fake/skip", func(w http.ResponseWriter, r *http.Request) { f.toTails("event: skipped\ndata: {\"count\":7}\n\n") })
	mux.HandleFunc("POST /fake/break", func(w http.ResponseWriter, r *http.Request) { f.toTails("") })
	mux.HandleFunc("POST /fake/expire", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		clear(f.sessions)
	})
	return mux
}

func (f *fakeAPI) inSession(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie("tally_session")
		f.mu.Lock()
		csrf := ""
		if err == nil {
			csrf = f.sessions[c.Value]
		}
		f.mu.Unlock()
		user, password, _ := r.BasicAuth()
		switch {
		case user == fakeUser && password == fakePassword:
			h(w, r)
		case csrf == "":
			answer.Fail(w, answer.Errorf(http.StatusUnauthorized, "unauthorized", "no valid credentials"))
		case r.Method != http.MethodGet && r.Header.Get("Tally-CSRF") != csrf:
			answer.Fail(w, answer.Errorf(http.StatusForbidden, "csrf", "the header Tally-CSRF is missing or wrong"))
		default:
			h(w, r)
		}
	}
}

func (f *fakeAPI) login(w http.ResponseWriter, r *http.Request) {
	var in struct{ User, Password string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		answer.Fail(w, answer.Errorf(http.StatusBadRequest, "bad_request", "cannot read the body"))
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wrong[in.User] >= fakeTries {
		e := answer.Errorf(http.StatusTooManyRequests, "too_many_requests", "too many tries")
		e.RetryAfter = 17
		answer.Fail(w, e)
		return
	}
	if in.User != fakeUser || in.Password != fakePassword {
		f.wrong[in.User]++
		answer.Fail(w, answer.Errorf(http.StatusUnauthorized, "unauthorized", "wrong user or password"))
		return
	}
	id, csrf := rand.Text(), rand.Text()
	f.sessions[id] = csrf
	http.SetCookie(w, &http.Cookie{Name: "tally_session", Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	answer.JSON(w, http.StatusOK, map[string]string{"user": in.User, "csrf": csrf})
}

func (f *fakeAPI) me(w http.ResponseWriter, r *http.Request) {
	c, _ := r.Cookie("tally_session")
	f.mu.Lock()
	defer f.mu.Unlock()
	answer.JSON(w, http.StatusOK, map[string]string{"user": fakeUser, "role": "admin", "tenant": "default", "csrf": f.sessions[c.Value]})
}

func (f *fakeAPI) logout(w http.ResponseWriter, r *http.Request) {
	c, _ := r.Cookie("tally_session")
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.sessions, c.Value)
	http.SetCookie(w, &http.Cookie{Name: "tally_session", Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	w.WriteHeader(http.StatusNoContent)
}

// push takes NDJSON with Basic credentials.
func (f *fakeAPI) push(w http.ResponseWriter, r *http.Request) {
	if user, password, _ := r.BasicAuth(); user != fakeUser || password != fakePassword {
		answer.Fail(w, answer.Errorf(http.StatusUnauthorized, "unauthorized", "no valid credentials"))
		return
	}
	scanner := bufio.NewScanner(r.Body)
	scanner.Buffer(nil, 1<<24)
	accepted := 0
	f.mu.Lock()
	defer f.mu.Unlock()
	for scanner.Scan() {
		var e map[string]any
		if err := json.Unmarshal(scanner.Bytes(), &e); err != nil {
			answer.Fail(w, answer.Errorf(http.StatusBadRequest, "bad_request", "line %d is not JSON", accepted+1))
			return
		}
		if e["@timestamp"] == nil {
			e["@timestamp"] = time.Now().UTC().Format(time.RFC3339Nano)
		}
		f.next++
		e["_id"] = fmt.Sprintf("%032x", f.next)
		f.events = append(f.events, e)
		accepted++
		line, _ := json.Marshal(e)
		for to, match := range f.tails {
			if match(e) {
				// The browser reads quickly enough for this buffer; a test that overflows it must fail, not block.
				select {
				case to <- fmt.Sprintf("data: %s\n\n", line):
				default:
					close(to)
					delete(f.tails, to)
				}
			}
		}
	}
	sort.SliceStable(f.events, func(i, j int) bool { return when(f.events[i]).After(when(f.events[j])) })
	answer.JSON(w, http.StatusOK, map[string]any{"accepted": accepted, "duplicates": 0, "rejected": []any{}})
}

func (f *fakeAPI) query(w http.ResponseWriter, r *http.Request) {
	found, err := f.find(r)
	if err != nil {
		answer.Fail(w, err)
		return
	}
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil {
		limit = 1000
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := json.NewEncoder(w)
	for _, e := range found[:min(limit, len(found))] {
		if out.Encode(e) != nil {
			return
		}
	}
}

func (f *fakeAPI) hits(w http.ResponseWriter, r *http.Request) {
	found, err := f.find(r)
	if err != nil {
		answer.Fail(w, err)
		return
	}
	step, err := time.ParseDuration(r.URL.Query().Get("step"))
	if err != nil {
		answer.Fail(w, answer.Errorf(http.StatusBadRequest, "bad_request", "cannot read step"))
		return
	}
	type key struct {
		at time.Time
		v  string
	}
	by := r.URL.Query().Get("by")
	counts := map[key]int{}
	for _, e := range found {
		counts[key{when(e).Truncate(step), text(e[by])}]++
	}
	list := []any{}
	for k, n := range counts {
		list = append(list, map[string]any{"@timestamp": k.at.Format(time.RFC3339Nano), "count": n, "by": map[string]string{by: k.v}})
	}
	answer.JSON(w, http.StatusOK, map[string]any{"hits": list})
}

func (f *fakeAPI) fields(w http.ResponseWriter, r *http.Request) {
	found, err := f.find(r)
	if err != nil {
		answer.Fail(w, err)
		return
	}
	counts := map[string]int{}
	for _, e := range found {
		for name := range e {
			counts[name]++
		}
	}
	answer.JSON(w, http.StatusOK, map[string]any{"fields": ranked(counts, "name", len(counts))})
}

func (f *fakeAPI) values(w http.ResponseWriter, r *http.Request) {
	found, err := f.find(r)
	if err != nil {
		answer.Fail(w, err)
		return
	}
	counts := map[string]int{}
	for _, e := range found {
		counts[text(e[r.URL.Query().Get("field")])]++
	}
	answer.JSON(w, http.StatusOK, map[string]any{"values": ranked(counts, "value", 12)})
}

func ranked(counts map[string]int, name string, limit int) []map[string]any {
	list := []map[string]any{}
	for k, n := range counts {
		list = append(list, map[string]any{name: k, "count": n})
	}
	sort.Slice(list, func(i, j int) bool { return list[i]["count"].(int) > list[j]["count"].(int) })
	return list[:min(limit, len(list))]
}

func (f *fakeAPI) tail(w http.ResponseWriter, r *http.Request) {
	match, err := parse(r.URL.Query().Get("query"))
	if err != nil {
		answer.Fail(w, err)
		return
	}
	lines := make(chan string, 4096)
	f.mu.Lock()
	f.tails[lines] = match
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.tails, lines)
		f.mu.Unlock()
	}()
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	rc := http.NewResponseController(w)
	_ = rc.Flush()
	for {
		select {
		case line, ok := <-lines:
			if !ok || line == "" {
				return
			}
			if _, err := fmt.Fprint(w, line); err != nil {
				return
			}
			_ = rc.Flush()
		case <-r.Context().Done():
			return
		}
	}
}

// toTails sends raw text to all tails; an empty one ends them.
func (f *fakeAPI) toTails(line string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for to := range f.tails {
		to <- line
	}
}

// find returns the events of the request's query and range, newest first.
func (f *fakeAPI) find(r *http.Request) ([]map[string]any, error) {
	q := r.URL.Query()
	match, err := parse(q.Get("query"))
	if err != nil {
		return nil, err
	}
	start, err := parseTime(q.Get("start"), time.Time{})
	if err != nil {
		return nil, err
	}
	end, err := parseTime(q.Get("end"), time.Now().Add(24*time.Hour))
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	found := []map[string]any{}
	for _, e := range f.events {
		if at := when(e); !at.Before(start) && at.Before(end) && match(e) {
			found = append(found, e)
		}
	}
	return found, nil
}

func parseTime(s string, missing time.Time) (time.Time, error) {
	if s == "" {
		return missing, nil
	}
	if strings.HasPrefix(s, "-") {
		if d, err := time.ParseDuration(s); err == nil {
			return time.Now().Add(d), nil
		}
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	return time.Time{}, answer.Errorf(http.StatusBadRequest, "bad_time", "cannot read the time %q", s)
}

func when(e map[string]any) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, e["@timestamp"].(string))
	return t
}

func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}
