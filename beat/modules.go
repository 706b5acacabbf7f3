package beat

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/elastic/beats/v7/libbeat/cfgfile"
	"github.com/elastic/beats/v7/libbeat/cmd/instance"
)

// modulesCommand is Filebeat's modules command, in its words, for configurations that Filebeat's own cannot read: of several outputs,
// of other versions, or under another name.
func modulesCommand(settings instance.Settings) *cobra.Command {
	c := &cobra.Command{Use: "modules", Short: "Manage configured modules"}
	c.AddCommand(
		&cobra.Command{Use: "list", Short: "List modules", Run: withModules(settings, func(m *cfgfile.GlobManager, _ string) error {
			fmt.Println("Enabled:")
			for _, f := range m.ListEnabled() {
				fmt.Println(f.Name)
			}
			fmt.Println("\nDisabled:")
			for _, f := range m.ListDisabled() {
				fmt.Println(f.Name)
			}
			return nil
		})},
		&cobra.Command{Use: "enable MODULE...", Short: "Enable one or more given modules", Run: withModules(settings, func(m *cfgfile.GlobManager, name string) error {
			if m.Enabled(name) {
				fmt.Printf("Module %s is already enabled\n", name)
				return nil
			}
			if err := m.Enable(name); err != nil {
				return fmt.Errorf("cannot enable module %s: %w", name, err)
			}
			fmt.Printf("Enabled %s\n", name)
			return nil
		})},
		&cobra.Command{Use: "disable MODULE...", Short: "Disable one or more given modules", Run: withModules(settings, func(m *cfgfile.GlobManager, name string) error {
			if !m.Enabled(name) {
				fmt.Fprintf(os.Stderr, "Module %s is already disabled\n", name)
				return nil
			}
			if err := m.Disable(name); err != nil {
				return fmt.Errorf("cannot disable module %s: %w", name, err)
			}
			fmt.Printf("Disabled %s\n", name)
			return nil
		})},
	)
	return c
}

// withModules runs do for each module that is named, or once where the command takes none.
func withModules(settings instance.Settings, do func(m *cfgfile.GlobManager, name string) error) func(*cobra.Command, []string) {
	return func(c *cobra.Command, names []string) {
		m, err := modules(settings)
		if err != nil {
			fmt.Fprintf(os.Stderr, "Error in modules manager: %v\n", err)
			os.Exit(1)
		}
		if !strings.Contains(c.Use, "MODULE") {
			names = []string{""}
		}
		for _, name := range names {
			if name != "" && !m.Exists(name) {
				fmt.Printf("Module %s doesn't exist!\n", name)
				os.Exit(1)
			}
			if err := do(m, name); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
	}
}

func modules(settings instance.Settings) (*cfgfile.GlobManager, error) {
	b, err := instance.NewInitializedBeat(settings)
	if err != nil {
		return nil, err
	}
	glob, err := b.Beat.BeatConfig.String("config.modules.path", -1)
	if err != nil {
		return nil, fmt.Errorf("modules management requires '%s.config.modules.path' setting", settings.Name)
	}
	if !strings.HasSuffix(glob, "*.yml") {
		return nil, errors.New("wrong settings for config.modules.path, it is expected to end with *.yml. Got: " + glob)
	}
	return cfgfile.NewGlobManager(glob, ".yml", ".disabled")
}
