package beat

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/elastic/beats/v7/libbeat/common"

	"github.com/tallylog/tally/beat/dialects/journalbeat7"
)

// known are the keys of the agent's section, below which Filebeat looks by itself. It takes any other without a word, and does nothing
// about it.
var known = []string{
	"autodiscover", "config.inputs", "config.modules", "config_dir", "inputs", "modules", "overwrite_pipelines", "registry.path",
	"registry.file_permissions", "registry.flush", "registry.migrate_file", "registry.cleanup_interval", "shutdown_timeout", journalbeat7.RegistryKey,
}

// deeper are the keys whose own keys are among the known ones.
var deeper = []string{"config", "registry"}

// unknownKeys are sentences about the keys of the section, of its inputs, and of the output that nobody reads, each with its dotted key.
func unknownKeys(beat string, section *common.Config, output common.ConfigNamespace) (keys, texts []string) {
	look := func(c *common.Config, prefix string, known []string, prefixed string) {
		fields := c.GetFields()
		slices.Sort(fields)
		for _, name := range fields {
			key := prefixed + name
			if slices.Contains(known, key) || prefix == beat+"." && slices.Contains(deeper, name) {
				continue
			}
			text := "has no effect: no such key is known here"
			if near := nearest(key, known); near != "" {
				text += fmt.Sprintf("; %s is", near)
			}
			keys, texts = append(keys, prefix+name), append(texts, text)
		}
	}
	look(section, beat+".", known, "")
	for _, name := range deeper {
		if c, err := section.Child(name, -1); err == nil {
			look(c, beat+"."+name+".", known, name+".")
		}
	}
	inputs, _ := section.CountField("inputs")
	for i := range inputs {
		if c, err := section.Child("inputs", i); err == nil {
			look(c, fmt.Sprintf("%s.inputs.%d.", beat, i), inputKeys, "")
		}
	}
	if output.IsSet() {
		look(output.Config(), "output."+output.Name()+".", outputKeys, "")
	}
	return keys, texts
}

// nearest is the known key that is most like one; empty where none is much like it.
func nearest(key string, known []string) (best string) {
	least := 1 + len(key)/3
	for _, k := range known {
		if k == journalbeat7.RegistryKey {
			continue // only adapters write it
		}
		if d := distance(strings.ToLower(key), k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is that of Levenshtein, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			cost := left
			if a[i] != b[j] {
				cost++
			}
			row[j+1] = min(cost, above+1, row[j]+1)
			left = above
		}
	}
	return row[len(b)]
}

// warnOfUnknown logs, with its place, each key of the section, its inputs and the output that has no effect.
func (t *translation) warnOfUnknown(section *common.Config, output common.ConfigNamespace, warn func(line string)) {
	keys, texts := unknownKeys(t.beat, section, output)
	for i, key := range keys {
		key = written(t.notes, key)
		place := "command line: " + key
		for _, name := range configFiles() {
			parts := strings.Split(key, ".")
			if root, err := parse(name); err == nil {
				if node, depth := find(root, parts); depth == len(parts) {
					place = fmt.Sprintf("%s:%d: %s", name, node.Line, key)
				}
			}
		}
		warn(place + ": " + texts[i])
	}
}

// warnOfTwins logs, with its place, each key of the files that stands twice in one mapping: the parser takes the last without a word.
func warnOfTwins(files []string, warn func(line string)) {
	for _, name := range files {
		root, err := parse(name)
		if err != nil {
			continue
		}
		var look func(n *yaml.Node)
		look = func(n *yaml.Node) {
			first := map[string]int{}
			for i, child := range n.Content {
				if n.Kind == yaml.MappingNode && i%2 == 0 && child.Value != "<<" {
					if line, twice := first[child.Value]; twice {
						warn(fmt.Sprintf("%s:%d: %s: stands in line %d, too; only the last one counts", name, child.Line, child.Value, line))
					}
					first[child.Value] = child.Line
				}
				look(child)
			}
		}
		look(root)
	}
}
