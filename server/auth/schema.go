package auth

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite" // the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// FileName is the name of the database in the data directory.
const FileName = "auth.db"

// migrations[i] brings a file from user_version i to i+1. A step that was released is never changed; a new one is added.
// Times are milliseconds since 1970 UTC, 0 for never; namespaces and clusters are JSON arrays; hashes are SHA-256, but for
// users.password, which is a PHC string.
var migrations = []string{`
CREATE TABLE tenants (
	number  INTEGER PRIMARY KEY,
	name    TEXT NOT NULL UNIQUE,
	created INTEGER NOT NULL
) STRICT;
INSERT INTO tenants (number, name, created) VALUES (0, 'default', 0);
CREATE TABLE users (
	name       TEXT PRIMARY KEY,
	tenant     INTEGER NOT NULL REFERENCES tenants (number),
	role       TEXT NOT NULL,
	namespaces TEXT NOT NULL,
	password   TEXT NOT NULL,
	disabled   INTEGER NOT NULL,
	created    INTEGER NOT NULL
) STRICT;
CREATE TABLE tokens (
	id         TEXT PRIMARY KEY,
	name       TEXT NOT NULL,
	tenant     INTEGER NOT NULL REFERENCES tenants (number),
	role       TEXT NOT NULL,
	namespaces TEXT NOT NULL,
	hash       BLOB NOT NULL UNIQUE,
	created    INTEGER NOT NULL,
	created_by TEXT NOT NULL,
	expires    INTEGER NOT NULL,
	last_used  INTEGER NOT NULL
) STRICT;
CREATE TABLE sessions (
	hash      BLOB PRIMARY KEY,
	user      TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
	created   INTEGER NOT NULL,
	last_used INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_user ON sessions (user);
CREATE TABLE audit (
	id        INTEGER PRIMARY KEY,
	time      INTEGER NOT NULL,
	tenant    INTEGER NOT NULL,
	principal TEXT NOT NULL,
	remote    TEXT NOT NULL,
	action    TEXT NOT NULL,
	detail    TEXT NOT NULL
) STRICT;
CREATE INDEX audit_time ON audit (time);
CREATE INDEX audit_tenant ON audit (tenant, id);
`, `
ALTER TABLE users ADD COLUMN clusters TEXT NOT NULL DEFAULT '[]';
ALTER TABLE tokens ADD COLUMN clusters TEXT NOT NULL DEFAULT '[]';
`, `
CREATE TABLE searches (
	owner   TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
	name    TEXT NOT NULL,
	tenant  INTEGER NOT NULL REFERENCES tenants (number),
	shared  INTEGER NOT NULL,
	body    TEXT NOT NULL,
	changed INTEGER NOT NULL,
	PRIMARY KEY (owner, name)
) STRICT;
CREATE INDEX searches_tenant ON searches (tenant, shared);
`}

// openDB opens DIR/auth.db, makes it when it is missing, and brings its schema up to date.
//
// There is one connection, and it holds SQLite's lock for as long as it lives (locking_mode EXCLUSIVE): what is in memory
// stays true only while nobody else writes the file. synchronous is FULL, because in WAL mode NORMAL may lose the last
// commits at a power cut, and a revocation that was answered must not come undone.
func openDB(ctx context.Context, dir string) (*sql.DB, error) {
	path, err := filepath.Abs(filepath.Join(dir, FileName))
	if err != nil {
		return nil, fmt.Errorf("cannot find directory %q: %w", dir, err)
	}
	if err := private(path); err != nil {
		return nil, err
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{
		"_pragma": {"busy_timeout(2000)", "foreign_keys(1)", "journal_mode(WAL)", "locking_mode(EXCLUSIVE)", "synchronous(FULL)"},
		"_txlock": {"immediate"},
	}.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, fmt.Errorf("cannot open database %q: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	if err := migrate(ctx, db); err != nil {
		var e *sqlite.Error
		if errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY {
			err = fmt.Errorf("another process uses it: %w", err)
		}
		return nil, errors.Join(fmt.Errorf("cannot open database %q: %w", path, err), db.Close())
	}
	return db, nil
}

// SaveTo writes a copy of the database, as of one moment, to a file that must not exist.
func (s *Store) SaveTo(ctx context.Context, file string) error {
	if _, err := s.db.ExecContext(ctx, "VACUUM INTO ?", file); err != nil {
		return fmt.Errorf("cannot copy %q to %q: %w", FileName, file, err)
	}
	return nil
}

// private makes path readable by its owner alone before SQLite sees it; SQLite gives the same mode to the files it puts
// beside the database.
func private(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("cannot make the directory of %q: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open %q: %w", path, err)
	}
	if err := errors.Join(f.Chmod(0o600), f.Close()); err != nil {
		return fmt.Errorf("cannot make %q private: %w", path, err)
	}
	for _, side := range []string{"-wal", "-shm"} {
		if err := os.Chmod(path+side, 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot make %q private: %w", path+side, err)
		}
	}
	return nil
}

func migrate(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("cannot begin the migration: %w", err)
	}
	defer tx.Rollback() // does nothing after the commit
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return fmt.Errorf("cannot read the schema's version: %w", err)
	}
	if version > len(migrations) {
		return fmt.Errorf("the schema has version %d, this program knows at most %d: it was written by a newer one", version, len(migrations))
	}
	for ; version < len(migrations); version++ {
		if _, err := tx.ExecContext(ctx, migrations[version]); err != nil {
			return fmt.Errorf("cannot migrate the schema from version %d: %w", version, err)
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
		return fmt.Errorf("cannot set the schema's version: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("cannot commit the migration: %w", err)
	}
	return nil
}
