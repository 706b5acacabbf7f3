package cmd

import (
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"
)

func explainCommand() *cobra.Command {
	var out output
	flags := map[string]*string{}
	c := &cobra.Command{
		Use:   "explain [NAME]",
		Short: "Tell what became of a line: stored, left out, lost, on its way, or missing",
		Long: `Tell in one sentence what became of a line of a source: a file (its position is a byte), a journal (a sequence number), the
stream of a push client (the number of the line). Of several sources with one name the newest that has the position is taken.`,
		Example: `  tally explain /var/log/app.log --position 52801
  tally explain /var/log/app.log --time 2026-01-02T15:04:05Z
  tally explain --pod web-0 --namespace shop --time -5m
  tally explain --id 9k2mb6v0s1d8f3g7h5j4`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			text, err := out.text(c)
			if err != nil {
				return err
			}
			q := url.Values{}
			for name, value := range flags {
				if *value != "" {
					q.Set(name, *value)
				}
			}
			if len(args) == 1 {
				q.Set("name", args[0])
			}
			cl, err := newClient()
			if err != nil {
				return err
			}
			var ans json.RawMessage
			if err := cl.call(c.Context(), "GET", "/api/v1/explain", q, nil, &ans); err != nil {
				return err
			}
			if !text {
				_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n", ans)
				return err
			}
			var said struct{ Sentence string }
			if err := json.Unmarshal(ans, &said); err != nil {
				return fmt.Errorf("cannot read the server's answer: %w", err)
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), said.Sentence)
			return err
		},
	}
	out.flag(c)
	for _, f := range [][2]string{
		{"pod", "in place of NAME: the files of a pod, by its name or uid"}, {"namespace", "of the pod"},
		{"source", "the source as the ledger names it"}, {"id", "the id of a source, with --position or --time; or of an event, alone"},
		{"position", "the byte, sequence number or line"}, {"time", "RFC 3339, milliseconds since 1970, or -1h"},
	} {
		flags[f[0]] = c.Flags().String(f[0], "", f[1])
	}
	return c
}
