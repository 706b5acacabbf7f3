package cmd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/backup"
	"github.com/tallylog/tally/server/buffer"
)

func storageBackup() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "backup FILE", Short: "Back up store, account, access data, dead letters and configuration, while the server runs",
		Long: `Write a backup into a file that does not exist yet. Without --data the running server is asked (an admin of the tenant default may):
it goes on taking events, and the backup holds everything up to one moment. With --data the directory of a stopped server is read.

The file is a tar archive whose last entry has a checksum of each file; it is read back and checked before it gets its name.`,
		Example: "  tally storage backup /backup/tally-$(date +%F).tar\n  tally storage backup --data /var/lib/tally /backup/tally.tar",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := os.Stat(args[0]); err == nil {
				return fail(exitUsage, "%s is there already", args[0])
			}
			write := func(w io.Writer) error { return backupServer(c, w) }
			if dir != "" {
				write = func(w io.Writer) error { return backupDir(dir, w) }
			}
			m, err := writeBackup(args[0], write)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s holds everything up to record %d: %d files\n", args[0], m.Seq, len(m.Files))
			if !m.WithStore {
				fmt.Fprintf(c.ErrOrStderr(), "the events are in %s, which has snapshots of its own: they are not in this backup\n", m.Store)
			}
			return nil
		},
	}
	c.Flags().StringVar(&dir, "data", "", "data directory of a stopped server")
	return c
}

// writeBackup writes beside the file, checks what is there, and then gives it its name.
func writeBackup(file string, write func(io.Writer) error) (m backup.Manifest, err error) {
	tmp := file + ".partial"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return m, err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			_ = os.Remove(tmp)
		}
	}()
	if err = write(f); err != nil {
		return m, err
	}
	if err = f.Sync(); err != nil {
		return m, err
	}
	if _, err = f.Seek(0, io.SeekStart); err != nil {
		return m, err
	}
	if m, err = backup.Verify(f); err != nil {
		return m, err
	}
	return m, os.Rename(tmp, file)
}

func backupServer(c *cobra.Command, w io.Writer) error {
	cl, err := newClient()
	if err != nil {
		return err
	}
	resp, err := cl.do(c.Context(), "POST", "/api/v1/storage/backup", nil, nil, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fail(exitFailed, "the backup was cut off: %v", err)
	}
	return nil
}

// backupDir backs up a directory that no server uses. What lies in the buffer alone is in there as well.
func backupDir(dir string, w io.Writer) error {
	if _, err := os.Stat(filepath.Join(dir, "wal")); err != nil {
		return fail(exitUsage, "%s is no data directory of a server: %v", dir, err)
	}
	release, err := buffer.Hold(filepath.Join(dir, "wal"))
	if errors.Is(err, buffer.ErrLocked) {
		return fail(exitFailed, "a server is running on %s; leave out --data to ask it, or stop it first", dir)
	}
	if err != nil {
		return err
	}
	defer release()
	cp, err := admit.ReadCheckpoint(dir)
	if err != nil {
		return err
	}
	m := backup.Manifest{Time: time.Now().UTC(), Version: Version, Seq: cp.Seq, Store: "embedded"}
	_, err = os.Stat(filepath.Join(dir, "store"))
	m.WithStore = err == nil
	keep := func(name string) bool {
		base := filepath.Base(name)
		return base != "flock.lock" && name != "wal/lock" && name != "store/trash" && !strings.HasSuffix(base, ".tmp") &&
			!(filepath.Dir(name) == "." && strings.HasPrefix(name, "backup-"))
	}
	return backup.Write(w, dir, keep, &m)
}

func storageRestore() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "restore FILE", Short: "Make a data directory of a backup",
		Long: `Make a data directory of a backup, for a server that is started on it afterwards. The directory must be empty or not there. The backup
is checked first: one that was cut off or has a wrong bit is refused, and nothing is written.

Clients that send again what they sent after the backup are not harmed: what the backup has is refused, what it lacks is stored.`,
		Example: "  tally storage restore /backup/tally.tar --data /var/lib/tally",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return fail(exitUsage, "cannot read the backup: %v", err)
			}
			defer f.Close()
			m, err := backup.Restore(f, dir)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s holds the backup of %s, up to record %d\n", dir, m.Time.Format(time.RFC3339), m.Seq)
			return nil
		},
	}
	c.Flags().StringVar(&dir, "data", "./data", "directory to make")
	return c
}
