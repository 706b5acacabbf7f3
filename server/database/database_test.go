package database

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var steps = []string{
	"CREATE TABLE a (x INTEGER PRIMARY KEY) STRICT;",
	"INSERT INTO a VALUES (7);",
}

func open(t *testing.T, path string, migrations []string) *sql.DB {
	t.Helper()
	db, err := Open(t.Context(), path, migrations)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func count(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM a").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestMigrations: each step is done once, also by a program that came later; an older program leaves the file as it is.
func TestMigrations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "x.db")
	db := open(t, path, steps[:1])
	if n := count(t, db); n != 0 {
		t.Errorf("%d rows after the first step", n)
	}
	db.Close()
	for range 2 {
		db = open(t, path, steps)
		if n := count(t, db); n != 1 {
			t.Errorf("%d rows after both steps", n)
		}
		db.Close()
	}
	if _, err := Open(t.Context(), path, steps[:1]); err == nil || !strings.Contains(err.Error(), "version 2") || !strings.Contains(err.Error(), "newer") || !strings.Contains(err.Error(), path) {
		t.Errorf("an older program: %v", err)
	}
	if n := count(t, open(t, path, steps)); n != 1 {
		t.Errorf("%d rows afterwards", n)
	}
}

// TestFailedMigration leaves the version from before.
func TestFailedMigration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	if _, err := Open(t.Context(), path, append(steps[:2:2], "INSERT INTO a VALUES (8); INSERT INTO nowhere VALUES (1);")); err == nil {
		t.Fatal("a step that fails is no error")
	}
	db := open(t, path, steps)
	if n := count(t, db); n != 1 {
		t.Errorf("%d rows, want the one of the second step", n)
	}
}

func TestAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := open(t, path, steps)
	if _, err := Open(t.Context(), path, steps); err == nil || !strings.Contains(err.Error(), "another process uses it") {
		t.Errorf("opened twice: %v", err)
	}
	var sync int
	if err := db.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&sync); err != nil || sync != 2 {
		t.Errorf("synchronous is %d (%v), want 2: FULL", sync, err)
	}
}

// TestPrivate: nobody else may read the file, nor those beside it, whatever modes they had.
func TestPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, path, steps)
	found, err := filepath.Glob(path + "*")
	if err != nil || len(found) < 2 {
		t.Fatalf("%q, %v", found, err)
	}
	for _, f := range found {
		if st, err := os.Stat(f); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, st.Mode(), err)
		}
	}
}

func TestWrite(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), steps)
	insert := func(tx *sql.Tx) error {
		_, err := tx.Exec("INSERT INTO a DEFAULT VALUES")
		return err
	}
	why := errors.New("no")
	if err := Write(t.Context(), db, func(tx *sql.Tx) error { return errors.Join(insert(tx), why) }); !errors.Is(err, why) || count(t, db) != 1 {
		t.Errorf("%v, %d rows", err, count(t, db))
	}
	if err := Write(t.Context(), db, insert); err != nil || count(t, db) != 2 {
		t.Errorf("%v, %d rows", err, count(t, db))
	}
}

func TestSaveTo(t *testing.T) {
	dir := t.TempDir()
	db, file := open(t, filepath.Join(dir, "x.db"), steps), filepath.Join(dir, "copy.db")
	if err := SaveTo(t.Context(), db, file); err != nil {
		t.Fatal(err)
	}
	if err := SaveTo(t.Context(), db, file); err == nil {
		t.Error("a file that is there is written over")
	}
	if n := count(t, open(t, file, steps)); n != 1 {
		t.Errorf("%d rows in the copy", n)
	}
}

// TestDamaged: a file that is none of SQLite's, and one with a page overwritten, are told from other failures, and can be set aside.
func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.db")
	try := func() error {
		db, err := Open(t.Context(), path, steps)
		if err != nil {
			return err
		}
		return errors.Join(Check(t.Context(), db), db.Close())
	}
	if err := try(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	overwritten := bytes.Clone(whole)
	copy(overwritten[len(whole)-4096:], bytes.Repeat([]byte("x"), 4096))
	for _, bad := range [][]byte{bytes.Repeat([]byte("no database "), 1000), overwritten} {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := try(); !Damaged(err) {
			t.Errorf("not called damaged: %v", err)
		}
	}
	if err := SetAside(path, path+".aside"); err != nil {
		t.Fatal(err)
	}
	if err := try(); err != nil {
		t.Errorf("a new one: %v", err)
	}
	if Damaged(nil) || Damaged(os.ErrPermission) {
		t.Error("what is not damaged is called so")
	}
}
