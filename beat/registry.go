package beat

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/elastic/beats/v7/filebeat/config"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/paths"

	"github.com/tallylog/tally/inputs/applog"
	"github.com/tallylog/tally/inputs/filebeat"
	"github.com/tallylog/tally/inputs/positions"
)

// checkRegistry refuses a registry of Filebeat's inputs that cannot be read. Filebeat itself moves the file of versions before 7 to
// another place before it looks into it.
func checkRegistry(cfg *common.Config) error {
	c := config.DefaultConfig
	if err := cfg.Unpack(&c); err != nil {
		return err
	}
	root := paths.Resolve(paths.Data, c.Registry.Path)
	files := []string{root, root + ".bak"} // the second was left by a migration that did not end
	if c.Registry.MigrateFile != "" {
		file := paths.Resolve(paths.Data, c.Registry.MigrateFile)
		files = append(files, file, file+".bak")
	}
	meta := filepath.Join(root, "filebeat", "meta.json")
	text, err := os.ReadFile(meta)
	if err == nil {
		var m struct{ Version string }
		if err := json.Unmarshal(text, &m); err != nil {
			return unreadableRegistry(meta, err)
		}
		switch m.Version {
		case "0":
			files = append(files, filepath.Join(root, "filebeat", "data.json"))
		case "1":
			files = nil
		default:
			return unreadableRegistry(meta, fmt.Errorf("it is of version %q, and 0 and 1 are known", m.Version))
		}
	}
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return unreadableRegistry(name, err)
		}
		var states []json.RawMessage
		if err := json.Unmarshal(text, &states); err != nil {
			var states map[string]json.RawMessage
			if json.Unmarshal(text, &states) == nil {
				err = errors.New("it is of Filebeat 1; run Filebeat 5 once, which writes the form that can be taken over")
			}
			return unreadableRegistry(name, err)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !isFile(root) {
		return unreadableRegistry(meta, err)
	}
	if err := filebeat.Resume(root); err != nil {
		return fmt.Errorf("cannot go on with the migration of Filebeat's registry %q: %w", root, err)
	}
	return nil
}

// registryPath is where Filebeat's registry is, or would be.
func registryPath(cfg *common.Config) string {
	c := config.DefaultConfig
	if cfg == nil || cfg.Unpack(&c) != nil {
		return ""
	}
	return paths.Resolve(paths.Data, c.Registry.Path)
}

// checkTakeovers refuses applog inputs whose registry of another Filebeat cannot be taken over. Once the inputs run, Filebeat would only
// log it.
func checkTakeovers(beat string, cfg *common.Config, store *positions.Store, o ownOptions) error {
	var root struct {
		Inputs []*common.Config `config:"inputs"`
	}
	if err := cfg.Unpack(&root); err != nil {
		return err
	}
	for i, in := range root.Inputs {
		if kind, err := in.String("type", -1); err != nil || kind != applog.Name || !in.Enabled() {
			continue
		}
		if err := applog.CheckRegistry(in, store, o.applog()); err != nil {
			return fmt.Errorf("%w accessing '%s.inputs.%d.registry'", err, beat, i)
		}
	}
	return nil
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

func unreadableRegistry(name string, err error) error {
	return fmt.Errorf("cannot use Filebeat's registry %q, which stays as it is: %w", name, err)
}
