package deadletter

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite" // the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// FileName is the name of the database in the data directory.
const FileName = "deadletters.db"

// schema of user_version 1. Times are nanoseconds since 1970 UTC; event is a record (server/record/FORMAT.md) of this one event.
const schema = `
CREATE TABLE letters (
	seq       INTEGER PRIMARY KEY AUTOINCREMENT,
	id        TEXT NOT NULL UNIQUE,
	tenant    INTEGER NOT NULL,
	client    TEXT NOT NULL,
	time      INTEGER NOT NULL,
	stage     TEXT NOT NULL,
	by        TEXT NOT NULL,
	reason    TEXT NOT NULL,
	source    TEXT NOT NULL,
	"from"    INTEGER NOT NULL,
	"to"      INTEGER NOT NULL,
	namespace TEXT NOT NULL,
	cluster   TEXT NOT NULL,
	message   TEXT NOT NULL,
	confined  INTEGER NOT NULL,
	times     INTEGER NOT NULL,
	size      INTEGER NOT NULL,
	event     BLOB NOT NULL
) STRICT;
CREATE INDEX letters_tenant ON letters (tenant, seq);
CREATE TABLE totals (
	tenant   INTEGER PRIMARY KEY,
	letters  INTEGER NOT NULL,
	bytes    INTEGER NOT NULL,
	rejected INTEGER NOT NULL,
	replayed INTEGER NOT NULL,
	dropped  INTEGER NOT NULL,
	evicted  INTEGER NOT NULL
) STRICT;
PRAGMA user_version = 1;
`

// defaultBytes bounds the letters of a tenant where Options does not.
const defaultBytes = 256 << 20

// Options of a Store.
type Options struct {
	// MaxBytes bounds the letters of each tenant, as they are encoded; 0 means 256 MiB. Beyond, the oldest go and are counted.
	MaxBytes int64
	Log      *slog.Logger
}

// Store keeps letters in DIR/deadletters.db. All methods may be called from many goroutines at once.
type Store struct {
	o  Options
	db *sql.DB
}

var _ Sink = (*Store)(nil)

// Open opens the database in dir, or makes it. One that is damaged is set aside as deadletters.db.corrupt-<time> and named in the
// log: the account still shows what it held as gaps, and a server at night is worth more than its letters.
func Open(ctx context.Context, dir string, o Options) (*Store, error) {
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultBytes
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	file := filepath.Join(dir, FileName)
	db, err := openDB(ctx, file)
	if damaged(err) {
		aside := file + ".corrupt-" + time.Now().UTC().Format("20060102-150405")
		if rerr := os.Rename(file, aside); rerr != nil {
			return nil, errors.Join(err, rerr)
		}
		for _, side := range []string{"-wal", "-shm"} {
			if rerr := os.Rename(file+side, aside+side); rerr != nil && !errors.Is(rerr, os.ErrNotExist) {
				return nil, errors.Join(err, rerr)
			}
		}
		o.Log.Error("the database of dead letters is corrupt; it is set aside, and a new one begins", "file", aside, "error", err)
		db, err = openDB(ctx, file)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open database %q: %w", file, err)
	}
	return &Store{o: o, db: db}, nil
}

func openDB(ctx context.Context, file string) (*sql.DB, error) {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600) // private before SQLite sees it
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{
		"_pragma": {"busy_timeout(2000)", "journal_mode(WAL)", "locking_mode(EXCLUSIVE)", "synchronous(FULL)"},
		"_txlock": {"immediate"},
	}.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	var version int
	err = db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	if err == nil && version == 0 {
		_, err = db.ExecContext(ctx, "BEGIN IMMEDIATE;"+schema+"COMMIT;")
	}
	if err == nil {
		err = check(ctx, db)
	}
	if err == nil && version > 1 {
		err = fmt.Errorf("the schema has version %d, this program knows 1: it was written by a newer one", version)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

var errDamaged = errors.New("the database is damaged")

func check(ctx context.Context, db *sql.DB) error {
	var result string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&result); err != nil {
		return err
	}
	if result != "ok" {
		return fmt.Errorf("%w: %s", errDamaged, result)
	}
	return nil
}

func damaged(err error) bool {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()&0xff == sqlite3.SQLITE_CORRUPT || e.Code()&0xff == sqlite3.SQLITE_NOTADB
	}
	return errors.Is(err, errDamaged)
}

// Close closes the database.
func (s *Store) Close() error { return s.db.Close() }

// SaveTo writes a copy of the database, as of one moment, to a file that must not exist. Letters may come meanwhile.
func (s *Store) SaveTo(ctx context.Context, file string) error {
	if _, err := s.db.ExecContext(ctx, "VACUUM INTO ?", file); err != nil {
		return fmt.Errorf("cannot copy the dead letters to %q: %w", file, err)
	}
	return nil
}

// write runs f in one transaction; where it returns an error nothing was changed.
func (s *Store) write(ctx context.Context, f func(tx *sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("cannot write dead letters: %w", err)
	}
	defer tx.Rollback() // does nothing after the commit
	if err := f(tx); err != nil {
		return fmt.Errorf("cannot write dead letters: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("cannot write dead letters: %w", err)
	}
	return nil
}
