package clean

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/strictyaml"
)

// Bounds of a request to try pipelines.
const (
	maxBody   = 4 << 20
	maxEvents = 1000
)

// Routes adds the handlers to mux; operate guards each: it lets only those pass who may look at, and change, how the server runs.
//
//	GET  /api/v1/pipelines         {"pipelines":[{"name","when","continue","tests","events","dropped","joined","steps":[…]}],"loaded":time}
//	POST /api/v1/pipelines/test    {"config"?:YAML,"lines"?:[…],"events"?:[…]} → {"results":[…],"tests":{"ran","failed":[…]}}
//	POST /api/v1/pipelines/reload  reads the configuration file again → {"pipelines":n}; 409 when it is refused
func (c *Cleaner) Routes(mux *http.ServeMux, operate func(http.Handler) http.Handler) {
	for pattern, f := range map[string]func(http.ResponseWriter, *http.Request) (any, error){
		"GET /api/v1/pipelines":         c.list,
		"POST /api/v1/pipelines/test":   c.try,
		"POST /api/v1/pipelines/reload": c.postReload,
	} {
		mux.Handle(pattern, operate(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			v, err := f(w, r)
			if err != nil {
				answer.Fail(w, err)
				return
			}
			answer.JSON(w, http.StatusOK, v)
		})))
	}
}

type stepJSON struct {
	Processor   string     `json:"processor"`
	Description string     `json:"description"`
	Events      int64      `json:"events"`
	Dropped     int64      `json:"dropped"`
	Failures    int64      `json:"failures"`
	Panics      int64      `json:"panics"`
	Then        []stepJSON `json:"then,omitempty"`
	Else        []stepJSON `json:"else,omitempty"`
}

func steps(c *processors.Chain) []stepJSON {
	if c == nil {
		return nil
	}
	out := make([]stepJSON, len(c.Steps))
	for i, s := range c.Steps {
		out[i] = stepJSON{s.Name, s.String(), s.Stats.Events.Load(), s.Stats.Dropped.Load(), s.Stats.Failures.Load(), s.Stats.Panics.Load(), steps(s.Then), steps(s.Else)}
	}
	return out
}

func (c *Cleaner) list(http.ResponseWriter, *http.Request) (any, error) {
	now := c.current.Load()
	list := make([]map[string]any, len(now.List))
	for i, q := range now.List {
		m := map[string]any{"name": q.Name, "continue": q.Continue, "tests": len(q.Tests), "events": q.Stats.Events.Load(),
			"dropped": q.Stats.Dropped.Load(), "joined": q.Stats.Joined.Load(), "made": q.Stats.Made.Load(), "rejected": q.Stats.Rejected.Load(), "steps": steps(q.Chain)}
		if q.When != nil {
			m["when"] = q.When.String()
		}
		switch {
		case q.Chain.Reject:
			m["on_failure"] = deadLetter
		case q.Chain.OnFailure != nil:
			m["on_failure"] = steps(q.Chain.OnFailure)
		}
		list[i] = m
	}
	return map[string]any{"pipelines": list, "loaded": event.FormatTime(now.loaded.UnixNano()), "ready": readyNames()}, nil
}

func (c *Cleaner) postReload(http.ResponseWriter, *http.Request) (any, error) {
	if err := c.Reload(); err != nil {
		return nil, answer.Errorf(http.StatusConflict, "refused", "%v", err)
	}
	return map[string]any{"pipelines": len(c.Pipelines().List)}, nil
}

type tryRequest struct {
	Config *string           `json:"config"`
	Lines  []string          `json:"lines"`
	Events []json.RawMessage `json:"events"`
}

// noEnvironment keeps the server's environment from those who may only try pipelines.
func noEnvironment(string) (string, bool) { return "", false }

func (c *Cleaner) try(w http.ResponseWriter, r *http.Request) (any, error) {
	bad := func(format string, args ...any) error {
		return answer.Errorf(http.StatusBadRequest, "invalid", format, args...)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, answer.Errorf(http.StatusRequestEntityTooLarge, "too_large", "the body has more than %d bytes", maxBody)
	}
	var q tryRequest
	if err != nil || json.Unmarshal(body, &q) != nil {
		return nil, bad(`the body is not {"config": YAML, "lines": […], "events": […]}`)
	}
	if len(q.Lines)+len(q.Events) > maxEvents {
		return nil, bad("at most %d lines and events can be tried at once", maxEvents)
	}
	p := c.Pipelines()
	if q.Config != nil {
		n, err := strictyaml.Parse("config", []byte(*q.Config), noEnvironment)
		if s := c.current.Load(); err == nil && s.plugins != nil {
			// Those that the server's configuration names, and no others: who may try pipelines may not choose what the machine runs.
			named := s.plugins.Named()
			defer named.Close()
			if p, err = CompileFile(n, Plugin(named)); err == nil {
				err = named.Start()
			}
		} else if err == nil {
			p, err = CompileFile(n)
		}
		if err != nil {
			return nil, bad("%v", err)
		}
	}
	var in []string
	for _, s := range q.Lines {
		in = append(in, messageJSON(s))
	}
	for _, e := range q.Events {
		in = append(in, string(e))
	}
	b, err := batch(in)
	if err != nil {
		return nil, bad("events: %v", err)
	}
	ran, failed := 0, []Failed{}
	if q.Config != nil {
		var f []Failed
		ran, f = p.Test()
		failed = append(failed, f...)
	}
	return map[string]any{"results": Results(p.private().Explain(b)), "tests": map[string]any{"ran": ran, "failed": failed}}, nil
}

// private gives the same pipelines with counters of their own.
func (p *Pipelines) private() *Pipelines {
	q := &Pipelines{}
	for _, x := range p.List {
		c := *x
		c.Stats = &Stats{}
		q.List = append(q.List, &c)
	}
	return q
}

// Results gives traces the form in which the API answers.
func Results(traces []Trace) []map[string]any {
	out := make([]map[string]any, len(traces))
	for i, t := range traces {
		list := make([]map[string]any, len(t.Steps))
		for j, c := range t.Steps {
			m := map[string]any{"pipeline": c.Pipeline, "processor": c.Step.Name, "line": c.Step.Line, "set": raw(&event.Event{Fields: c.Set})}
			if len(c.Removed) > 0 {
				m["removed"] = c.Removed
			}
			if c.Dropped {
				m["dropped"] = true
			}
			if c.Err != nil {
				m["error"] = c.Err.Error()
			}
			list[j] = m
		}
		m := map[string]any{"steps": list, "event": nil, "dropped": t.Event == nil && !t.Joined && !t.Rejected, "joined": t.Joined}
		if t.Rejected {
			m["rejected"] = true
		}
		if t.Event != nil {
			m["event"] = raw(t.Event)
		}
		if len(t.More) > 0 {
			more := make([]json.RawMessage, len(t.More))
			for j, e := range t.More {
				more[j] = raw(e)
			}
			m["more"] = more
		}
		out[i] = m
	}
	return out
}

func raw(e *event.Event) json.RawMessage { return processor.AppendJSON(nil, e) }
