package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/auth"
)

// Some things lie at one server: the letters that it has rejected, its audit log, its pipelines. Where there are several, a request for
// them goes to all, whichever was asked, in the name of who sent it, and the answers become one.

// callRequest is a request of the API that another server was asked: relayed.
const callRequest = "request"

// askTime bounds the wait for another server where people look at a page.
const askTime = 10 * time.Second

// relayed is a request without a body as one server hands it to another.
type relayed struct {
	Method string         `json:"method"`
	Path   string         `json:"path"`
	Query  string         `json:"query"`
	Remote string         `json:"remote"` // address of the client
	Who    auth.Principal `json:"who"`
}

// reply is the answer of one server to a request.
type reply struct {
	Server string          `json:"-"` // id
	Name   string          `json:"-"`
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body"`
}

// answerOthers is how this server answers a request that another was asked.
func (s *Server) answerOthers(ctx context.Context, body []byte) ([]byte, error) {
	var q relayed
	if err := json.Unmarshal(body, &q); err != nil {
		return nil, fmt.Errorf("cannot understand a request of another server: %w", err)
	}
	if s.local == nil || !s.ready.Load() {
		return nil, fmt.Errorf("the server is starting or stopping")
	}
	r, err := s.here(ctx, &q)
	if err != nil {
		return nil, err
	}
	return json.Marshal(r)
}

// here asks this server.
func (s *Server) here(ctx context.Context, q *relayed) (reply, error) {
	u := &url.URL{Path: q.Path, RawQuery: q.Query}
	r, err := http.NewRequestWithContext(auth.Trust(ctx, q.Who), q.Method, u.String(), nil)
	if err != nil {
		return reply{}, fmt.Errorf("cannot make a request of another server's: %w", err)
	}
	r.RemoteAddr = q.Remote
	w := &captured{status: http.StatusOK, header: http.Header{}}
	s.local.ServeHTTP(w, r)
	out := reply{Status: w.status, Body: w.body.Bytes()}
	if !json.Valid(out.Body) {
		return reply{}, fmt.Errorf("%s %s has no answer in JSON", q.Method, q.Path)
	}
	return out, nil
}

// captured is an http.ResponseWriter that keeps the answer.
type captured struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (c *captured) Header() http.Header         { return c.header }
func (c *captured) WriteHeader(status int)      { c.status = status }
func (c *captured) Write(b []byte) (int, error) { return c.body.Write(b) }

// union makes one answer of those of several servers.
type union struct {
	// page is the query parameter that says where a list goes on, of routes that have one.
	page string
	// slow is true where the others may take as long as a request may.
	slow bool
	// join gets the answers with status 200, at least one, and the names of the servers that gave none.
	join func(q url.Values, all []reply, missing []string) (any, error)
}

// everywhere handles requests that all servers are asked.
func (s *Server) everywhere(x union) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, own, err := s.ask(r, x)
		switch {
		case err != nil:
			answer.Fail(w, err)
		case own != nil:
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(own.Status)
			_, _ = w.Write(own.Body) // an error means that the client went away
		default:
			w.Header().Set("Cache-Control", "no-store")
			answer.JSON(w, http.StatusOK, v)
		}
	})
}

// ask asks all servers. Where this one refuses, as all would, own is its answer.
func (s *Server) ask(r *http.Request, x union) (v any, own *reply, err error) {
	who, _ := auth.FromContext(r.Context())
	q := r.URL.Query()
	places, err := places(q, x.page)
	if err != nil {
		return nil, nil, err
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	var all []reply
	var missing []string
	var none, refused error
	for id, name := range s.servers() {
		mine := maps.Clone(q)
		if places != nil {
			cursor, there := places[id]
			if !there {
				continue // it has come since
			}
			if mine.Del(x.page); cursor != "" {
				mine.Set(x.page, cursor)
			}
		}
		asked := &relayed{r.Method, r.URL.Path, mine.Encode(), r.RemoteAddr, who}
		wg.Go(func() {
			rep, err := s.askOne(r.Context(), id, asked, x.slow)
			rep.Server, rep.Name = id, name
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && rep.Status == http.StatusOK:
				all = append(all, rep)
			case err == nil && rep.Status == http.StatusNotFound:
				none = refusal(rep)
			case err == nil && id == s.group.ID():
				own = &rep
			case err == nil && rep.Status < 500:
				refused = answer.Errorf(rep.Status, "refused", "server %s: %v", name, refusal(rep))
			default:
				s.o.Log.Warn("a server does not do its part of a request", "server", name, "path", r.URL.Path, "status", rep.Status, "error", err)
				missing = append(missing, name)
			}
		})
	}
	wg.Wait()
	for id, a := range s.group.Absent() {
		if _, wanted := places[id]; wanted || places == nil {
			missing = append(missing, a.Name)
		}
	}
	slices.Sort(missing)
	slices.SortFunc(all, func(a, b reply) int { return strings.Compare(a.Name+a.Server, b.Name+b.Server) })
	switch {
	case own != nil:
		return nil, own, nil
	case refused != nil:
		return nil, nil, refused
	case len(all) > 0:
		v, err = x.join(q, all, missing)
		return v, nil, err
	case len(missing) > 0:
		return nil, nil, &answer.Error{Status: http.StatusServiceUnavailable, Code: "server_missing", RetryAfter: 5, Message: "it may be at a server that does not answer: " + strings.Join(missing, ", ")}
	}
	if none == nil { // an empty list would be a lie
		none = answer.Errorf(http.StatusServiceUnavailable, "server_missing", "the servers where this list goes on do not live; begin it anew")
	}
	return nil, nil, none
}

// servers are the names of this server and of the others that live, by their ids.
func (s *Server) servers() map[string]string {
	all := map[string]string{s.group.ID(): s.name()}
	for id, m := range s.group.Members() {
		all[id] = m.Name
	}
	return all
}

// refusal is the error that a server answered with.
func refusal(r reply) error {
	var e struct {
		Error struct{ Code, Message string }
	}
	_ = json.Unmarshal(r.Body, &e) // without a message the status says enough
	return answer.Errorf(r.Status, e.Error.Code, "%s", e.Error.Message)
}

func (s *Server) askOne(ctx context.Context, id string, q *relayed, slow bool) (r reply, err error) {
	if id == s.group.ID() {
		return s.here(ctx, q)
	}
	if !slow {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, askTime)
		defer cancel()
	}
	body, err := json.Marshal(q)
	if err != nil {
		return r, err
	}
	out, err := s.group.Call(ctx, id, callRequest, body)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(out, &r)
}
