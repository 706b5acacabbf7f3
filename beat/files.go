package beat

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/elastic/beats/v7/libbeat/cfgfile"
	"github.com/elastic/beats/v7/libbeat/common"

	"github.com/tallylog/tally/beat/dialects"
	"github.com/tallylog/tally/beat/dialects/dialect"
)

// translateFile translates a file of config.inputs or config.modules, which is a list. fields gives the events of inputs the fields of
// version 5. configs is nil where the file is native.
func translateFile(name string, text []byte, list string, fields bool) (configs []*common.Config, notes []string, err error) {
	written := list
	if fields {
		written = "prospectors"
	}
	tree, err := dialects.TreeBelow("filebeat."+written, text)
	if err != nil {
		return nil, nil, fmt.Errorf("%w in %s", err, name)
	}
	r, changed, err := dialects.Translate("filebeat", tree)
	inFile := func(key string) (string, bool) { // the key as find knows it
		for _, prefix := range []string{written, list} {
			if rest, ok := strings.CutPrefix(key, "filebeat."+prefix+"."); ok {
				return rest, true
			}
		}
		return "", false
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot use configuration %q: %w", name, placed(name, err, inFile))
	}
	if !changed {
		return nil, nil, nil
	}
	v, _ := dialect.Get(r.Config, "filebeat."+list)
	for _, one := range dialect.List(v) {
		c, err := common.NewConfigFrom(one)
		if err != nil {
			return nil, nil, fmt.Errorf("cannot use translated configuration %q: %w", name, err)
		}
		configs = append(configs, c)
	}
	return configs, fileNotes(name, r.Notes, inFile), nil
}

// fileNotes are the notes about the keys of one file as lines.
func fileNotes(name string, notes []dialect.Note, inFile func(string) (string, bool)) (lines []string) {
	for _, n := range notes {
		key, ok := inFile(n.Key)
		if !ok || n.Text == "" {
			continue
		}
		lines = append(lines, placeIn(name, key)+": "+n.Text)
	}
	return lines
}

// placeIn is the place of a key of a file whose list may be one element without a list around it.
func placeIn(name, key string) string {
	_, below, _ := strings.Cut(key, ".")
	for _, k := range []string{key, below} {
		if k == "" {
			continue
		}
		if p := placeOf([]string{name}, k); p != "" {
			return p
		}
	}
	return name + ": " + key
}

// placed gives an error about one key the place that this has in a file.
func placed(name string, err error, inFile func(string) (string, bool)) error {
	var k *dialect.KeyError
	if !errors.As(err, &k) {
		return err
	}
	key, ok := inFile(k.Key)
	if !ok {
		key = k.Key
	}
	return fmt.Errorf("%s\n  at %s", k.Text, placeIn(name, key))
}

// inputsOfDirs is inputsOf for every section that the tree may have.
func inputsOfDirs(tree map[string]any) (notes []string, err error) {
	for _, section := range []string{"filebeat", Name} {
		more, err := inputsOf(tree, section)
		if err != nil {
			return nil, err
		}
		notes = append(notes, more...)
	}
	return notes, nil
}

// inputsOf reads the files of filebeat.config_dir, which have whole configurations of which only the inputs count, and puts these behind
// those of the tree, translated. It returns what is to be said of them.
func inputsOf(tree map[string]any, section string) (notes []string, err error) {
	s, _ := tree[section].(map[string]any)
	v, ok := s["config_dir"].(string)
	if !ok || v == "" || strings.Contains(v, "${") { // with a variable it stays Filebeat's to read
		return nil, nil
	}
	dir := v
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(cfgfile.GetPathConfig(), dir)
	}
	files := []string{dir}
	info, err := os.Stat(dir)
	if err == nil && info.IsDir() {
		files, err = filepath.Glob(filepath.Join(dir, "*.yml"))
	}
	if err != nil {
		return nil, &dialect.KeyError{Key: section + ".config_dir", Text: fmt.Sprintf("cannot read it: %v", err)}
	}
	var global []any // what the fields of version 5 need, the same for all files
	for _, name := range files {
		if _, err := common.LoadFile(name); err != nil { // it looks at the file's owner, too
			return nil, unreadable(name, err)
		}
		whole, err := readTree([]string{name}, nil)
		if err != nil {
			return nil, err
		}
		one, _ := whole["filebeat"].(map[string]any)
		part := map[string]any{}
		for _, key := range []string{"inputs", "prospectors"} {
			if v, ok := one[key]; ok {
				part[key] = v
			}
		}
		all := func(key string) (string, bool) { return key, true }
		r, _, err := dialects.Translate(section, map[string]any{"filebeat": part})
		if err != nil {
			return nil, fmt.Errorf("cannot use configuration %q: %w", name, placed(name, err, all))
		}
		inputs, _ := dialect.Get(r.Config, section+".inputs")
		dialect.Append(s, "inputs", dialect.List(inputs)...)
		if p := dialect.List(r.Config["processors"]); len(p) > 0 {
			global = p
		}
		for _, n := range r.Notes {
			if n.Text != "" && n.Key != "filebeat" {
				notes = append(notes, placeIn(name, n.Key)+": "+n.Text)
			}
		}
	}
	if len(global) > 0 {
		tree["processors"] = append(global, dialect.List(tree["processors"])...)
	}
	delete(s, "config_dir")
	return append(notes, fmt.Sprintf("%s.config_dir: %d files in %q became inputs", section, len(files), dir)), nil
}
