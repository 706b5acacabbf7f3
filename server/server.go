package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tallylog/tally/plugins/host"
	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/api"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/backup"
	"github.com/tallylog/tally/server/buffer"
	"github.com/tallylog/tally/server/clean"
	"github.com/tallylog/tally/server/cluster"
	"github.com/tallylog/tally/server/config"
	"github.com/tallylog/tally/server/deadletter"
	"github.com/tallylog/tally/server/intake"
	"github.com/tallylog/tally/server/intake/bulk"
	"github.com/tallylog/tally/server/intake/limit"
	"github.com/tallylog/tally/server/intake/loki"
	"github.com/tallylog/tally/server/intake/lumberjack"
	"github.com/tallylog/tally/server/intake/otlp"
	"github.com/tallylog/tally/server/intake/push"
	"github.com/tallylog/tally/server/intake/routed"
	"github.com/tallylog/tally/server/record"
	"github.com/tallylog/tally/server/retention"
	"github.com/tallylog/tally/server/siblings"
	"github.com/tallylog/tally/server/storage"
	"github.com/tallylog/tally/server/storage/embedded"
	"github.com/tallylog/tally/server/tail"
	"github.com/tallylog/tally/server/web"
	"github.com/tallylog/tally/server/webhook"
	"github.com/tallylog/tally/strictyaml"
)

// accounts tell what has arrived: here, or, with several servers, anywhere.
type accounts interface {
	api.Accounts
	cluster.Accounts
}

// Options for Run.
type Options struct {
	Config config.Config
	// ConfigFile is where Config came from, for backups; empty without one.
	ConfigFile string
	// Dir holds everything that the server keeps.
	Dir string
	// AdminPassword for the user admin at the first start; empty for a random one.
	AdminPassword string
	Log           *slog.Logger
	Version       string
	// Reload makes the server read its pipelines and TLS files again at once; nil for never. It also looks for itself whether they have changed.
	Reload <-chan os.Signal
	// ReadPipelines reads the pipelines of the configuration again, when they are to be reloaded; nil without a file.
	ReadPipelines func() (strictyaml.Node, error)
	// ReadPlugins reads the key plugins again when the pipelines are; nil for those of Config.
	ReadPlugins func() (strictyaml.Node, error)
	// Started is called once, when the server is ready, with the addresses it listens on ("" for a listener that is off) and,
	// at the first start with a random password, that password.
	Started func(http, lumberjack, password string)
}

// Server is a running server.
type Server struct {
	o        Options
	auth     *auth.Store
	wal      *buffer.WAL
	letters  *deadletter.Store
	admit    *admit.Admission
	hub      *tail.Hub
	budget   *intake.Budget
	limits   *limit.Limiter
	lj       *lumberjack.Server
	http     *http.Server
	httpTLS  *certificate // nil for plain TCP
	ljTLS    *certificate
	api      *api.API
	clean    *clean.Cleaner
	plugins  *host.Set
	clusters *cluster.Register
	group    *siblings.Group    // nil where this server is the only one
	leaving  context.CancelFunc // of group
	removed  shelf              // the history of removals of all servers
	grouped  sync.WaitGroup
	accounts accounts // of all servers
	reserve  int64
	pace     pace
	started  time.Time
	stopping chan struct{}
	ready    atomic.Bool
	feeding  context.CancelFunc
	fed      chan struct{}
	keeper   *retention.Keeper // nil where the store removes by itself
	keeping  sync.WaitGroup
	backing  sync.Mutex // held while a backup is taken
	// handler serves once the rooms behind it stand; until then only health is answered.
	handler atomic.Pointer[http.Handler]
	local   http.Handler // the same, of this server alone; set before ready
}

