package beat

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/elastic/beats/v7/libbeat/cfgfile"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/logp"

	"github.com/tallylog/tally/beat/dialects"
	"github.com/tallylog/tally/beat/dialects/dialect"
)

// translation runs configurations of other beats: what libbeat has read from the files, and what the command line sets, is
// translated before libbeat looks at it. libbeat asks for each command alike.
type translation struct {
	beat     string // the name that the program goes by
	settings *settings
	fail     func(error)

	mu     sync.Mutex
	notes  []dialect.Note
	more   []string // lines about the files of config_dir
	logged bool
}

// settings records what -E sets as it is written: libbeat's own record has resolved or forgotten ${VAR:default}.
type settings struct {
	*common.SettingsFlag
	written []string
}

// recordSettings puts a settings in the place of libbeat's flag -E. It must be called before commands take the flag.
func recordSettings() *settings {
	s := &settings{}
	if f := flag.CommandLine.Lookup("E"); f != nil {
		if original, ok := f.Value.(*common.SettingsFlag); ok {
			s.SettingsFlag = original
			f.Value = s
		}
	}
	return s
}

// Set is called for each -E, and again when libbeat parses the flags a second time.
func (s *settings) Set(text string) error {
	if err := s.SettingsFlag.Set(text); err != nil {
		return err
	}
	if !slices.Contains(s.written, text) {
		s.written = append(s.written, text)
	}
	return nil
}

// String is called on the zero value, too.
func (s *settings) String() string {
	if s == nil || s.SettingsFlag == nil {
		return ""
	}
	return s.SettingsFlag.String()
}

// override returns the hook by which libbeat hands over the configuration.
func (t *translation) override() cfgfile.ConditionalOverride {
	return cfgfile.ConditionalOverride{
		Config: common.NewConfig(),
		Check: func(c *common.Config) bool {
			if err := t.apply(c); err != nil {
				t.fail(err)
			}
			return false
		},
	}
}

// apply translates c in place.
func (t *translation) apply(c *common.Config) error {
	tree, err := readTree(configFiles(), t.settings.written)
	if err != nil {
		return err
	}
	more, err := inputsOfDirs(tree)
	if err != nil {
		return err
	}
	r, changed, err := dialects.Translate(t.beat, tree)
	if err != nil || !changed && len(more) == 0 {
		return err
	}
	native, err := common.NewConfigFrom(r.Config)
	if err != nil {
		return fmt.Errorf("cannot use translated configuration: %w", err)
	}
	for _, field := range c.GetFields() {
		if _, err := c.Remove(field, -1); err != nil {
			return fmt.Errorf("cannot replace configuration: %w", err)
		}
	}
	if err := c.Merge(native); err != nil {
		return fmt.Errorf("cannot use translated configuration: %w", err)
	}
	// The settings are in the translation already. Merged again, as they are written, they would be foreign again.
	if flags := flagSettings(); flags != nil {
		for _, field := range flags.GetFields() {
			if field == "path" { // of the flags -path.*, too, which are not among those that were written
				continue
			}
			if _, err := flags.Remove(field, -1); err != nil {
				return fmt.Errorf("cannot use the settings of the command line: %w", err)
			}
		}
	}
	t.mu.Lock()
	t.notes, t.more = r.Notes, more
	t.mu.Unlock()
	return nil
}

// readTree reads files, and settings of the command line over them, with variables as they are written.
func readTree(files, settings []string) (map[string]any, error) {
	texts := make([][]byte, len(files))
	for i, name := range files {
		var err error
		if texts[i], err = os.ReadFile(name); err != nil {
			return nil, fmt.Errorf("cannot read configuration %q: %w", name, err)
		}
	}
	tree, err := dialects.Tree(texts...)
	if err != nil {
		return nil, fmt.Errorf("%w in %s", err, strings.Join(files, ", "))
	}
	return dialects.Set(tree, settings)
}

// warn logs, once, what was translated to what, and which keys have no effect.
func (t *translation) warn(log *logp.Logger, section *common.Config, output common.ConfigNamespace) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.logged {
		return
	}
	t.logged = true
	for _, line := range append(noteLines(configFiles(), t.notes), t.more...) {
		log.Warn(line)
	}
	warnOfTwins(configFiles(), func(line string) { log.Warn(line) })
	t.warnOfUnknown(section, output, func(line string) { log.Warn(line) })
}

// fields5 tells whether the files of config.inputs were those of config.prospectors, whose events have the fields of version 5.
func (t *translation) fields5() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.ContainsFunc(t.notes, func(n dialect.Note) bool { return strings.HasSuffix(n.Key, ".config.prospectors") })
}

// noteLines are the notes as lines that begin with the place of the key.
func noteLines(files []string, notes []dialect.Note) []string {
	var lines []string
	for _, n := range notes {
		if n.Text == "" {
			continue
		}
		place := placeOf(files, written(notes, n.Key)) // one note may be about what another one made
		if place == "" {
			place = "command line: " + n.Key
		}
		lines = append(lines, place+": "+n.Text)
	}
	return lines
}

// written returns the key that the user has written for one of the translated configuration.
func written(notes []dialect.Note, key string) string {
	best := dialect.Note{}
	for _, n := range notes {
		if n.Now != "" && (n.Now == key || strings.HasPrefix(key, n.Now+".")) && len(n.Now) > len(best.Now) {
			best = n
		}
	}
	if best.Now == "" {
		return key
	}
	return best.Key + strings.TrimPrefix(key, best.Now)
}

// asWritten gives the keys in an error of libbeat the names that the user's files have for them.
func (t *translation) asWritten(message string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return accessing.ReplaceAllStringFunc(message, func(s string) string {
		return "accessing '" + written(t.notes, accessing.FindStringSubmatch(s)[1]) + "'"
	})
}
