package siblings

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"time"

	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/intake"
	"github.com/tallylog/tally/server/record"
)

// Admission is what admits here; *admit.Admission is one.
type Admission interface {
	intake.Admitter
	// PutRejected makes dead letters of b.Rejected and empties it.
	PutRejected(ctx context.Context, b *record.Batch) error
}

var _ Admission = (*admit.Admission)(nil)

// Options of a Group.
type Options struct {
	// Documents hold the table.
	Documents Documents
	// ID names this server for ever, Self is how it is now; its Beat, Clock and Config are not used.
	ID   string
	Self Member
	// Config returns sums of what all servers should have alike, by name; nil for nothing.
	Config func() map[string]string
	// Lease is how long a server may be silent before the others take over.
	Lease time.Duration
	// Admission admits what this server holds.
	Admission Admission
	// Gained is called with the buckets that this server has come to hold before it admits anything of them; nil for nothing.
	Gained func(ctx context.Context, buckets []int)
	// Agreed is called with the retention in force, when it is known and when it changes; nil for nothing.
	Agreed func(Agreement)
	// Memory bounds what other servers send at once.
	Memory int64
	// TLS is used for servers with https addresses; nil means that of the system.
	TLS *tls.Config
	Now Clock // nil for time.Now
	Log *slog.Logger
}

// Group is this server among its siblings. Its methods may be called from many goroutines at once.
type Group struct {
	leases    *Leases
	admission Admission
	budget    *intake.Budget
	calls     map[string]func(ctx context.Context, body []byte) ([]byte, error)
	client    *http.Client
	once      *once
	log       *slog.Logger
}

var (
	_ intake.Admitter = (*Group)(nil)
	_ http.Handler    = (*Group)(nil)
)

// New makes a group of one, which has no lease until Run.
func New(o Options) *Group {
	if o.Now == nil {
		o.Now = time.Now
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 32
	transport.Proxy = nil
	if o.TLS != nil {
		transport.TLSClientConfig = o.TLS
	}
	g := &Group{
		leases: newLeases(o), admission: o.Admission, budget: intake.NewBudget(o.Memory), log: o.Log,
		calls: map[string]func(context.Context, []byte) ([]byte, error){}, client: &http.Client{Transport: transport, Timeout: 5 * time.Minute},
	}
	g.once = newOnce()
	g.Handle(callAdmit, g.admitForOther)
	return g
}

// Run keeps the lease of this server until ctx is done.
func (g *Group) Run(ctx context.Context) { g.leases.run(ctx) }

// Joined is closed when this server has written itself into the table, and Agreed was called.
func (g *Group) Joined() <-chan struct{} { return g.leases.first }

// Leads tells whether this server is the one that does what only one is to do. Two may think so for a moment, one of which is late.
func (g *Group) Leads() bool {
	l := g.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.valid() && l.held[0] && l.ready[0]
}

// Clocks tells how far the clocks of the other servers are ahead of this one's, by their names, where that is more than the time between
// two beats, or a minute, explains.
func (g *Group) Clocks() map[string]time.Duration {
	l := g.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string]time.Duration{}
	for id, s := range l.seen {
		if m, there := l.table.Members[id]; there && id != l.id && s.ahead.Abs() > time.Minute+l.ttl {
			out[m.Name] = s.ahead.Round(time.Second)
		}
	}
	return out
}

// Agreement is the retention in force, of an empty text while it is not known.
func (g *Group) Agreement() Agreement {
	g.leases.mu.Lock()
	defer g.leases.mu.Unlock()
	return g.leases.agreed
}

// Leave tells the others at once that this server is going. Nothing may be admitted any more. Where rest is true, some of what was is in the
// buffer of this server alone, and the others list it as absent.
func (g *Group) Leave(ctx context.Context, rest bool) error {
	g.client.CloseIdleConnections()
	return g.leases.leave(ctx, rest)
}

// Absent are the servers that were lost and did not come back, by their ids, as of the last beat.
func (g *Group) Absent() map[string]Absent { return g.leases.absent() }

// Members are the servers that live, by their ids, as of the last beat.
func (g *Group) Members() map[string]Member { m, _ := g.leases.members(); return m }

// ID is that of this server.
func (g *Group) ID() string { return g.leases.id }

// Held tells how many buckets this server admits now, and whether its lease is valid.
func (g *Group) Held() (n int, valid bool) {
	l := g.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	for b := range l.held {
		if l.held[b] && l.ready[b] {
			n++
		}
	}
	return n, l.valid()
}
