package auth

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/tallylog/tally/server/database"
)

// The tenant that is always there.
const (
	DefaultTenant     uint32 = 0
	DefaultTenantName        = "default"
)

// Options of a Store. Each zero value means the default.
type Options struct {
	// Log gets what goes wrong in the background. Default: slog.Default().
	Log *slog.Logger
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// SessionIdle ends a session that was not used for so long (default 12 hours), SessionMax any session (default 7 days).
	SessionIdle, SessionMax time.Duration
	// AuditAge is how long entries of the audit log are kept. Default: 90 days.
	AuditAge time.Duration

	cost cost // of a password hash; the tests take a cheap one
}

func (o *Options) setDefaults() {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.SessionIdle <= 0 {
		o.SessionIdle = 12 * time.Hour
	}
	if o.SessionMax <= 0 {
		o.SessionMax = 7 * 24 * time.Hour
	}
	if o.AuditAge <= 0 {
		o.AuditAge = 90 * 24 * time.Hour
	}
	if o.cost == (cost{}) {
		o.cost = secondChoice
	}
}

// Store is the access control of one server. All methods may be called from many goroutines at once.
type Store struct {
	opt      Options
	db       *sql.DB
	hasher   *hasher
	throttle *throttle
	proofs   *proofs
	audit    *auditLog
	shared   *shared // nil where this server is the only one

	// change is held while something is checked, committed to the file, and then made in memory. mu guards the maps; it is
	// held only to look up or to swap an entry, so a request never waits for the disk. Entries of the maps are never
	// changed in place, but for their atomic fields.
	change   sync.Mutex
	mu       sync.RWMutex
	tenants  map[string]Tenant
	numbers  map[uint32]Tenant
	users    map[string]*user
	tokens   map[hash]*token
	tokenIDs map[string]*token
	sessions map[hash]*session

	stop      chan struct{}
	done      sync.WaitGroup
	closeOnce sync.Once
	closeErr  error
}

// Open opens DIR/auth.db, or makes it. The file belongs to this Store until Close; a second Open of it fails.
func Open(ctx context.Context, dir string, opt Options) (*Store, error) {
	opt.setDefaults()
	db, err := database.Open(ctx, filepath.Join(dir, FileName), migrations)
	if err != nil {
		return nil, err
	}
	s := &Store{
		opt: opt, db: db, hasher: newHasher(opt.cost), throttle: newThrottle(opt.Now), proofs: newProofs(), stop: make(chan struct{}),
		tenants: map[string]Tenant{}, numbers: map[uint32]Tenant{}, users: map[string]*user{},
		tokens: map[hash]*token{}, tokenIDs: map[string]*token{}, sessions: map[hash]*session{},
	}
	s.audit = newAuditLog(s)
	if err := s.load(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot load %q of %q: %w", FileName, dir, err), db.Close())
	}
	s.done.Go(s.audit.run)
	s.done.Go(s.maintain)
	return s, nil
}

// Close writes what is pending and closes the file. The Store must not be used after it.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		close(s.stop)
		s.done.Wait()
		s.closeErr = errors.Join(s.flushUse(context.Background()), s.db.Close())
	})
	return s.closeErr
}

// maintain writes the times of last use and removes what is too old, once a minute.
func (s *Store) maintain() {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			if err := s.tidy(context.Background()); err != nil {
				s.opt.Log.Error("cannot tidy the access database", "error", err)
			}
		}
	}
}

func (s *Store) tidy(ctx context.Context) error {
	s.throttle.sweep()
	ended := s.endOldSessions(ctx)
	if errors.Is(ended, ErrElsewhere) { // another server has just ended them
		ended = nil
	}
	return errors.Join(s.flushUse(ctx), ended, s.forgetSessions(ctx), s.audit.prune(ctx))
}

// write runs f in one transaction. It goes on when the caller hangs up, because a change that is half reported is worse
// than a late one, but not for ever. Where it returns an error, nothing was changed.
func (s *Store) write(ctx context.Context, f func(ctx context.Context, tx *sql.Tx) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := database.Write(ctx, s.db, func(tx *sql.Tx) error { return f(ctx, tx) }); err != nil {
		return fmt.Errorf("cannot write %q: %w", FileName, err)
	}
	return nil
}

// exec is writeShared for a single statement.
func (s *Store) exec(ctx context.Context, query string, args ...any) error {
	return s.writeShared(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	})
}

// flushUse writes the times of last use that changed since they were last written, and tells the other servers.
func (s *Store) flushUse(ctx context.Context) error {
	type use struct {
		u    *lastUse
		at   Millis
		stmt string
		key  any
	}
	var list []use
	news := uses{map[string]int64{}, map[string]int64{}}
	s.mu.RLock()
	for _, t := range s.tokens {
		if at := t.used.load(); t.used.told.Swap(int64(at)) != int64(at) {
			news.Tokens[t.ID] = int64(at)
		}
		if at := t.used.load(); at != t.used.saved() {
			list = append(list, use{t.used, at, "UPDATE tokens SET last_used = ? WHERE id = ?", t.ID})
		}
	}
	for h, e := range s.sessions {
		if at := e.used.load(); e.used.told.Swap(int64(at)) != int64(at) {
			news.Sessions[hex.EncodeToString(h[:])] = int64(at)
		}
		if at := e.used.load(); at != e.used.saved() {
			list = append(list, use{e.used, at, "UPDATE sessions SET last_used = ? WHERE hash = ?", h[:]})
		}
	}
	s.mu.RUnlock()
	if err := s.tellUse(ctx, news); err != nil {
		return err
	}
	if len(list) == 0 {
		return nil
	}
	err := s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, u := range list {
			if _, err := tx.ExecContext(ctx, u.stmt, u.at, u.key); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot write the times of last use: %w", err)
	}
	for _, u := range list {
		u.u.written.Store(int64(u.at))
	}
	return nil
}
