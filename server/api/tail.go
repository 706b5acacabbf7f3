package api

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/query"
	"github.com/tallylog/tally/server/tail"
)

// tailQueue is the number of events kept for a slow live tail.
const tailQueue = 10_000

// heartbeat is the time between signs of life on a silent live tail. Whether its credentials still hold is looked at with each, and
// before any event is sent.
const heartbeat = 5 * time.Second

// tail sends matching events as they become durable, as server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
func (a *API) tail(w http.ResponseWriter, r *http.Request) error {
	p, err := readParams(w, r)
	if err != nil {
		return err
	}
	if err := p.known("query", "fields"); err != nil {
		return err
	}
	s, err := p.search(r)
	if err != nil {
		return err
	}
	who, _ := auth.FromContext(r.Context())
	if err := a.tails.enter(r.Context(), who.TenantID); err != nil {
		return err
	}
	defer a.tails.leave(who.TenantID)
	a.audit(&request{params: p, search: s, who: who, r: r}, "tail")
	watch := a.Hub.Watch(s.Tenant, query.Compile(s.Expr).Match, tailQueue)
	defer watch.Close()
	missing := make(chan []string, 1)
	if a.Elsewhere != nil {
		begun := a.Elsewhere(r.Context(), watch, who, p.Get("query"), func(names []string) {
			select {
			case <-missing: // replaced by what is so now; nobody else writes at the same time
			default:
			}
			missing <- names
		})
		select {
		case <-begun:
		case <-r.Context().Done():
			return nil
		}
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	rc := http.NewResponseController(w)
	buf := bufio.NewWriterSize(w, 64<<10)
	fmt.Fprint(buf, ": tail\n\n")
	keep := keep(p.list("fields"))
	var line []byte
	next := nextBatch(r, watch)
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		// A client that does not read must not hold the connection for ever.
		_ = rc.SetWriteDeadline(time.Now().Add(30 * time.Second))
		if buf.Flush() != nil || rc.Flush() != nil {
			return nil
		}
		select {
		case b := <-next:
			if b.err != nil {
				return nil
			}
			if !a.Auth.Holds(r.Context()) {
				return noLonger(buf)
			}
			for _, e := range b.events {
				line = append(e.AppendJSON(append(line[:0], "data: "...), keep), '\n', '\n')
				if _, err := buf.Write(line); err != nil {
					return nil
				}
			}
			if b.skipped > 0 {
				fmt.Fprintf(buf, "event: skipped\ndata: {\"count\":%d}\n\n", b.skipped)
			}
		case names := <-missing:
			b, err := json.Marshal(map[string][]string{"servers": append([]string{}, names...)})
			if err != nil {
				return err
			}
			fmt.Fprintf(buf, "event: missing\ndata: %s\n\n", b)
		case <-beat.C:
			if !a.Auth.Holds(r.Context()) {
				return noLonger(buf)
			}
			fmt.Fprint(buf, ": alive\n\n")
		case <-a.Stopping:
			return nil
		}
	}
}

// noLonger ends a tail whose credentials were revoked or changed.
func noLonger(buf *bufio.Writer) error {
	fmt.Fprint(buf, "event: error\ndata: {\"code\":\"unauthorized\",\"message\":\"the credentials no longer hold\"}\n\n")
	_ = buf.Flush() // else the client is gone
	return nil
}

// Watch begins a live tail of an expression of the query language in the name of who. Close must be called in the end.
func (a *API) Watch(who auth.Principal, text string) (*tail.Watcher, error) {
	expr, err := query.Parse(text)
	if err != nil {
		return nil, bad("query", "%v", err)
	}
	return a.Hub.Watch(who.TenantID, query.Compile(narrow(who, expr)).Match, tailQueue), nil
}

type batch struct {
	events  []*event.Event
	skipped int64
	err     error
}

// nextBatch moves what a watcher gets into a channel, until the request ends.
func nextBatch(r *http.Request, watch *tail.Watcher) <-chan batch {
	c := make(chan batch)
	go func() {
		for {
			var b batch
			b.events, b.skipped, b.err = watch.Next(r.Context())
			select {
			case c <- b:
			case <-r.Context().Done():
				return
			}
			if b.err != nil {
				return
			}
		}
	}()
	return c
}
