package cmd

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallylog/tally/server"
	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/backup"
	"github.com/tallylog/tally/server/buffer"
	"github.com/tallylog/tally/server/config"
	"github.com/tallylog/tally/server/deadletter"
	"github.com/tallylog/tally/server/storage"
	"github.com/tallylog/tally/server/storage/elasticsearch"
	"github.com/tallylog/tally/server/storage/embedded"
	"github.com/tallylog/tally/server/storage/transfer"
)

func storageCopy() *cobra.Command {
	var dir, to, file string
	var addresses []string
	c := &cobra.Command{
		Use: "copy", Short: "Copy everything into another store, under other retention rules if wanted; the server is stopped",
		Long: `Copy the events of a stopped server's store, one by one, into another store.

Where the configuration given has storage.type: elasticsearch, or --elasticsearch names addresses, the events go into that cluster. All else
stays in the data directory: start the server on it with that configuration.

Else a new data directory is made, with the account of sources, users, tokens and dead letters. The new store has the retention rules of the
configuration, so this is how events come into classes that were made later.

The copy may be interrupted, also by kill -9 or a full disk: the same command goes on where it was. Ids stay, so what clients send again is
known. At the end the events of each tenant and day are counted in both.`,
		Example: `  tally storage copy --data /var/lib/tally --to /mnt/tally -c tally.yml
  tally storage copy --data /var/lib/tally -c elasticsearch.yml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg := config.Default()
			if file != "" {
				var err error
				if cfg, err = config.Load(file); err != nil {
					return fail(exitUsage, "%v", err)
				}
			}
			if len(addresses) > 0 {
				cfg.Storage.Type, cfg.Storage.Elasticsearch.Addresses = "elasticsearch", addresses
				if err := cfg.Check(); err != nil {
					return fail(exitUsage, "--elasticsearch: %v", err)
				}
			}
			elastic := cfg.Storage.Type == "elasticsearch"
			switch {
			case elastic && to != "":
				return fail(exitUsage, "--to is for a new data directory; into Elasticsearch the events of %s go, and all else stays there", dir)
			case !elastic && to == "":
				return fail(exitUsage, "--to names the directory to make; for Elasticsearch give its configuration (-c) or addresses (--elasticsearch)")
			}
			return copyStore(c, dir, to, cfg)
		},
	}
	c.Flags().StringVar(&dir, "data", "./data", "data directory of a stopped server")
	c.Flags().StringVar(&to, "to", "", "data directory to make")
	c.Flags().StringVarP(&file, "config", "c", "", "configuration of the new server (YAML): its store and its retention")
	c.Flags().StringSliceVar(&addresses, "elasticsearch", nil, "copy into the cluster with these addresses, like http://127.0.0.1:9200")
	return c
}

// moving is a copy under way: from the store in dir to a store of the data directory to, which is dir where only the events move.
type moving struct {
	c        *cobra.Command
	cfg      config.Config
	log      *slog.Logger
	dir, to  string
	cp       admit.Checkpoint
	names    func(uint32) string
	progress string
	p        transfer.Progress
}

func copyStore(c *cobra.Command, dir, to string, cfg config.Config) (err error) {
	if _, err := os.Stat(filepath.Join(dir, "store")); err != nil {
		return fail(exitUsage, "%s has no store: %v", dir, err)
	}
	m := &moving{c: c, cfg: cfg, log: newLogger(c, cfg.Log), dir: dir, to: to}
	if m.cp, err = admit.ReadCheckpoint(dir); err != nil {
		return err
	}
	wal, err := buffer.Open(filepath.Join(dir, "wal"), buffer.Options{After: m.cp.Seq})
	if errors.Is(err, buffer.ErrLocked) {
		return fail(exitFailed, "a server is running on %s; stop it first", dir)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, wal.Close()) }()
	if wal.Last() > m.cp.Seq {
		return fail(exitFailed, "%d records of the buffer are not in the store yet: start the server on %s as it was, and stop it with SIGTERM", wal.Last()-m.cp.Seq, dir)
	}
	if err := embedded.LimitMemory(192 << 20); err != nil {
		return err
	}
	if to == "" {
		m.to = dir
		return m.intoElasticsearch()
	}
	return m.intoDirectory()
}

// intoDirectory makes a data directory of its own.
func (m *moving) intoDirectory() (err error) {
	if _, err := os.Stat(filepath.Join(m.to, "wal")); err == nil {
		return fail(exitFailed, "a server has run on %s since; what it took there would be lost", m.to)
	}
	m.progress = filepath.Join(m.to, transfer.ProgressFile)
	if m.p, err = beginCopy(m.dir, m.to, m.progress); err != nil {
		return err
	}
	if m.names, err = tenantNames(m.c.Context(), m.to); err != nil {
		return err
	}
	r := &m.cfg.Retention
	target, err := embedded.Open(filepath.Join(m.to, "store"), embedded.Options{
		After: m.p.Seq, Log: m.log, TenantName: m.names, Rules: r.Classes(), Retention: time.Duration(r.Age), MaxBytes: int64(r.Size),
		MinFreeBytes: int64(m.cfg.Storage.MinFree),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	if err := m.events(target, 5*time.Second); err != nil {
		return err
	}
	// Records that the new server buffers must not have the numbers of batches of the copy: the store would take them for those.
	if err := m.cp.Save(m.to, max(m.cp.Seq, m.p.Seq)); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(m.to, backup.RestoringDir)); err != nil { // from now on a server may start there
		return err
	}
	fmt.Fprintf(m.c.OutOrStdout(), "%s is whole; start the server on it, and remove %s when all is well\n", m.to, m.dir)
	return nil
}

// intoElasticsearch copies the events alone. The account and the buffer's numbers stay as they are: batches of the copy have a server
// of their own.
func (m *moving) intoElasticsearch() (err error) {
	m.progress = filepath.Join(m.dir, transfer.ProgressFile)
	if m.p, err = transfer.Load(m.progress); err != nil {
		return err
	}
	if m.p.Account != m.cp.Seq {
		if m.p.Seq > 0 {
			fmt.Fprintln(m.c.ErrOrStderr(), "a server has run since the last copy; everything is looked at again, and what is there is not doubled")
		}
		m.p = transfer.Progress{Account: m.cp.Seq}
	}
	if m.names, err = tenantNames(m.c.Context(), m.dir); err != nil {
		return err
	}
	o, err := server.ElasticsearchOptions(&m.cfg, m.names, m.log)
	if err != nil {
		return err
	}
	o.Server = "copy"
	target, err := elasticsearch.Open(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	if err := m.events(target, time.Second); err != nil {
		return err
	}
	fmt.Fprintf(m.c.OutOrStdout(), "Elasticsearch has all; start the server on %s with this configuration, and remove %s when all is well\n", m.dir, filepath.Join(m.dir, "store"))
	return nil
}

// events copies the events and compares. sync is the time between two points from which the copy can go on.
func (m *moving) events(target storage.Store, sync time.Duration) (err error) {
	ctx := m.c.Context()
	from, err := embedded.Open(filepath.Join(m.dir, "store"), embedded.Options{Log: m.log, ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	letters, err := deadletter.Open(ctx, m.to, deadletter.Options{MaxBytes: int64(m.cfg.Storage.DeadLetters), Log: m.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, letters.Close()) }()
	usage, err := from.Usage(ctx)
	if err != nil {
		return err
	}
	began, first := time.Now(), m.p.Events
	m.p, err = transfer.Copy(ctx, from, target, m.p, transfer.Options{File: m.progress, Sync: sync, Letters: letters, Report: func(p transfer.Progress) {
		rate := float64(p.Events-first) / time.Since(began).Seconds()
		fmt.Fprintf(m.c.ErrOrStderr(), "%d of %d events copied, %.0f a second\n", p.Events, usage.Rows, rate)
	}})
	if err != nil {
		return fmt.Errorf("%w\nthe same command goes on with the copy", err)
	}
	return reportCopy(m.c.OutOrStdout(), m.c, from, target, m.p, m.names)
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
