package cmd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/backup"
	"github.com/tallylog/tally/server/buffer"
	"github.com/tallylog/tally/server/config"
	"github.com/tallylog/tally/server/deadletter"
	"github.com/tallylog/tally/server/storage"
	"github.com/tallylog/tally/server/storage/embedded"
	"github.com/tallylog/tally/server/storage/transfer"
)

// progressFile is where a copy keeps how far it is, in the directory that it makes.
const progressFile = "copy.json"

func storageCopy() *cobra.Command {
	var dir, to, file string
	c := &cobra.Command{
		Use: "copy", Short: "Copy everything into another store, under other retention rules if wanted; the server is stopped",
		Long: `Copy the events of a stopped server's store, one by one, into a new data directory, with the account of sources, users, tokens and
dead letters. The new store has the retention rules of the configuration given, so this is how events come into classes that were made later.

The copy may be interrupted, also by kill -9 or a full disk: the same command goes on where it was. Ids stay, so what clients send again is
known. At the end the events of each tenant and day are counted in both.`,
		Example: "  tally storage copy --data /var/lib/tally --to /mnt/tally -c tally.yml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg := config.Default()
			if file != "" {
				var err error
				if cfg, err = config.Load(file); err != nil {
					return fail(exitUsage, "%v", err)
				}
			}
			if to == "" {
				return fail(exitUsage, "--to names the directory to make")
			}
			return copyStore(c, dir, to, cfg)
		},
	}
	c.Flags().StringVar(&dir, "data", "./data", "data directory of a stopped server")
	c.Flags().StringVar(&to, "to", "", "data directory to make")
	c.Flags().StringVarP(&file, "config", "c", "", "configuration of the new server (YAML), for its retention")
	return c
}

func copyStore(c *cobra.Command, dir, to string, cfg config.Config) (err error) {
	if _, err := os.Stat(filepath.Join(dir, "store")); err != nil {
		return fail(exitUsage, "%s has no store: %v", dir, err)
	}
	cp, err := admit.ReadCheckpoint(dir)
	if err != nil {
		return err
	}
	wal, err := buffer.Open(filepath.Join(dir, "wal"), buffer.Options{After: cp.Seq})
	if errors.Is(err, buffer.ErrLocked) {
		return fail(exitFailed, "a server is running on %s; stop it first", dir)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, wal.Close()) }()
	if wal.Last() > cp.Seq {
		return fail(exitFailed, "%d records of the buffer are not in the store yet: start the server on %s, and stop it with SIGTERM", wal.Last()-cp.Seq, dir)
	}
	if _, err := os.Stat(filepath.Join(to, "wal")); err == nil {
		return fail(exitFailed, "a server has run on %s since; what it took there would be lost", to)
	}
	progress := filepath.Join(to, progressFile)
	p, err := beginCopy(dir, to, progress)
	if err != nil {
		return err
	}
	if err := embedded.LimitMemory(192 << 20); err != nil {
		return err
	}
	log := newLogger(c, cfg.Log)
	names, err := tenantNames(c.Context(), to)
	if err != nil {
		return err
	}
	from, err := embedded.Open(filepath.Join(dir, "store"), embedded.Options{Log: log, ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	target, err := embedded.Open(filepath.Join(to, "store"), embedded.Options{
		After: p.Seq, Log: log, TenantName: names, Rules: cfg.Retention.Classes(), Retention: time.Duration(cfg.Retention.Age), MaxBytes: int64(cfg.Retention.Size),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	letters, err := deadletter.Open(c.Context(), to, deadletter.Options{MaxBytes: int64(cfg.Storage.DeadLetters), Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, letters.Close()) }()
	usage, err := from.Usage(c.Context())
	if err != nil {
		return err
	}
	began, first := time.Now(), p.Events
	p, err = transfer.Copy(c.Context(), from, target, p, transfer.Options{File: progress, Sync: 5 * time.Second, Letters: letters, Report: func(p transfer.Progress) {
		rate := float64(p.Events-first) / time.Since(began).Seconds()
		fmt.Fprintf(c.ErrOrStderr(), "%d of %d events copied, %.0f a second\n", p.Events, usage.Rows, rate)
	}})
	if err != nil {
		return fmt.Errorf("%w\nthe same command goes on with the copy", err)
	}
	if err := reportCopy(c.OutOrStdout(), c, from, target, p, names); err != nil {
		return err
	}
	// Records that the new server buffers must not have the numbers of batches of the copy: the store would take them for those.
	if err := cp.Save(to, max(cp.Seq, p.Seq)); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(to, backup.RestoringDir)); err != nil { // from now on a server may start there
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "%s is whole; start the server on it, and remove %s when all is well\n", to, dir)
	return nil
}

// beginCopy copies the files beside the store at the first call; a second finds the progress.
func beginCopy(dir, to, progress string) (p transfer.Progress, err error) {
	if _, err := os.Stat(progress); err == nil {
		return transfer.Load(progress)
	}
	list, err := os.ReadDir(to)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return p, fail(exitUsage, "%v", err)
	}
	if len(list) > 0 && !(len(list) == 1 && list[0].Name() == backup.RestoringDir) {
		return p, fail(exitUsage, "%s is not empty, and no copy was begun there", to)
	}
	// Until the progress file is there the directory counts as unfinished, and a second call begins anew.
	tmp := filepath.Join(to, backup.RestoringDir)
	if err := errors.Join(os.RemoveAll(tmp), os.MkdirAll(tmp, 0o700)); err != nil {
		return p, err
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		return p, err
	}
	for _, e := range names {
		name := e.Name()
		if !e.Type().IsRegular() || name == "checkpoint" || name == "checkpoint.1" || filepath.Ext(name) == ".tmp" {
			continue
		}
		if err := copyTo(filepath.Join(dir, name), filepath.Join(tmp, name)); err != nil {
			return p, err
		}
	}
	if list, err = os.ReadDir(tmp); err != nil {
		return p, err
	}
	for _, e := range list {
		if err := os.Rename(filepath.Join(tmp, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return p, err
		}
	}
	if err := os.WriteFile(progress, []byte("{}"), 0o600); err != nil {
		return p, err
	}
	return p, nil
}

func copyTo(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// reportCopy prints what each tenant has on each day in both stores, and fails where the copy lacks any.
func reportCopy(w io.Writer, c *cobra.Command, from transfer.Source, to storage.Searcher, p transfer.Progress, names func(uint32) string) error {
	counts, err := transfer.Compare(c.Context(), from, to, p)
	if err != nil {
		return err
	}
	lacks := 0
	rows := make([][]string, len(counts))
	for i, x := range counts {
		state := "whole"
		if x.Lacks() {
			state = "LACKS"
			lacks++
		}
		rows[i] = []string{names(x.Tenant), x.Day, fmt.Sprint(x.From), fmt.Sprint(x.To), fmt.Sprint(x.Rejected), state}
	}
	if err := table(w, []string{"TENANT", "DAY", "EVENTS", "COPIED", "REJECTED", "STATE"}, rows); err != nil {
		return err
	}
	if lacks > 0 {
		return fail(exitFailed, "the copy lacks events on %d days", lacks)
	}
	return nil
}
