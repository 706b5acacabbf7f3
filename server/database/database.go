package database

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

// Open opens the file at path, makes it when it is missing, and brings its schema up to date: migrations[i] takes it from
// user_version i to i+1. A step that was released is never changed; a new one is added.
//
// There is one connection, and it holds SQLite's lock for as long as it lives (locking_mode EXCLUSIVE). synchronous is FULL, because in WAL mode
// NORMAL may lose the last commits at a power cut, and a revocation that was answered must not come undone. Errors wrap those of the driver.
func Open(ctx context.Context, path string, migrations []string) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("cannot find database %q: %w", path, err)
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
	if err := migrate(ctx, db, migrations); err != nil {
		if code(err) == sqlite3.SQLITE_BUSY {
			err = fmt.Errorf("another process uses it: %w", err)
		}
		return nil, errors.Join(fmt.Errorf("cannot open database %q: %w", path, err), db.Close())
	}
	return db, nil
}

// private makes path readable by its owner alone before SQLite sees it; SQLite gives the same mode to the files it puts
// beside the database.
func private(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("cannot make the directory of %q: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open database %q: %w", path, err)
	}
	if err := errors.Join(f.Chmod(0o600), f.Close()); err != nil {
		return fmt.Errorf("cannot make %q private: %w", path, err)
	}
	for _, side := range sides {
		if err := os.Chmod(path+side, 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot make %q private: %w", path+side, err)
		}
	}
	return nil
}

// sides end the names of the files that SQLite puts beside a database.
var sides = []string{"-wal", "-shm"}

func migrate(ctx context.Context, db *sql.DB, migrations []string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("cannot begin the migration: %w", err)
	}
	defer tx.Rollback() // does nothing after the commit
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return fmt.Errorf("cannot read the schema's version: %w", err)
	}
	if version == len(migrations) {
		return nil
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

// Write runs f in one transaction; where it returns an error nothing was changed.
func Write(ctx context.Context, db *sql.DB, f func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after the commit
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// SaveTo writes a copy, as of one moment, to a file that must not exist. Others may write to db meanwhile.
func SaveTo(ctx context.Context, db *sql.DB, file string) error {
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", file); err != nil {
		return fmt.Errorf("cannot copy a database to %q: %w", file, err)
	}
	return nil
}

// ErrDamaged is returned, wrapped, by Check.
var ErrDamaged = errors.New("the database is damaged")

// Check reads the whole file and looks for damage.
func Check(ctx context.Context, db *sql.DB) error {
	var result string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&result); err != nil {
		return err
	}
	if result != "ok" {
		return fmt.Errorf("%w: %s", ErrDamaged, result)
	}
	return nil
}

// Damaged tells whether an error of Open, Check or the handle says that the file is.
func Damaged(err error) bool {
	c := code(err)
	return c == sqlite3.SQLITE_CORRUPT || c == sqlite3.SQLITE_NOTADB || errors.Is(err, ErrDamaged)
}

// code is SQLite's primary result code in an error; 0 where it is of another kind.
func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// SetAside renames a database that is not open, and the files beside it.
func SetAside(path, aside string) error {
	if err := os.Rename(path, aside); err != nil {
		return err
	}
	for _, side := range sides {
		if err := os.Rename(path+side, aside+side); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
