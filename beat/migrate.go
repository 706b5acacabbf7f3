package beat

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/tallylog/tally/beat/dialects"
	"github.com/tallylog/tally/beat/dialects/dialect"
)

// migrateCommand prints what a configuration written for another beat is in the agent's own words. It changes nothing.
func migrateCommand(settings *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "migrate [CONFIG...]",
		Short: "Print a configuration of Filebeat or Journalbeat as one of tallybeat",
		Long: `Prints the configuration files (those of -c where none is named) as one native configuration of tallybeat, with ${VAR} as it is
written. Behind it stand, as comments, what became of each key that is not what it was, and the difference: "-" for a setting as it was
written, "+" for one as it is now. No file is changed.`,
		Run: func(_ *cobra.Command, files []string) {
			if len(files) == 0 {
				files = configFiles()
			}
			if err := migrate(os.Stdout, files, settings.written); err != nil {
				fmt.Fprintf(os.Stderr, "Exiting: %v\n", err)
				for _, p := range places(files, err.Error()) {
					fmt.Fprintf(os.Stderr, "  at %s\n", p)
				}
				os.Exit(1)
			}
		},
	}
}

func migrate(w io.Writer, files, settings []string) error {
	before, err := readTree(files, settings)
	if err != nil {
		return err
	}
	foreign, err := readTree(files, settings)
	if err != nil {
		return err
	}
	more, err := inputsOfDirs(foreign)
	if err != nil {
		return err
	}
	r, changed, err := dialects.Translate(Name, foreign)
	if err != nil {
		return err
	}
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(r.Config); err != nil {
		return fmt.Errorf("cannot print the configuration: %w", err)
	}
	var comments []string
	if !changed && len(more) == 0 {
		comments = []string{"", "Nothing was translated: the configuration is native already."}
	} else {
		comments = append([]string{"", "What became of what is written:", ""}, append(noteLines(files, r.Notes), more...)...)
		comments = append(append(comments, "", "The difference:", ""), difference(before, r.Config)...)
	}
	for _, line := range comments {
		if _, err := fmt.Fprintln(w, strings.TrimRight("# "+line, " ")); err != nil {
			return err
		}
	}
	return nil
}

// difference lists the settings of one tree that are not in the other, by dotted key: "- key: value" and "+ key: value".
func difference(before, after map[string]any) (lines []string) {
	from, to := map[string]string{}, map[string]string{}
	flatten(from, "", before)
	flatten(to, "", after)
	for _, side := range []struct {
		sign       string
		has, lacks map[string]string
	}{{"- ", from, to}, {"+ ", to, from}} {
		for _, key := range slices.Sorted(maps.Keys(side.has)) {
			if other, ok := side.lacks[key]; !ok || other != side.has[key] {
				lines = append(lines, side.sign+key+": "+side.has[key])
			}
		}
	}
	return lines
}

func flatten(into map[string]string, key string, v any) {
	switch t := v.(type) {
	case map[string]any:
		for k, x := range t {
			flatten(into, strings.TrimPrefix(key+"."+k, "."), x)
		}
		if len(t) == 0 {
			into[key] = "{}"
		}
	case []any:
		for i, x := range t {
			flatten(into, fmt.Sprintf("%s.%d", key, i), x)
		}
		if len(t) == 0 {
			into[key] = "[]"
		}
	default:
		into[key] = strings.ReplaceAll(dialect.Text(v), "\n", `\n`)
	}
}
