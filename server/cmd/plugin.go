package cmd

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallylog/tally/plugins/contract"
	"github.com/tallylog/tally/plugins/host"
	"github.com/tallylog/tally/strictyaml"
)

func pluginCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "plugin",
		Short: "See and try plugins",
		Long:  `See the plugins of the server, and try a plugin without one. plugins/README.md says how to write one.`,
	}
	c.AddCommand(pluginListCommand(), pluginCheckCommand())
	return c
}

func pluginListCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the plugins of the server, what they do and what went wrong",
		Long: `List the plugins of the pipelines in force. ENDS counts by reason how often the process ended or did not start: exit, start,
timeout (no answer in time), memory, output (it wrote too much), garbage (an answer that breaks the protocol).`,
		Example: `  tally plugin list
  tally plugin list --json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := newClient()
			if err != nil {
				return err
			}
			res, err := cl.do(c.Context(), "GET", "/api/v1/plugins", nil, nil, nil)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			var answer struct {
				Plugins []host.Status `json:"plugins"`
			}
			if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
				return fmt.Errorf("cannot read the answer: %w", err)
			}
			if asJSON {
				return printJSONLines(c.OutOrStdout(), answer.Plugins)
			}
			var rows [][]string
			for _, p := range answer.Plugins {
				var ends []string
				for _, reason := range slices.Sorted(maps.Keys(p.Ends)) {
					ends = append(ends, fmt.Sprintf("%s %d", reason, p.Ends[reason]))
				}
				latency := "-"
				if p.Batches > 0 {
					latency = (time.Duration(p.Seconds * float64(time.Second) / float64(p.Batches))).Round(time.Microsecond).String()
				}
				rows = append(rows, []string{p.Name, p.Version, p.State, fmt.Sprint(p.PID), fmt.Sprint(p.Memory >> 20), fmt.Sprint(p.Events), fmt.Sprint(p.Failed), fmt.Sprint(p.Dropped),
					fmt.Sprint(p.Made), latency, fmt.Sprint(p.Restarts), strings.Join(ends, ", "), brief(p.LastError)})
			}
			return table(c.OutOrStdout(), []string{"NAME", "VERSION", "STATE", "PID", "MB", "EVENTS", "FAILED", "DROPPED", "MADE", "A BATCH", "RESTARTS", "ENDS", "LAST ERROR"}, rows)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return c
}

// brief cuts a plugin's last error for the table; the JSON form has all of it.
func brief(s string) string {
	const most = 160
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

func pluginCheckCommand() *cobra.Command {
	var options string
	c := &cobra.Command{
		Use:   "check PATH",
		Short: "Hold a plugin's program to what the server expects",
		Long: `Start the program as the server would, and hold it to the contract: handshake, description, options, batches of many kinds. Prints
its checksum for the configuration. Exit code 0: it can be used. 1: it cannot; each finding says why.`,
		Example: `  tally plugin check ./lines
  tally plugin check --config '{separator: ";"}' /usr/lib/tally/lines`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			n, err := strictyaml.Parse("--config", []byte(options), os.LookupEnv)
			if err != nil {
				return fail(exitUsage, "%v", err)
			}
			path, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			out, paint := c.OutOrStdout(), newPainter(c)
			r := contract.Run(c.Context(), path, n, slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil)))
			d := r.Description
			if d.Name != "" {
				fmt.Fprintf(out, "%s %s: %s\n  reads   %s\n  writes  %s\n", d.Name, d.Version, printable(d.Summary), printable(strings.Join(d.Reads, ", ")), printable(strings.Join(d.Writes, ", ")))
				for _, o := range d.Options {
					must := ""
					if o.Required {
						must = ", required"
					}
					fmt.Fprintf(out, "  option  %s (%s%s) %s\n", printable(o.Name), o.Type, must, printable(o.Help))
				}
			}
			failed := 0
			for _, f := range r.Findings {
				if f.Err != nil {
					failed++
					fmt.Fprintf(out, "%s %s: %s\n", paint.paint("31", "FAIL"), f.Check, printable(f.Err.Error()))
					continue
				}
				fmt.Fprintln(out, strings.TrimSpace(paint.paint("32", "ok  ")+" "+f.Check+" "+f.Note))
			}
			if failed > 0 {
				return fail(exitFailed, "%d of %d checks failed", failed, len(r.Findings))
			}
			fmt.Fprintf(out, "\nplugins:\n- name: %s\n  path: %s\n  checksum: %s\n", d.Name, path, r.Checksum)
			return nil
		},
	}
	c.Flags().StringVar(&options, "config", "", "the plugin's options, as YAML")
	return c
}
