package cmd

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// output is the form chosen by --output: text for people, json for programs, auto by where it goes.
type output struct{ form string }

func (o *output) flag(c *cobra.Command) {
	c.Flags().StringVarP(&o.form, "output", "o", "auto", "text, json, or auto: text on a terminal, json in a pipe")
}

func (o *output) text(c *cobra.Command) (bool, error) {
	switch o.form {
	case "auto":
		return stdoutIsTerminal(c), nil
	case "text", "json":
		return o.form == "text", nil
	}
	return false, fail(exitUsage, "--output %q is none of text, json, auto", o.form)
}

// painter colours text where a terminal shows it; see https://no-color.org for the variable.
type painter bool

func newPainter(c *cobra.Command) painter {
	return painter(stdoutIsTerminal(c) && os.Getenv("NO_COLOR") == "")
}

func (p painter) paint(code, s string) string {
	if !p || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// toSeconds is a time of the API as tables have it.
func toSeconds(at string) string {
	t, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		return at
	}
	return t.UTC().Format(time.RFC3339)
}

// printLine prints an event for people: local time, level, where it is from, message.
func (p painter) printLine(w io.Writer, e map[string]string) {
	at := e["@timestamp"]
	if t, err := time.Parse(time.RFC3339Nano, at); err == nil {
		at = t.Local().Format("2006-01-02 15:04:05.000")
	}
	level := first(e, "log.level", "level", "severity")
	where := origin(e)
	fmt.Fprint(w, p.paint("2", at))
	if level != "" {
		fmt.Fprintf(w, " %s", p.paint(levelColour(level), fmt.Sprintf("%-5s", strings.ToUpper(level))))
	}
	if where != "" {
		fmt.Fprintf(w, " %s", p.paint("36", printable(where)))
	}
	fmt.Fprintf(w, " %s\n", printable(e["message"]))
}

// origin is the shortest text that tells people where a line is from.
func origin(e map[string]string) string {
	if pod := first(e, "kubernetes.pod.name"); pod != "" {
		return first(e, "kubernetes.namespace") + "/" + pod
	}
	return first(e, "container.name", "systemd.unit", "process.name", "syslog.identifier", "log.file.path", "host.name")
}

func first(e map[string]string, names ...string) string {
	for _, n := range names {
		if v := e[n]; v != "" {
			return v
		}
	}
	return ""
}

func levelColour(level string) string {
	switch l := strings.ToLower(level); {
	case strings.HasPrefix(l, "err"), strings.HasPrefix(l, "crit"), strings.HasPrefix(l, "fatal"), l == "emerg", l == "alert", l == "panic":
		return "31"
	case strings.HasPrefix(l, "warn"):
		return "33"
	case strings.HasPrefix(l, "debug"), strings.HasPrefix(l, "trace"):
		return "2"
	}
	return "32"
}

// printable keeps control characters of a log line from steering the terminal; new lines and tabs stay.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, s)
}

// table prints rows in columns.
func table(w io.Writer, head []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(head, "\t"))
	for _, r := range rows {
		for i := range r {
			r[i] = strings.ReplaceAll(printable(r[i]), "\n", " ")
		}
		fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	return t.Flush()
}

// printJSONLines prints each value as one line.
func printJSONLines[T any](w io.Writer, list []T) error {
	b := bufio.NewWriter(w)
	enc := json.NewEncoder(b)
	for _, v := range list {
		if err := enc.Encode(v); err != nil {
			return err
		}
	}
	return b.Flush()
}
