package beat

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/elastic/beats/v7/libbeat/cmd/instance"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/kibana"
)

// exportIndexPattern is export index-pattern as Journalbeat has it: a list of objects for Kibana's import of dashboards, where
// later beats print one saved object.
func exportIndexPattern(settings instance.Settings) func(*cobra.Command, []string) {
	return func(c *cobra.Command, _ []string) {
		err := func() error {
			b, err := instance.NewInitializedBeat(settings)
			if err != nil {
				return fmt.Errorf("cannot initialize the beat: %w", err)
			}
			text, err := c.Flags().GetString("es.version")
			if err != nil {
				return err
			}
			if text == "" {
				text = b.Info.Version
			}
			version, err := common.NewVersion(text)
			if err != nil {
				return fmt.Errorf("cannot use es.version %q: %w", text, err)
			}
			g, err := kibana.NewGenerator(b.Info.IndexPrefix, b.Info.Beat, b.Fields, b.Info.Version, *version, b.Config.Migration.Enabled())
			if err != nil {
				return fmt.Errorf("cannot make an index pattern: %w", err)
			}
			pattern, err := g.Generate()
			if err != nil {
				return fmt.Errorf("cannot make an index pattern: %w", err)
			}
			pattern["version"] = "1"
			out, err := json.MarshalIndent(map[string]any{"version": b.Info.Version, "objects": []any{pattern}}, "", "  ")
			if err != nil {
				return fmt.Errorf("cannot encode the index pattern: %w", err)
			}
			_, err = fmt.Println(string(out))
			return err
		}()
		if err != nil {
			fmt.Fprintf(os.Stderr, "Exiting: %v\n", err)
			os.Exit(1)
		}
	}
}
