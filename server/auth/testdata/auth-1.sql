-- auth.db as it was with user_version 1, with a user and a token; ?1 is the hash of its secret.
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
INSERT INTO users VALUES ('ann', 0, 'reader', '["shop"]', '$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 0, 1750000000000);
INSERT INTO tokens VALUES ('0123456789abcdef', 'agents', 0, 'push', '["shop","pay-*"]', ?1, 1750000000000, 'user:admin', 0, 0);
PRAGMA user_version = 1;