// Run serves until ctx is done, then stops gracefully: what is under way is finished and acknowledged, within 20 s. It returns
// nil after a graceful stop, and an error for what kept it from starting.
func Run(ctx context.Context, o Options) error {
	s := &Server{o: o, hub: &tail.Hub{}, budget: intake.NewBudget(int64(o.Config.Buffer.Memory)), stopping: make(chan struct{}), started: time.Now()}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return fmt.Errorf("cannot make data directory: %w", err)
	}
	if backup.Unfinished(o.Dir) {
		return fmt.Errorf("a restore or a copy into %q did not finish: run tally storage restore again, into an empty directory, or go on with tally storage copy", o.Dir)
	}
	if o.Config.HTTP.InClear() {
		o.Log.Warn("HTTP is open beyond this machine without TLS: passwords and tokens can be read on the way; set http.tls, or put a proxy with TLS before it", "address", o.Config.HTTP.Address)
	}
	s.plugins = host.New(host.Options{Log: o.Log, Host: "tally " + o.Version})
	defer s.plugins.Close()
	var err error
	if s.clean, err = clean.New(o.Config.Pipelines, o.ReadPipelines, s.beginPlugins); err != nil {
		return err
	}
	// The ports first: a second server on them should fail at once, and health checks should be answered during a long start.
	httpL, err := s.listenHTTP()
	if err != nil {
		return err
	}
	ljL, err := s.listenLumberjack()
	if err != nil {
		return errors.Join(err, httpL.Close())
	}
	failed := make(chan error, 2)
	go func() { failed <- s.serveHTTP(httpL) }()
	password, err := s.open(ctx)
	if err != nil {
		if ljL != nil {
			err = errors.Join(err, ljL.Close())
		}
		return errors.Join(err, s.http.Close())
	}
	ljAddr := ""
	if ljL != nil {
		ljAddr = ljL.Addr().String()
		go func() { failed <- s.lj.Serve(ljL) }()
	}
	s.ready.Store(true)
	o.Started(httpL.Addr().String(), ljAddr, password)
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
	}
	return errors.Join(err, s.close())
}

// open opens the rooms from the inside out.
func (s *Server) open(ctx context.Context) (password string, err error) {
	c, dir := s.o.Config, s.o.Dir
	if s.auth, err = auth.Open(ctx, dir, auth.Options{Log: s.o.Log}); err != nil {
		return "", err
	}
	if password, err = s.shareAccess(ctx); err != nil {
		return "", errors.Join(err, s.auth.Close())
	}
	if err := clearSnapshots(dir); err != nil {
		return "", errors.Join(err, s.auth.Close())
	}
	if s.letters, err = deadletter.Open(ctx, dir, deadletter.Options{MaxBytes: int64(c.Storage.DeadLetters), Log: s.o.Log}); err != nil {
		return "", errors.Join(err, s.auth.Close())
	}
	if err := s.openLog(ctx); err != nil {
		return "", errors.Join(err, s.letters.Close(), s.auth.Close())
	}
	if err := s.joinGroup(); err != nil {
		return "", errors.Join(err, s.admit.Close(), s.wal.Close(), s.letters.Close(), s.auth.Close())
	}
	if err := s.openClusters(ctx); err != nil {
		return "", errors.Join(err, s.abandonGroup(), s.admit.Close(), s.wal.Close(), s.letters.Close(), s.auth.Close())
	}
	var feed context.Context
	feed, s.feeding = context.WithCancel(context.Background())
	s.fed = make(chan struct{})
	go func() { defer close(s.fed); s.admit.Run(feed) }()
	s.keepStorage(feed)
	s.makeLimits()
	go s.pace.run(feed, s.admit.Stats.Events.Load)
	go s.saveLimits(feed)
	go s.reloadCertificates(feed)
	s.makeLumberjack()
	s.routes()
	return password, nil
}

