package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tallylog/tally/server/answer"
	"github.com/tallylog/tally/server/auth"
	"github.com/tallylog/tally/server/backup"
	"github.com/tallylog/tally/server/cluster"
	"github.com/tallylog/tally/server/deadletter"
)

// snapshotPrefix begins the name of the folder of a backup that is being sent.
const snapshotPrefix = "backup-"

// snapshotter is a store whose files can be linked.
type snapshotter interface {
	Snapshot(ctx context.Context, dir string) error
}

// clearSnapshots removes what a backup left that was cut off.
func clearSnapshots(dir string) error {
	old, err := filepath.Glob(filepath.Join(dir, snapshotPrefix+"*"))
	for _, d := range old {
		err = errors.Join(err, os.RemoveAll(d))
	}
	return err
}

// postBackup sends a backup: what is stored, the account, access, dead letters and the configuration, all as of one record of the buffer.
func (s *Server) postBackup(w http.ResponseWriter, r *http.Request) {
	who, _ := auth.FromContext(r.Context())
	if !who.AllTenants() {
		answer.Fail(w, answer.Errorf(http.StatusForbidden, "forbidden", "a backup has the events and credentials of all tenants: only an admin of the tenant %q whom no scope narrows may take one", auth.DefaultTenantName))
		return
	}
	if !s.backing.TryLock() {
		answer.Fail(w, answer.Errorf(http.StatusConflict, "busy", "another backup is being taken"))
		return
	}
	defer s.backing.Unlock()
	s.auth.Audit(who, auth.RemoteIP(r), "storage.backup", "")
	dir, m, err := s.snapshot(r.Context())
	defer os.RemoveAll(dir)
	if err != nil {
		s.o.Log.Error("cannot take a backup", "error", err)
		answer.Fail(w, answer.Errorf(http.StatusInternalServerError, "backup", "no backup was taken: %v", err))
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	w.Header().Set("Content-Type", "application/x-tar")
	w.Header().Set("Content-Disposition", `attachment; filename="tally-`+m.Time.Format("20060102-150405")+`.tar"`)
	if err := backup.Write(w, dir, everything, m); err != nil {
		s.o.Log.Error("a backup was cut off", "error", err)
		panic(http.ErrAbortHandler) // the client must not take it for whole
	}
	s.o.Log.Info("backup sent", "files", len(m.Files), "seq", m.Seq)
}

func everything(string) bool { return true }

// snapshot makes a folder with all that a backup holds. The caller removes it, also after an error.
func (s *Server) snapshot(ctx context.Context) (dir string, m *backup.Manifest, err error) {
	if dir, err = os.MkdirTemp(s.o.Dir, snapshotPrefix); err != nil {
		return "", nil, err
	}
	m = &backup.Manifest{Time: time.Now().UTC(), Version: s.o.Version, Store: s.o.Config.Storage.Type}
	err = s.admit.AtCheckpoint(ctx, func(seq uint64) error {
		m.Seq = seq
		store, ok := s.admit.Store().(snapshotter)
		if m.WithStore = ok; ok {
			if err := os.Mkdir(filepath.Join(dir, "store"), 0o755); err != nil {
				return err
			}
			if err := store.Snapshot(ctx, filepath.Join(dir, "store")); err != nil {
				return err
			}
		}
		return s.copyFiles(ctx, dir)
	})
	return dir, m, err
}

// copyFiles copies what lies in the data directory itself, and the configuration.
func (s *Server) copyFiles(ctx context.Context, dir string) error {
	if err := s.auth.SaveTo(ctx, filepath.Join(dir, auth.FileName)); err != nil {
		return err
	}
	if err := s.letters.SaveTo(ctx, filepath.Join(dir, deadletter.FileName)); err != nil {
		return err
	}
	if err := s.clusters.SaveTo(ctx, filepath.Join(dir, cluster.FileName)); err != nil {
		return err
	}
	list, err := os.ReadDir(s.o.Dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.Type().IsRegular() && !strings.Contains(e.Name(), ".db") && !strings.HasSuffix(e.Name(), ".tmp") {
			if err := copyFile(filepath.Join(s.o.Dir, e.Name()), filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if s.o.ConfigFile == "" {
		return nil
	}
	return copyFile(s.o.ConfigFile, filepath.Join(dir, "tally.yml"))
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was replaced at this moment, or is gone
	}
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("cannot copy %q: %w", from, err)
	}
	return nil
}
