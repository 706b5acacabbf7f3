package cmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tallylog/tally/server/admit"
	"github.com/tallylog/tally/server/buffer"
)

func fsckCommand() *cobra.Command {
	var dir string
	var repair bool
	c := &cobra.Command{
		Use:   "fsck",
		Short: "Check the buffer and the checkpoints of a stopped server",
		Long: `Check the write-ahead log and the checkpoints in a data directory while the server is stopped. Nothing is changed, unless
--repair is given: then damaged bytes are moved into wal/quarantine and what they held is marked as lost, so that the account
shows it as a gap.

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
	if err != nil {
		return fmt.Errorf("%w\n(the account can be rebuilt only from a readable checkpoint; restore the file from a backup)", err)
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