// openLog opens the buffer, the account and the store.
func (s *Server) openLog(ctx context.Context) error {
	c, dir := s.o.Config, s.o.Dir
	cp, err := admit.ReadCheckpoint(dir)
	if err != nil {
		return fmt.Errorf("%w; tally fsck --repair --data %s rebuilds the account from the store and the buffer", err, dir)
	}
	if s.wal, err = buffer.Open(filepath.Join(dir, "wal"), buffer.Options{MaxBytes: int64(c.Buffer.MaxBytes), After: cp.Seq, Log: s.o.Log}); err != nil {
		return err
	}
	total, err := diskSize(dir)
	if err != nil {
		return errors.Join(err, s.wal.Close())
	}
	if s.reserve = int64(c.Storage.MinFree); s.reserve == 0 {
		s.reserve = min(256<<20, total/10)
	}
	s.admit, err = admit.Open(ctx, cp, admit.Options{
		Dir: dir, Buffer: &guarded{WAL: s.wal, dir: dir, reserve: s.reserve / 2}, Hub: s.hub, Letters: s.letters, Log: s.o.Log,
		Retention: time.Duration(c.Retention.Age), LedgerRetention: c.Retention.LedgerAge(), Checkpoint: time.Duration(c.Buffer.Checkpoint),
		OpenStore: func(after uint64) (storage.Store, error) {
			if c.Storage.Type == "elasticsearch" {
				return s.openElasticsearch()
			}
			if err := embedded.LimitMemory(storeMemory); err != nil {
				return nil, fmt.Errorf("cannot bound the store's memory: %w", err)
			}
			o := embedded.Options{After: after, Retention: time.Duration(c.Retention.Age), MaxBytes: int64(c.Retention.Size), MinFreeBytes: s.reserve, Log: s.o.Log}
			o.Rules, o.TenantName = c.Retention.Classes(), s.tenantName
			if o.MaxBytes == 0 {
				o.MaxBytes = total / 4 * 3
			}
			return embedded.Open(filepath.Join(dir, "store"), o)
		},
	})
	if err != nil {
		return errors.Join(err, s.wal.Close())
	}
	return nil
}

// storeMemory is what the store's caches are sized for; the whole server stays under 500 MB with it.
const storeMemory = 192 << 20

// tenantName is the name of a tenant; its number where nobody has that.
func (s *Server) tenantName(number uint32) string {
	for _, t := range s.auth.Tenants() {
		if t.Number == number {
			return t.Name
		}
	}
	return strconv.FormatUint(uint64(number), 10)
}

// routes makes the handlers known.
func (s *Server) routes() {
	mux := http.NewServeMux()
	c := s.o.Config.HTTP
	s.auth.Routes(mux)
	limits := intake.DefaultLimits
	limits.Body, limits.Inflated = int64(c.MaxBody), int64(c.MaxInflated)
	gate := &intake.Gate{Admit: s.limits, Ready: s.limits.Ready, Budget: s.budget, Limits: limits, Wait: 30 * time.Second, Clean: s.clean.Clean, Log: s.o.Log}
	mux.Handle("POST /api/v1/push", s.auth.Require(auth.Push, (*push.Handler)(gate)))
	(*loki.Handler)(gate).Routes(mux, s.auth.Require)
	(*otlp.Handler)(gate).Routes(mux, s.auth.Require)
	elastic := (*bulk.Handler)(gate)
	elastic.Routes(mux, s.auth.Require)
	s.api = &api.API{
		Store: s.admit.Store(), Hub: s.hub, Accounts: s.accounts, Auth: s.auth, Timeout: time.Duration(c.QueryTimeout), Log: s.o.Log, Stopping: s.stopping, Rejected: s.rejected,
	}
	if s.group != nil {
		s.api.Elsewhere = s.tailElsewhere
	}
	s.api.Routes(mux)
	mux.Handle("GET /api/v1/limits", s.auth.Require(auth.Enter, s.limits))
	mux.Handle("GET /api/v1/plugins", s.auth.Require(auth.Operate, http.HandlerFunc(s.listPlugins)))
	s.clean.Routes(mux, func(h http.Handler) http.Handler { return s.auth.Require(auth.Operate, h) })
	s.deadLetters().Routes(mux)
	s.storageRoutes(mux)
	s.clusters.Routes(mux)
	if s.group != nil {
		mux.Handle(siblings.Path, s.group)
	}
	mux.Handle("GET /api/v1/nodes", s.auth.Require(auth.Operate, http.HandlerFunc(s.nodes)))
	mux.Handle("GET /metrics", s.auth.Require(auth.Operate, s.metrics()))
	mux.Handle("POST /webhook/applog", webhook.New())
	mux.Handle("/api/", notFound(mux))
	mux.Handle("/", elastic.Root(s.auth.Require, web.Handler()))
	s.health(mux)
	s.local = mux
	all := s.unionRoutes(mux)
	s.handler.Store(&all)
}

