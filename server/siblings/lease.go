package siblings

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/tallylog/tally/server/storage/elasticsearch"
)

// Documents is what leases want from Elasticsearch; *elasticsearch.Documents is one.
type Documents interface {
	Get(ctx context.Context, id string) (elasticsearch.Document, error)
	Put(ctx context.Context, id string, body []byte, v elasticsearch.Version) (elasticsearch.Version, error)
}

var _ Documents = (*elasticsearch.Documents)(nil)

// tableID is the name of the table among the documents.
const tableID = "table"

// Clock tells time as a lease needs it; the zero value of Options takes the system's.
type Clock func() time.Time

// passed is the time from a to b: the longer of what the wall clock and the monotonic clock say, since a machine that was suspended
// stops the one, and a step back the other.
func passed(a, b time.Time) time.Duration { return max(b.Sub(a), b.Round(0).Sub(a.Round(0))) }

// Leases keeps this server in the table, and knows what it may admit. Its methods may be called from many goroutines at once.
type Leases struct {
	docs Documents
	id   string
	self Member
	ttl  time.Duration
	now  Clock
	log  *slog.Logger
	// gained is called with the buckets that this server has come to hold, before it admits any of them.
	gained func(ctx context.Context, buckets []int)

	// fed returns when all that was admitted before is in Elasticsearch, where another server finds it.
	fed func(ctx context.Context) error

	// agree is called with the retention in force before anything is admitted under it; nil for nothing.
	agree func(Agreement)
	// config is Options.Config.
	config func() map[string]string
	// first is closed, by joined, when the first beat was written.
	first  chan struct{}
	joined func()

	step sync.Mutex // one beat at a time

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced when what is below changes
	table    *table        // as last seen
	until    time.Time     // the lease is that of this server before it
	begun    time.Time     // of the beat that until follows from
	held     [buckets]bool
	term     [buckets]uint64 // counts the times that it came to be held
	ready    [buckets]bool   // held, and gained has returned
	draining [buckets]bool   // to be handed over once nothing is under way, and what was is in Elasticsearch
	drained  [buckets]bool   // so it is
	feeding  bool            // somebody waits for that
	under    [buckets]int    // batches under way
	seen     map[string]sight
	wrote    []uint64 // the beats that may be in the table
	failing  bool
	agreed   Agreement // as it was told last
}

// sight is when a beat was first seen.
type sight struct {
	beat  uint64
	at    time.Time
	ahead time.Duration // of its clock, to within the time between two beats
}

// newLeases makes the leases of a server; run keeps them.
func newLeases(o Options) *Leases {
	l := &Leases{docs: o.Documents, id: o.ID, self: o.Self, ttl: o.Lease, now: o.Now, log: o.Log, gained: o.Gained, agree: o.Agreed, config: o.Config, changed: make(chan struct{}), seen: map[string]sight{}}
	l.first = make(chan struct{})
	l.joined = sync.OnceFunc(func() { close(l.first) })
	l.table, _ = parseTable(nil)
	return l
}

// run beats until ctx is done, then hands over what it holds, if it can.
func (l *Leases) run(ctx context.Context) {
	tick := time.NewTicker(l.ttl / 5)
	defer tick.Stop()
	for {
		l.beat(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// beat is one beat, tried again at once while others change the table under it.
func (l *Leases) beat(ctx context.Context) {
	l.step.Lock()
	defer l.step.Unlock()
	for range 20 {
		bound, cancel := context.WithTimeout(ctx, l.ttl)
		err := l.once(bound)
		cancel()
		if err == nil || ctx.Err() != nil {
			l.note(nil)
			return
		}
		if !errors.Is(err, elasticsearch.ErrChanged) {
			l.note(err)
			return
		}
		time.Sleep(time.Duration(mrand.IntN(20)+1) * time.Millisecond)
	}
	l.note(errors.New("the table of servers changes all the time"))
}

// note logs when beats begin to fail, and when they no longer do.
func (l *Leases) note(err error) {
	l.mu.Lock()
	was := l.failing
	l.failing = err != nil
	l.mu.Unlock()
	if err != nil && !was {
		l.log.Warn("cannot renew the lease of this server; without it nothing with an identity is acknowledged here", "error", err)
	} else if err == nil && was {
		l.log.Info("the lease of this server is renewed again")
	}
}

// once reads the table and writes it with the next beat.
func (l *Leases) once(ctx context.Context) error {
	begun := l.now()
	doc, err := l.docs.Get(ctx, tableID)
	if err != nil {
		return err
	}
	t, err := parseTable(doc.Body)
	if err != nil {
		return err
	}
	l.look(t)
	if err := l.change(t); err != nil {
		return err
	}
	body, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("cannot write the table of servers: %w", err)
	}
	if _, err := l.docs.Put(ctx, tableID, body, doc.Version); err != nil {
		return err
	}
	l.adopt(ctx, t, begun)
	return nil
}

// look notes which beats have changed.
func (l *Leases) look(t *table) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for id, m := range t.Members {
		if s, ok := l.seen[id]; !ok {
			l.seen[id] = sight{beat: m.Beat, at: now} // it may be old: its clock tells nothing
		} else if s.beat != m.Beat {
			l.seen[id] = sight{m.Beat, now, time.UnixMilli(m.Clock).Sub(now.Round(0))}
		}
	}
	for id := range l.seen {
		if _, ok := t.Members[id]; !ok {
			delete(l.seen, id)
		}
	}
}

// change makes of the table what this server wants it to be.
func (l *Leases) change(t *table) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if m, there := t.Members[l.id]; there && len(l.wrote) > 0 && !slices.Contains(l.wrote, m.Beat) {
		return fmt.Errorf("another server, at %s, has the id of this one: its data directory is a copy", m.URL)
	}
	for id, s := range l.seen {
		if id != l.id && passed(s.at, now) >= l.ttl {
			l.log.Warn("a server has not been heard of for the time of its lease; its sources go to the others", "server", t.Members[id].Name, "url", t.Members[id].URL)
			t.remove(id, now.UnixMilli())
		}
	}
	delete(t.Absent, l.id)
	for id, a := range t.Absent {
		if now.UnixMilli()-a.Since > absentAge.Milliseconds() {
			delete(t.Absent, id)
		}
	}
	me := l.self
	me.Beat, me.Clock = mrand.Uint64(), now.UnixMilli()
	if l.config != nil {
		me.Config = l.config()
	}
	l.wrote = append(l.wrote, me.Beat) // whether the writing succeeds is not always known
	t.Members[l.id] = me
	t.agree(me, now)
	if t.Secret == nil {
		t.Secret = make([]byte, 32)
		_, _ = rand.Read(t.Secret) // never fails
	}
	var empty []int
	for b, want := range t.wanted() {
		holder := t.Holders[b]
		if holder != l.id { // taken from this server, should it have held it
			l.held[b], l.ready[b] = false, false
		}
		if holder == "" && want == l.id {
			t.Holders[b] = l.id
		}
		if l.draining[b] = holder == l.id && want != l.id; !l.draining[b] {
			l.drained[b] = false
		} else if l.drained[b] {
			t.Holders[b] = want // nothing can begin any more
		} else if l.under[b] == 0 {
			empty = append(empty, b)
		}
	}
	if len(empty) > 0 && !l.feeding {
		l.feeding = true
		go l.drain(empty)
	}
	return nil
}

