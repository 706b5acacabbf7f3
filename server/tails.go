package server

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/record"
	"github.com/tallylog/tally/server/tail"
)

// A live tail shows what all servers admit. The server that is asked asks each of the others again and again for what has come since, and
// each answers as soon as something has, or after a while.

// callTail is such a question.
const callTail = "tail"

const (
	// tailWait is how long a server waits for events before it answers that there are none.
	tailWait = 5 * time.Second
	// tailIdle is how long after the last question a server keeps events for another.
	tailIdle = 20 * time.Second
	// tailFirst bounds the wait for the others before a live tail begins.
	tailFirst = 2 * time.Second
	// mostDistant bounds the live tails of other servers.
	mostDistant = 1000
)

// tailQuestion names a live tail at another server, with what it takes to begin it.
type tailQuestion struct {
	ID    string         `json:"id"`
	Who   auth.Principal `json:"who"`
	Query string         `json:"query"`
	First bool           `json:"first"` // begin it, and answer at once
}

// distant are the live tails of other servers that this one has events for.
type distant struct {
	s    *Server
	mu   sync.Mutex
	open map[string]*distantTail
}

type distantTail struct {
	watch *tail.Watcher
	busy  sync.Mutex // one question at a time
	idle  *time.Timer
}

// answer is what came since the last question: 8 bytes with the number of events that were left out (big-endian), and a record of those there are.
func (d *distant) answer(ctx context.Context, body []byte) ([]byte, error) {
	var q tailQuestion
	if err := json.Unmarshal(body, &q); err != nil || q.ID == "" {
		return nil, errors.Join(errors.New("cannot understand which live tail is meant"), err)
	}
	t, err := d.find(&q)
	if err != nil {
		return nil, err
	}
	t.busy.Lock()
	defer t.busy.Unlock()
	t.idle.Reset(tailIdle + tailWait)
	defer t.idle.Reset(tailIdle)
	wait := tailWait
	if q.First {
		wait = 0
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	go func() {
		select {
		case <-d.s.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	events, skipped, err := t.watch.Next(ctx)
	if err != nil { // nothing came
		events, skipped = nil, 0
	}
	out := binary.BigEndian.AppendUint64(nil, uint64(skipped))
	b := &record.Batch{Tenant: q.Who.TenantID, Events: make([]event.Event, len(events))}
	for i, e := range events {
		b.Events[i] = *e
	}
	return record.Append(out, b), nil
}

func (d *distant) find(q *tailQuestion) (*distantTail, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.open[q.ID]; t != nil {
		return t, nil
	}
	if !q.First {
		return nil, errors.New("the live tail was given up here; what came since is not known")
	}
	if len(d.open) >= mostDistant {
		return nil, fmt.Errorf("there are %d live tails of other servers already", mostDistant)
	}
	watch, err := d.s.api.Watch(q.Who, q.Query)
	if err != nil {
		return nil, err
	}
	t := &distantTail{watch: watch}
	t.idle = time.AfterFunc(tailIdle, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.open, q.ID)
		watch.Close()
	})
	d.open[q.ID] = t
	return t, nil
}

// tailElsewhere is api.API's Elsewhere.
func (s *Server) tailElsewhere(ctx context.Context, w *tail.Watcher, who auth.Principal, text string, missing func([]string)) (begun <-chan struct{}) {
	f := &tailFollower{s: s, watch: w, q: tailQuestion{ID: rand.Text(), Who: who, Query: text}, missing: missing, running: map[string]bool{}, away: map[string]bool{}}
	done := make(chan struct{})
	go f.run(ctx, done)
	return done
}

// tailFollower brings what others admit to one live tail.
type tailFollower struct {
	s       *Server
	watch   *tail.Watcher
	q       tailQuestion
	missing func([]string)

	mu      sync.Mutex
	running map[string]bool
	away    map[string]bool // names of those that do not answer
}

// run follows whoever is a member until ctx is done. It closes begun when those of the first moment have answered, or have had the time for it.
func (f *tailFollower) run(ctx context.Context, begun chan struct{}) {
	var first sync.WaitGroup
	f.look(ctx, &first)
	answered := make(chan struct{})
	go func() { first.Wait(); close(answered) }()
	select {
	case <-answered:
	case <-time.After(tailFirst):
	case <-ctx.Done():
	}
	close(begun)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.look(ctx, nil)
		case <-ctx.Done():
			return
		}
	}
}

// look begins to follow those that have come since the last look.
func (f *tailFollower) look(ctx context.Context, first *sync.WaitGroup) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, m := range f.s.group.Members() {
		if id == f.s.group.ID() || f.running[id] {
			continue
		}
		f.running[id] = true
		answered := func() {}
		if first != nil {
			first.Add(1)
			answered = sync.OnceFunc(first.Done)
		}
		go f.follow(ctx, id, m.Name, answered)
	}
}

// follow asks one server until it is no member any more.
func (f *tailFollower) follow(ctx context.Context, id, name string, answered func()) {
	defer answered()
	q := f.q
	for q.First = true; ctx.Err() == nil; {
		err := f.ask(ctx, id, &q)
		if ctx.Err() != nil {
			return
		}
		answered()
		f.tell(name, err != nil)
		q.First = err != nil
		if err == nil {
			continue
		}
		if _, there := f.s.group.Members()[id]; !there {
			f.mu.Lock()
			delete(f.running, id)
			f.mu.Unlock()
			f.tell(name, false)
			return
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (f *tailFollower) ask(ctx context.Context, id string, q *tailQuestion) error {
	body, err := json.Marshal(q)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*tailWait)
	defer cancel()
	out, err := f.s.group.Call(ctx, id, callTail, body)
	if err != nil {
		return err
	}
	if len(out) < 8 {
		return errors.New("the answer is too short")
	}
	b, err := record.Decode(out[8:])
	if err != nil {
		return err
	}
	f.watch.Add(b.Events, int64(binary.BigEndian.Uint64(out)))
	return nil
}

// tell says who is missing, when that changes.
func (f *tailFollower) tell(name string, away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away[name] == away {
		return
	}
	if f.away[name] = away; !away {
		delete(f.away, name)
	}
	f.missing(slices.Sorted(maps.Keys(f.away)))
}
