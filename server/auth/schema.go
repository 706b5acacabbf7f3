package auth

import (
	"context"

	"github.com/tallylog/tally/server/database"
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

// SaveTo writes a copy of the database, as of one moment, to a file that must not exist.
func (s *Store) SaveTo(ctx context.Context, file string) error {
	return database.SaveTo(ctx, s.db, file)
}
