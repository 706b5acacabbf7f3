package cmd

import (
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallylog/tally/server/retention"
	"github.com/tallylog/tally/server/storageapi"
)

func storageCommand() *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "storage", Short: "Show what is stored, and what retention removes",
		Long: `Show what is stored: by class of retention, and by tenant and namespace (bytes of a namespace are estimated from its rows).`,
		Example: `  tally storage
  tally storage plan --until 30d`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var ans struct {
				Type        string
				Rows, Bytes int64
				ReadOnlyWhy string `json:"read_only_why"`
				Classes     []storageapi.Class
				Usage       []storageapi.Use
				Counting    bool
			}
			text, err := askStorage(c, &out, "", nil, &ans)
			if err != nil {
				return err
			}
			if !text {
				return printJSONLines(c.OutOrStdout(), ans.Usage)
			}
			w := c.OutOrStdout()
			fmt.Fprintf(w, "%s: %d events, %s\n", ans.Type, ans.Rows, byteText(ans.Bytes))
			if ans.ReadOnlyWhy != "" {
				fmt.Fprintf(w, "the store waits for disk space: %s\n", ans.ReadOnlyWhy)
			}
			rows := make([][]string, len(ans.Classes))
			for i, x := range ans.Classes {
				age, size := "no bound", "no bound"
				if x.Age > 0 {
					age = fmt.Sprintf("%gd", x.Age)
				}
				if x.Size > 0 {
					size = byteText(x.Size)
				}
				rows[i] = []string{x.Name, age, size, fmt.Sprint(x.Rows), byteText(x.Bytes), x.Oldest, x.Newest, fmt.Sprint(x.Removed)}
			}
			fmt.Fprintln(w)
			if err := table(w, []string{"CLASS", "AGE", "SIZE", "EVENTS", "ON DISK", "OLDEST", "NEWEST", "REMOVED"}, rows); err != nil {
				return err
			}
			fmt.Fprintln(w)
			if ans.Counting {
				fmt.Fprintln(w, "the events of tenants and namespaces are being counted: ask again")
			}
			return table(w, []string{"TENANT", "NAMESPACE", "EVENTS", "ON DISK (ABOUT)"}, useRows(ans.Usage))
		},
	}
	out.flag(c)
	c.AddCommand(storagePlan(), storageRemoved(), storageBackup(), storageRestore(), storageCopy())
	return c
}

func useRows(list []storageapi.Use) [][]string {
	rows := make([][]string, len(list))
	for i, u := range list {
		namespace := u.Namespace
		if namespace == "" {
			namespace = "-"
		}
		rows[i] = []string{u.Tenant, namespace, fmt.Sprint(u.Rows), byteText(u.Bytes)}
	}
	return rows
}

// askStorage asks for an answer of /api/v1/storage; text tells whether people read it.
func askStorage(c *cobra.Command, out *output, path string, q url.Values, ans any) (text bool, err error) {
	if text, err = out.text(c); err != nil {
		return text, err
	}
	cl, err := newClient()
	if err != nil {
		return text, err
	}
	return text, cl.call(c.Context(), "GET", "/api/v1/storage"+path, q, nil, ans)
}

func storagePlan() *cobra.Command {
	var out output
	var until string
	c := &cobra.Command{
		Use: "plan", Short: "Show what retention will remove, why, and when", Example: "  tally storage plan --until 30d", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var ans struct {
				Until       string
				Rows, Bytes int64
				Removals    []storageapi.Part
			}
			text, err := askStorage(c, &out, "/plan", url.Values{"until": {until}}, &ans)
			if err != nil {
				return err
			}
			if !text {
				return printJSONLines(c.OutOrStdout(), ans.Removals)
			}
			w := c.OutOrStdout()
			if len(ans.Removals) == 0 {
				_, err := fmt.Fprintf(w, "nothing is removed until %s\n", toSeconds(ans.Until))
				return err
			}
			var rows [][]string
			for _, r := range ans.Removals {
				if len(r.Shares) == 0 { // not counted yet
					r.Shares = []storageapi.Use{{Tenant: "-", Rows: r.Rows, Bytes: r.Bytes}}
				}
				for _, u := range useRows(r.Shares) {
					rows = append(rows, append([]string{r.At.Format(time.RFC3339), r.Class, r.Day, r.Reason}, u...))
				}
			}
			if err := table(w, []string{"WHEN", "CLASS", "DAY", "WHY", "TENANT", "NAMESPACE", "EVENTS", "ON DISK (ABOUT)"}, rows); err != nil {
				return err
			}
			_, err = fmt.Fprintf(w, "until %s: %d events, %s\n", toSeconds(ans.Until), ans.Rows, byteText(ans.Bytes))
			return err
		},
	}
	out.flag(c)
	c.Flags().StringVar(&until, "until", "7d", "how far ahead")
	return c
}

func storageRemoved() *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "removed", Short: "Show what retention has removed, newest first", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var ans struct{ Removed []retention.Removed }
			text, err := askStorage(c, &out, "", nil, &ans)
			if err != nil {
				return err
			}
			if !text {
				return printJSONLines(c.OutOrStdout(), ans.Removed)
			}
			rows := make([][]string, len(ans.Removed))
			for i, r := range ans.Removed {
				rows[i] = []string{r.At.Format(time.RFC3339), r.Class, r.Day, r.Reason, fmt.Sprint(r.Rows), byteText(r.Bytes)}
			}
			return table(c.OutOrStdout(), []string{"WHEN", "CLASS", "DAY", "WHY", "EVENTS", "ON DISK"}, rows)
		},
	}
	out.flag(c)
	return c
}

// byteText writes a size for people.
func byteText(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	x := float64(n)
	for _, unit := range []string{"KiB", "MiB", "GiB"} {
		if x /= 1 << 10; x < 1<<10 {
			return fmt.Sprintf("%.1f %s", x, unit)
		}
	}
	return fmt.Sprintf("%.1f TiB", x/(1<<10))
}