// routed is admission behind what takes events to other tenants.
func (s *Server) routed() *routed.Router {
	r := &routed.Router{Admitter: s.admit, Tenant: s.auth.TenantNumber}
	if s.group != nil {
		r.Admitter = s.group
	}
	return r
}

// deadLetters are the handlers of what was rejected.
func (s *Server) deadLetters() *deadletter.Handler {
	return &deadletter.Handler{Store: s.letters, Auth: s.auth, Log: s.o.Log, Way: deadletter.Way{
		Clean: s.clean.Clean, Fed: s.admit.Fed,
		Admit: func(ctx context.Context, b *record.Batch) (int, int, error) {
			res, err := s.routed().Admit(ctx, b) // not through the limits: it was counted when it came
			return res.Accepted, res.Duplicates, err
		},
	}}
}

// reloadPipelines puts the pipelines of the configuration file in force, where there is one.
func (s *Server) reloadPipelines() {
	if s.o.ReadPipelines == nil {
		return
	}
	if err := s.clean.Reload(); err != nil {
		s.o.Log.Error("the new pipelines are refused; those in force stay", "error", err)
		return
	}
	s.o.Log.Info("pipelines loaded", "pipelines", len(s.clean.Pipelines().List))
}

// close ends the rooms from the outside in.
func (s *Server) close() error {
	s.ready.Store(false)
	close(s.stopping)
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	if s.lj != nil {
		s.lj.Shutdown(ctx)
	}
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close()
	}
	s.drain(ctx)
	s.leaveGroup(ctx)
	s.feeding()
	<-s.fed
	s.keeping.Wait()
	return errors.Join(s.limits.Save(), s.admit.Close(), s.wal.Close(), s.letters.Close(), s.clusters.Close(), s.auth.Close())
}

// drain gives the store what was acknowledged, within the time of ctx and while the store takes rows. The rest follows at the next start; but a
// data directory can be copied only when the store has all.
func (s *Server) drain(ctx context.Context) {
	if s.group != nil {
		return // leaveGroup does more
	}
	ctx, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel()
	watch.Go(func() {
		for ctx.Err() == nil {
			if u, err := s.admit.Store().Usage(ctx); err != nil || u.ReadOnly {
				cancel()
			}
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	})
	if err := s.admit.Fed(ctx); err != nil {
		records, _ := s.admit.Lag()
		s.o.Log.Warn("not all that was acknowledged is in the store; the rest follows at the next start", "records", records)
	}
}

// guarded is the buffer with a reserve: it must not fill the disk to the last byte, which the store could not survive.
type guarded struct {
	*buffer.WAL
	dir     string
	reserve int64
}

// Write refuses with buffer.ErrNoSpace when the record would eat into the reserve.
func (g *guarded) Write(payload ...[]byte) (buffer.Location, func() error, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(g.dir, &st); err == nil {
		n := int64(0)
		for _, p := range payload {
			n += int64(len(p))
		}
		if free := int64(st.Bavail) * st.Bsize; free-n < g.reserve {
			return buffer.Location{}, nil, fmt.Errorf("%w: %d bytes are free, %d are kept in reserve", buffer.ErrNoSpace, free, g.reserve)
		}
	}
	return g.WAL.Write(payload...)
}

func diskSize(dir string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("cannot ask for the size of the disk of %q: %w", dir, err)
	}
	return int64(st.Blocks) * st.Bsize, nil
}
