package cmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/buffer"
	"github.com/tallylog/tally/server/config"
	"github.com/tallylog/tally/server/storage/embedded"
)

func fsckCommand() *cobra.Command {
	var dir string
	var repair bool
	c := &cobra.Command{
		Use:   "fsck",
		Short: "Check the buffer and the checkpoints of a stopped server",
		Long: `Check the write-ahead log and the checkpoints in a data directory while the server is stopped. Nothing is changed, unless
--repair is given: then damaged bytes are moved into wal/quarantine and what they held is marked as lost, so that the account
shows it as a gap. Where no checkpoint is readable, --repair rebuilds the account from the store and the buffer.

Exit code 0: no damage, also after a crash. 1: damage; each line names the segment.`,
		Example: `  tally fsck --data /var/lib/tally
  tally fsck --data /var/lib/tally --repair`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := os.Stat(dir); err != nil {
				return fail(exitUsage, "cannot check data directory: %v", err)
			}
			return fsck(c, dir, repair)
		},
	}
	c.Flags().StringVar(&dir, "data", "./data", "the server's data directory")
	c.Flags().BoolVar(&repair, "repair", false, "mend what is damaged")
	return c
}

func fsck(c *cobra.Command, dir string, repair bool) error {
	out := c.OutOrStdout()
	wal := filepath.Join(dir, "wal")
	check := buffer.Check
	if repair {
		check = buffer.Repair
	}
	r, err := check(wal)
	if errors.Is(err, buffer.ErrLocked) {
		return fail(exitFailed, "a server is running on %s; stop it first", dir)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "buffer: %d segments, %d records, %d bytes\n", r.Segments, r.Records, r.Bytes)
	for _, n := range r.Notes {
		fmt.Fprintln(out, "note:", n)
	}
	for _, l := range r.Lost {
		if l.Known {
			fmt.Fprintf(out, "note: %s: records %d to %d are known to be lost: %s\n", l.Segment, l.First, l.Last, l.Reason)
		}
	}
	damaged := len(r.Damage)
	for _, d := range r.Damage {
		fmt.Fprintln(out, "corrupt:", d)
	}
	for _, d := range r.Done {
		fmt.Fprintln(out, "repaired:", d)
	}
	cp, err := admit.ReadCheckpoint(dir)
	if err != nil && len(cp.Damaged) > 0 {
		for _, f := range cp.Damaged {
			fmt.Fprintf(out, "corrupt: checkpoint %s\n", f)
		}
		if !repair {
			return fail(exitFailed, "no checkpoint is readable, and no server starts; --repair rebuilds the account from the store and the buffer")
		}
		return rebuild(c, dir, cp.Damaged)
	}
	if err != nil {
		return err
	}
	for _, f := range cp.Damaged {
		damaged++
		fmt.Fprintf(out, "corrupt: checkpoint %s\n", f)
		if repair {
			if err := os.Rename(f, f+".corrupt"); err != nil {
				return fmt.Errorf("cannot set %q aside: %w", f, err)
			}
			fmt.Fprintf(out, "repaired: %s is set aside as %s.corrupt; the other checkpoint is used\n", f, filepath.Base(f))
		}
	}
	fmt.Fprintf(out, "checkpoint: record %d\n", cp.Seq)
	if damaged > 0 && !repair {
		return fail(exitFailed, "%d places are damaged; --repair mends them", damaged)
	}
	fmt.Fprintln(out, "clean")
	return nil
}

// rebuild makes a checkpoint of what the store and the buffer have.
func rebuild(c *cobra.Command, dir string, damaged []string) error {
	out := c.OutOrStdout()
	wal := filepath.Join(dir, "wal")
	release, err := buffer.Hold(wal)
	if err != nil {
		return err
	}
	defer release()
	if _, err := os.Stat(filepath.Join(dir, "store")); err != nil {
		return fail(exitFailed, "the account can be rebuilt only from a store in the data directory: %v", err)
	}
	if err := embedded.LimitMemory(192 << 20); err != nil {
		return err
	}
	s, err := embedded.Open(filepath.Join(dir, "store"), embedded.Options{Log: newLogger(c, config.Default().Log), ReadOnly: true})
	if err != nil {
		return err
	}
	defer s.Close()
	// The buffer keeps every record that a checkpoint does not cover, so what is before its first is in the store in full.
	seq, ok, err := buffer.First(wal)
	if err != nil {
		return err
	}
	if ok {
		seq--
	} else if seq, err = s.Highest(c.Context()); err != nil {
		return err
	}
	cp, events, err := admit.Rebuild(c.Context(), s, seq)
	if err != nil {
		return err
	}
	for _, f := range damaged {
		if err := os.Rename(f, f+".corrupt"); err != nil {
			return fmt.Errorf("cannot set %q aside: %w", f, err)
		}
		fmt.Fprintf(out, "repaired: %s is set aside as %s.corrupt\n", f, filepath.Base(f))
	}
	if err := cp.Save(dir, seq); err != nil {
		return err
	}
	fmt.Fprintf(out, "repaired: the account is rebuilt from %d stored events of %d sources, up to record %d; the rest comes from the buffer at the next start\n", events, cp.Sources(), seq)
	fmt.Fprintln(out, "note: the store does not know what agents skipped on purpose: those ranges show as missing. Reasons of earlier losses, and counts of duplicates, are gone")
	return nil
}
