package cmd

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tallylog/tally/server/deadletter"
)

// letterFilter is the choice of letters by flags.
type letterFilter struct {
	reason, stage, by, client, source, namespace, since string
	all                                                 bool
}

func (f *letterFilter) flags(c *cobra.Command, change bool) {
	c.Flags().StringVar(&f.reason, "reason", "", "part of the reason")
	c.Flags().StringVar(&f.stage, "stage", "", "pipeline or store")
	c.Flags().StringVar(&f.by, "by", "", "name of the pipeline")
	c.Flags().StringVar(&f.client, "client", "", "client identity, like token:3f9c2a")
	c.Flags().StringVar(&f.source, "source", "", "source of the position")
	c.Flags().StringVar(&f.namespace, "namespace", "", "kubernetes.namespace of the event")
	c.Flags().StringVar(&f.since, "since", "", "rejected within this time, like 1h or 7d")
	if change {
		c.Flags().BoolVar(&f.all, "all", false, "all of them")
	}
}

func (f *letterFilter) query() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"reason": f.reason, "stage": f.stage, "by": f.by, "client": f.client, "source": f.source, "namespace": f.namespace} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.since != "" {
		q.Set("start", "-"+f.since)
	}
	if f.all {
		q.Set("all", "true")
	}
	return q
}

func deadLettersCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "deadletters", Short: "See, replay and drop events that a pipeline or the store has rejected",
		Long: `Events that were taken but could not be stored: a pipeline with "on_failure: dead_letter" failed on them, or the store refused
them. Mend the cause, then replay: they go through the pipelines again and are stored exactly once.`,
	}
	c.AddCommand(lettersList(), lettersShow(), lettersReplay(), lettersDrop())
	return c
}

func lettersList() *cobra.Command {
	var f letterFilter
	var out output
	var limit int
	c := &cobra.Command{
		Use: "list", Short: "List them, newest first", Example: "  tally deadletters list --since 1d --by nginx", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			text, err := out.text(c)
			if err != nil {
				return err
			}
			cl, err := newClient()
			if err != nil {
				return err
			}
			q := f.query()
			q.Set("limit", fmt.Sprint(limit))
			var ans struct {
				Letters []deadletter.Entry
				Cursor  string
				Totals  *deadletter.Totals
				missing
			}
			if err := cl.call(c.Context(), "GET", "/api/v1/deadletters", q, nil, &ans); err != nil {
				return err
			}
			ans.tell(c)
			if !text {
				return printJSONLines(c.OutOrStdout(), ans.Letters)
			}
			rows := make([][]string, len(ans.Letters))
			for i, l := range ans.Letters {
				rows[i] = []string{l.ID, toSeconds(l.Time), l.Stage, l.By, fmt.Sprint(l.Times), l.Reason, l.Message}
			}
			if err := table(c.OutOrStdout(), []string{"ID", "REJECTED", "STAGE", "BY", "TIMES", "REASON", "MESSAGE"}, rows); err != nil {
				return err
			}
			if ans.Cursor != "" {
				fmt.Fprintf(c.ErrOrStderr(), "there are more; --limit shows them\n")
			}
			if t := ans.Totals; t != nil && t.Evicted > 0 {
				fmt.Fprintf(c.ErrOrStderr(), "%d older ones had to go for want of room (storage.dead_letters)\n", t.Evicted)
			}
			return nil
		},
	}
	f.flags(c, false)
	out.flag(c)
	c.Flags().IntVar(&limit, "limit", 100, "at most so many")
	return c
}

func lettersShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show one with its event, as JSON", Example: "  tally deadletters show 3f9c2a0b1d4e5f6071829304", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := newClient()
			if err != nil {
				return err
			}
			var l json.RawMessage
			if err := cl.call(c.Context(), "GET", "/api/v1/deadletters/"+url.PathEscape(args[0]), nil, nil, &l); err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), string(l))
			return err
		},
	}
}

func lettersReplay() *cobra.Command {
	var f letterFilter
	var past bool
	c := &cobra.Command{
		Use: "replay [ID …]", Short: "Send them through the pipelines again",
		Long: `Send letters, by id or by filter, through the pipelines into the store again. It may be repeated: nothing is stored twice. Exit code 1
when some are rejected again; they stay, with the new reason.`,
		Example: "  tally deadletters replay 3f9c2a0b1d4e5f6071829304\n  tally deadletters replay --by nginx\n  tally deadletters replay --all",
		RunE: func(c *cobra.Command, args []string) error {
			q := f.query()
			if past {
				q.Set("pipelines", "false")
			}
			var all deadletter.Outcome
			type outcome struct {
				deadletter.Outcome
				missing
			}
			err := eachLetter(c, args, "POST", "/replay", "/replay", q, func(o outcome) {
				all.Add(o.Outcome)
				o.tell(c)
			})
			fmt.Fprintf(c.OutOrStdout(), "stored %d, there already %d, dropped by a pipeline %d, rejected again %d\n", all.Stored, all.Duplicates, all.Dropped, all.Rejected)
			if err == nil && all.Rejected > 0 {
				return fail(exitFailed, "%d were rejected again; tally deadletters list has the reasons", all.Rejected)
			}
			return err
		},
	}
	f.flags(c, true)
	c.Flags().BoolVar(&past, "past-pipelines", false, "store them as they are, past the pipelines")
	return c
}

func lettersDrop() *cobra.Command {
	var f letterFilter
	c := &cobra.Command{
		Use: "drop [ID …]", Short: "Remove them for good; their gaps stay in the account",
		Example: "  tally deadletters drop 3f9c2a0b1d4e5f6071829304\n  tally deadletters drop --reason 'no pattern' --since 7d",
		RunE: func(c *cobra.Command, args []string) error {
			n := int64(0)
			type outcome struct {
				Dropped int64
				missing
			}
			err := eachLetter(c, args, "DELETE", "", "", f.query(), func(o outcome) {
				n += o.Dropped
				o.tell(c)
			})
			fmt.Fprintf(c.OutOrStdout(), "dropped %d\n", n)
			return err
		},
	}
	f.flags(c, true)
	return c
}

// missing are the names of servers that gave no answer, where there are several.
type missing struct{ Missing []string }

func (m missing) tell(c *cobra.Command) {
	if len(m.Missing) > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "without what lies at %s, which did not answer\n", strings.Join(m.Missing, ", "))
	}
}

// eachLetter asks for a change of each id, or of what the filter chooses where none is given.
func eachLetter[T any](c *cobra.Command, ids []string, method, one, many string, q url.Values, add func(T)) error {
	cl, err := newClient()
	if err != nil {
		return err
	}
	paths := []string{"/api/v1/deadletters" + many}
	if len(ids) > 0 {
		paths = paths[:0]
		for _, id := range ids {
			paths = append(paths, "/api/v1/deadletters/"+url.PathEscape(id)+one)
		}
	}
	for _, path := range paths {
		var ans T
		if err := cl.call(c.Context(), method, path, q, nil, &ans); err != nil {
			return err
		}
		add(ans)
	}
	return nil
}
