package deadletter

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/tallylog/tally/server/database"
)

// FileName is the name of the database in the data directory.
const FileName = "deadletters.db"

// migrations are the steps of the schema. Times are nanoseconds since 1970 UTC; event is a record (server/record/FORMAT.md) of this one event.
var migrations = []string{`
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
`}

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
	db, err := openFile(ctx, file)
	if database.Damaged(err) {
		aside := file + ".corrupt-" + time.Now().UTC().Format("20060102-150405")
		if rerr := database.SetAside(file, aside); rerr != nil {
			return nil, errors.Join(err, rerr)
		}
		o.Log.Error("the database of dead letters is corrupt; it is set aside, and a new one begins", "file", aside, "error", err)
		db, err = openFile(ctx, file)
	}
	if err != nil {
		return nil, err
	}
	return &Store{o: o, db: db}, nil
}

func openFile(ctx context.Context, file string) (*sql.DB, error) {
	db, err := database.Open(ctx, file, migrations)
	if err != nil {
		return nil, err
	}
	if err := database.Check(ctx, db); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open database %q: %w", file, err), db.Close())
	}
	return db, nil
}

// Close closes the database.
func (s *Store) Close() error { return s.db.Close() }

// SaveTo writes a copy of the database, as of one moment, to a file that must not exist. Letters may come meanwhile.
func (s *Store) SaveTo(ctx context.Context, file string) error {
	return database.SaveTo(ctx, s.db, file)
}

// write runs f in one transaction; where it returns an error nothing was changed.
func (s *Store) write(ctx context.Context, f func(tx *sql.Tx) error) error {
	if err := database.Write(ctx, s.db, f); err != nil {
		return fmt.Errorf("cannot write dead letters: %w", err)
	}
	return nil
}
