package cluster

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/database"
)

// FileName is the name of the database in the data directory.
const FileName = "clusters.db"

// migrations are the steps of the schema. Times are milliseconds since 1970 UTC. hash is the SHA-256 of a code, sealed the token's secret
// encrypted under the code (seal.go).
var migrations = []string{`
CREATE TABLE clusters (
	id         TEXT PRIMARY KEY,
	tenant     INTEGER NOT NULL,
	name       TEXT NOT NULL,
	token      TEXT NOT NULL,
	created    INTEGER NOT NULL,
	created_by TEXT NOT NULL,
	UNIQUE (tenant, name)
) STRICT;
CREATE TABLE codes (
	id      TEXT PRIMARY KEY,
	cluster TEXT NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
	hash    BLOB NOT NULL UNIQUE,
	sealed  BLOB NOT NULL,
	server  TEXT NOT NULL,
	created INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	used    INTEGER NOT NULL
) STRICT;
CREATE INDEX codes_cluster ON codes (cluster);
`}

// Registered is a cluster in the register.
type Registered struct {
	ID        string
	Tenant    uint32
	Name      string // the value of orchestrator.cluster.name in its events
	Token     string // id of the token that its agents push with
	Created   time.Time
	CreatedBy string
}

// Code is what is told of an install code; the code itself is told once.
type Code struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	Used    int64     `json:"used"` // how often its manifest was fetched
}

type store struct {
	db     *sql.DB
	shared *shared // nil where this server is the only one
}

// write runs f in one transaction; where it returns an error nothing was changed.
func (s *store) write(ctx context.Context, f func(tx *sql.Tx) error) error {
	return database.Write(ctx, s.db, f)
}

func openStore(ctx context.Context, dir string) (*store, error) {
	db, err := database.Open(ctx, filepath.Join(dir, FileName), migrations)
	if err != nil {
		return nil, err
	}
	return &store{db: db}, nil
}

const (
	columns     = "id, tenant, name, token, created, created_by"
	codeColumns = "id, cluster, hash, sealed, server, created, expires, used"
)

type scanner interface{ Scan(...any) error }

func scan(row scanner) (c Registered, err error) {
	var created int64
	err = row.Scan(&c.ID, &c.Tenant, &c.Name, &c.Token, &created, &c.CreatedBy)
	c.Created = time.UnixMilli(created).UTC()
	return c, err
}

// list returns the clusters of a tenant by name.
func (s *store) list(ctx context.Context, tenant uint32) (all []Registered, err error) {
	s.look(ctx)
	rows, err := s.db.QueryContext(ctx, "SELECT "+columns+" FROM clusters WHERE tenant = ? ORDER BY name", tenant)
	if err != nil {
		return nil, fmt.Errorf("cannot read the clusters: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		c, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("cannot read the clusters: %w", err)
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

// get returns a cluster of a tenant, and whether there is one.
func (s *store) get(ctx context.Context, tenant uint32, id string) (Registered, bool, error) {
	s.look(ctx)
	c, err := scan(s.db.QueryRowContext(ctx, "SELECT "+columns+" FROM clusters WHERE tenant = ? AND id = ?", tenant, id))
	if errors.Is(err, sql.ErrNoRows) {
		return c, false, nil
	}
	return c, err == nil, err
}

// named tells whether a tenant has a cluster of a name.
func (s *store) named(ctx context.Context, tenant uint32, name string) (bool, error) {
	s.look(ctx)
	var n int
	err := s.db.QueryRowContext(ctx, "SELECT count(*) FROM clusters WHERE tenant = ? AND name = ?", tenant, name).Scan(&n)
	return n > 0, err
}

func taken(name string) error {
	return answer.Errorf(http.StatusConflict, "conflict", "name: there is a cluster %q already", name)
}

func (s *store) add(ctx context.Context, c Registered) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM clusters WHERE tenant = ? AND name = ?", c.Tenant, c.Name).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			return taken(c.Name)
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO clusters ("+columns+") VALUES (?, ?, ?, ?, ?, ?)", c.ID, c.Tenant, c.Name, c.Token, c.Created.UnixMilli(), c.CreatedBy)
		return err
	})
}

func (s *store) remove(ctx context.Context, id string) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM clusters WHERE id = ?", id) // its codes go by the foreign key
		return err
	})
}

// addCode puts a code in the place of all codes that its cluster has.
func (s *store) addCode(ctx context.Context, cluster string, c Code, k key, sealed []byte, server string) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM codes WHERE cluster = ?", cluster); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO codes ("+codeColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
			c.ID, cluster, k.hash(), sealed, server, c.Created.UnixMilli(), c.Expires.UnixMilli())
		return err
	})
}

// codes returns the codes of a cluster that are still good.
func (s *store) codes(ctx context.Context, cluster string, now time.Time) ([]Code, error) {
	list := []Code{}
	rows, err := s.db.QueryContext(ctx, "SELECT id, created, expires, used FROM codes WHERE cluster = ? AND expires > ?", cluster, now.UnixMilli())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c Code
		var created, expires int64
		if err := rows.Scan(&c.ID, &created, &expires, &c.Used); err != nil {
			return nil, err
		}
		c.Created, c.Expires = time.UnixMilli(created).UTC(), time.UnixMilli(expires).UTC()
		list = append(list, c)
	}
	return list, rows.Err()
}

func (s *store) removeCode(ctx context.Context, cluster, id string) (there bool, err error) {
	err = s.change(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, "DELETE FROM codes WHERE cluster = ? AND id = ?", cluster, id)
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		there = n > 0
		return err
	})
	return there, err
}

// open returns the cluster of a code that is good, its sealed secret, and the address that the agents are to push to. It counts
// the use, and removes what has expired.
func (s *store) open(ctx context.Context, k key, now time.Time) (c Registered, sealed []byte, server string, ok bool, err error) {
	err = s.change(ctx, func(tx *sql.Tx) error {
		ok = false
		if _, err := tx.ExecContext(ctx, "DELETE FROM codes WHERE expires <= ?", now.UnixMilli()); err != nil {
			return err
		}
		var cluster string
		err := tx.QueryRowContext(ctx, "UPDATE codes SET used = used + 1 WHERE hash = ? RETURNING cluster, sealed, server", k.hash()).Scan(&cluster, &sealed, &server)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		ok = true
		c, err = scan(tx.QueryRowContext(ctx, "SELECT "+columns+" FROM clusters WHERE id = ?", cluster))
		return err
	})
	return c, sealed, server, ok && err == nil, err
}
