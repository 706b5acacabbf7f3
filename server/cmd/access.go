package cmd

import (
	"bufio"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tallylog/tally/server/config"
)

// scope is what a new token or user is allowed: a role, within a tenant, narrowed to namespaces and clusters.
type scope struct{ role, tenant, namespaces, clusters string }

func (s *scope) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.role, "role", "reader", "admin, operator, reader or push")
	c.Flags().StringVar(&s.tenant, "tenant", "", "tenant; your own when not given")
	c.Flags().StringVar(&s.namespaces, "namespaces", "", "only these Kubernetes namespaces, separated by commas; * stands for any text")
	c.Flags().StringVar(&s.clusters, "clusters", "", "only these clusters (orchestrator.cluster.name), separated by commas; * stands for any text")
}

// request begins the body that makes the token or user called name.
func (s *scope) request(name string) map[string]any {
	in := map[string]any{"name": name, "role": s.role}
	if s.tenant != "" {
		in["tenant"] = s.tenant
	}
	if s.namespaces != "" {
		in["namespaces"] = strings.Split(s.namespaces, ",")
	}
	if s.clusters != "" {
		in["clusters"] = strings.Split(s.clusters, ",")
	}
	return in
}

func tokenCommand() *cobra.Command {
	c := &cobra.Command{Use: "token", Short: "Make, list and revoke API tokens"}
	var name, expires string
	var allowed scope
	create := &cobra.Command{
		Use:   "create",
		Short: "Make a token; it is shown this once",
		Example: `  tally token create --role reader --namespaces shop,billing
  tally token create --name agents --role push --clusters prod-eu --expires 90d`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			in := allowed.request(name)
			if name == "" {
				in["name"] = allowed.role + "-" + time.Now().UTC().Format("20060102-150405")
			}
			if expires != "" {
				d, err := config.ParseDuration(expires)
				if err != nil {
					return fail(exitUsage, "--expires %v", err)
				}
				in["expires"] = time.Now().Add(d).UTC().Format(time.RFC3339)
			}
			cl, err := newClient()
			if err != nil {
				return err
			}
			var out struct{ ID, Token string }
			if err := cl.call(c.Context(), "POST", "/api/v1/tokens", nil, in, &out); err != nil {
				return err
			}
			// The token is the last word, for scripts.
			_, err = fmt.Fprintf(c.OutOrStdout(), "token %s is made; it will not be shown again:\n%s\n", out.ID, out.Token)
			return err
		},
	}
	create.Flags().StringVar(&name, "name", "", "what it is for")
	allowed.flags(create)
	create.Flags().StringVar(&expires, "expires", "", "life time, like 90d; for ever when not given")
	revoke := &cobra.Command{
		Use: "revoke ID", Short: "End a token at once", Example: "  tally token revoke 3f9c2a", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return change(c, "DELETE", "/api/v1/tokens/"+url.PathEscape(args[0]), nil)
		},
	}
	c.AddCommand(create, revoke, listCommand("tokens", "ID", "NAME", "ROLE", "TENANT", "NAMESPACES", "CLUSTERS", "EXPIRES", "LAST_USED"))
	return c
}

func userCommand() *cobra.Command {
	c := &cobra.Command{Use: "user", Short: "Make, list, change and remove users"}
	var allowed scope
	create := &cobra.Command{
		Use: "create NAME", Short: "Make a user; the password is asked for, or read from standard input",
		Example: "  tally user create ann --role operator", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			password, err := askPassword(c)
			if err != nil {
				return err
			}
			in := allowed.request(args[0])
			in["password"] = password
			return change(c, "POST", "/api/v1/users", in)
		},
	}
	allowed.flags(create)
	password := &cobra.Command{
		Use: "password NAME", Short: "Set a user's password; it is asked for, or read from standard input",
		Example: "  tally user password admin", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			password, err := askPassword(c)
			if err != nil {
				return err
			}
			return change(c, "PATCH", "/api/v1/users/"+url.PathEscape(args[0]), map[string]any{"password": password})
		},
	}
	remove := &cobra.Command{
		Use: "delete NAME", Short: "Remove a user and end their sessions", Example: "  tally user delete ann", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return change(c, "DELETE", "/api/v1/users/"+url.PathEscape(args[0]), nil)
		},
	}
	c.AddCommand(create, password, remove, listCommand("users", "NAME", "ROLE", "TENANT", "NAMESPACES", "CLUSTERS", "DISABLED"))
	return c
}

func tenantCommand() *cobra.Command {
	c := &cobra.Command{Use: "tenant", Short: "Make and list tenants"}
	create := &cobra.Command{
		Use: "create NAME", Short: "Make a tenant", Example: "  tally tenant create team-a", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return change(c, "POST", "/api/v1/tenants", map[string]any{"name": args[0]})
		},
	}
	c.AddCommand(create, listCommand("tenants", "NAME", "NUMBER"))
	return c
}

// change asks the server to change something and prints nothing when it did.
func change(c *cobra.Command, method, path string, in any) error {
	cl, err := newClient()
	if err != nil {
		return err
	}
	return cl.call(c.Context(), method, path, nil, in, nil)
}

// listCommand lists /api/v1/<what>; columns are the JSON keys in upper case.
func listCommand(what string, columns ...string) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "list", Short: "List the " + what, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return list(c, &out, "/api/v1/"+what, nil, what, columns) },
	}
	out.flag(c)
	return c
}

// list prints what a path answers with under key: as a table, or each entry as a line of JSON.
func list(c *cobra.Command, o *output, path string, q url.Values, key string, columns []string) error {
	text, err := o.text(c)
	if err != nil {
		return err
	}
	cl, err := newClient()
	if err != nil {
		return err
	}
	var ans map[string][]map[string]any
	if err := cl.call(c.Context(), "GET", path, q, nil, &ans); err != nil {
		return err
	}
	if !text {
		return printJSONLines(c.OutOrStdout(), ans[key])
	}
	var rows [][]string
	for _, e := range ans[key] {
		row := make([]string, len(columns))
		for i, col := range columns {
			row[i] = cell(e[strings.ToLower(col)])
		}
		rows = append(rows, row)
	}
	return table(c.OutOrStdout(), columns, rows)
}

func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case float64:
		return fmt.Sprintf("%.0f", v)
	case []any:
		parts := make([]string, len(v))
		for i, x := range v {
			parts[i] = cell(x)
		}
		return strings.Join(parts, ",")
	}
	return fmt.Sprint(v)
}

// askPassword reads a password without showing it, or a line of standard input when that is no terminal.
func askPassword(c *cobra.Command) (string, error) {
	if f, ok := stdin(c).(*os.File); ok && isTerminal(f) {
		fmt.Fprint(c.ErrOrStderr(), "Password: ")
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(c.ErrOrStderr())
		return string(b), err
	}
	s := bufio.NewScanner(stdin(c))
	if !s.Scan() {
		return "", fail(exitUsage, "no password on standard input")
	}
	return s.Text(), s.Err()
}