// drain marks buckets of which nothing is under way as drained when what was is in Elasticsearch.
func (l *Leases) drain(list []int) {
	err := error(nil)
	if l.fed != nil {
		ctx, cancel := context.WithTimeout(context.Background(), l.ttl)
		defer cancel()
		err = l.fed(ctx)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.feeding = false
	for _, b := range list {
		l.drained[b] = err == nil && l.draining[b] && l.under[b] == 0
	}
}

// adopt takes a table for the truth that this server has written, with a beat that began at a time.
func (l *Leases) adopt(ctx context.Context, t *table, begun time.Time) {
	l.mu.Lock()
	l.table, l.begun, l.until = t, begun, begun.Add(l.ttl*9/10)
	l.wrote = []uint64{t.Members[l.id].Beat}
	agreed := t.Agreed
	if agreed == l.agreed {
		agreed = Agreement{}
	}
	l.agreed = t.Agreed
	var news []int
	for b, h := range t.Holders {
		mine := h == l.id
		if mine && !l.held[b] {
			l.term[b]++
			news = append(news, b)
		}
		if !mine {
			l.ready[b] = false
		}
		l.held[b] = mine
	}
	l.wake()
	l.mu.Unlock()
	if agreed != (Agreement{}) && l.agree != nil {
		l.agree(agreed)
	}
	l.joined()
	if len(news) == 0 {
		return
	}
	if l.gained != nil {
		l.gained(ctx, news)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range news {
		l.ready[b] = l.held[b]
	}
	l.wake()
}

// wake lets those look again who wait for a change. The caller holds mu.
func (l *Leases) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// valid tells whether the lease of this server still holds. The caller holds mu.
func (l *Leases) valid() bool {
	return !l.until.IsZero() && passed(l.begun, l.now()) < l.until.Sub(l.begun)
}

// errLease means that this server may not acknowledge what it has admitted.
var errLease = errors.New("the lease of this server has ended")

// begin enters a batch with events of the buckets, if this server may admit them all. done must follow.
func (l *Leases) begin(list []int) (terms []uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.valid() {
		return nil, false
	}
	for _, b := range list {
		if !l.held[b] || !l.ready[b] || l.draining[b] {
			return nil, false
		}
	}
	for _, b := range list {
		l.under[b]++
		terms = append(terms, l.term[b])
	}
	return terms, true
}

// done ends what begin has begun, and says whether it may be acknowledged.
func (l *Leases) done(list []int, terms []uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := error(nil)
	for i, b := range list {
		l.under[b]--
		if !l.held[b] || l.term[b] != terms[i] {
			err = errLease
		}
	}
	if !l.valid() {
		err = errLease
	}
	return err
}

// holder tells who admits a bucket, as far as is known, and a channel that is closed when more is.
func (l *Leases) holder(b int) (id string, m Member, secret []byte, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id = l.table.Holders[b]
	return id, l.table.Members[id], l.table.Secret, l.changed
}

// members returns the servers that live, by their ids, and the secret.
func (l *Leases) members() (map[string]Member, []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.table.Members, l.table.Secret // a table that was adopted is not changed any more
}
