package cmd

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tallylog/tally/server/admit"
)

func sourcesCommand() *cobra.Command {
	var out output
	var gaps bool
	c := &cobra.Command{
		Use:   "sources [NAME]",
		Short: "Show what has arrived of each source, and what is missing",
		Long: `Show the account of every source: a file, a journal, the stream of a push client. Ranges are bytes of a file, sequence numbers
of a journal, lines of a push client; each is half-open.`,
		Example: `  tally sources
  tally sources /var/log/syslog
  tally sources --gaps`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			text, err := out.text(c)
			if err != nil {
				return err
			}
			q := url.Values{}
			if len(args) == 1 {
				q.Set("name", args[0])
			}
			cl, err := newClient()
			if err != nil {
				return err
			}
			var ans struct{ Sources []admit.Source }
			if err := cl.call(c.Context(), "GET", "/api/v1/sources", q, nil, &ans); err != nil {
				return err
			}
			list := ans.Sources[:0]
			for _, s := range ans.Sources {
				if !gaps || len(s.Gaps) > 0 {
					list = append(list, s)
				}
			}
			if !text {
				return printJSONLines(c.OutOrStdout(), list)
			}
			rows := make([][]string, len(list))
			for i, s := range list {
				rows[i] = []string{s.Name, s.Kind, fmt.Sprint(s.Contiguous), fmt.Sprint(s.Events), fmt.Sprint(s.Duplicates), gapText(s.Gaps), s.Updated}
			}
			return table(c.OutOrStdout(), []string{"NAME", "KIND", "COMPLETE UP TO", "EVENTS", "DUPLICATES REFUSED", "MISSING", "LAST"}, rows)
		},
	}
	out.flag(c)
	c.Flags().BoolVar(&gaps, "gaps", false, "only sources of which something is missing")
	return c
}

func gapText(gaps []admit.Gap) string {
	if len(gaps) == 0 {
		return "nothing"
	}
	var parts []string
	for _, g := range gaps {
		to := "?"
		if g.To != nil {
			to = fmt.Sprint(*g.To)
		}
		parts = append(parts, fmt.Sprintf("[%d, %s) %s", g.From, to, g.Reason))
	}
	return strings.Join(parts, "; ")
}
