package beat

import (
	"fmt"
	"slices"
	"strings"

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

// unknownKeys are sentences about the keys of the section that nobody reads, each with its dotted key in the section.
func unknownKeys(cfg *common.Config) (keys, texts []string) {
	look := func(c *common.Config, prefix string) {
		fields := c.GetFields()
		slices.Sort(fields)
		for _, name := range fields {
			key := prefix + name
			if slices.Contains(known, key) || prefix == "" && slices.Contains(deeper, name) {
				continue
			}
			text := "has no effect: no such key is known here"
			if near := nearest(key); near != "" {
				text += fmt.Sprintf("; %s is", near)
			}
			keys, texts = append(keys, key), append(texts, text)
		}
	}
	look(cfg, "")
	for _, name := range deeper {
		if c, err := cfg.Child(name, -1); err == nil {
			look(c, name+".")
		}
	}
	return keys, texts
}

// nearest is the known key that is most like one; empty where none is much like it.
func nearest(key string) (best string) {
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

// warnOfUnknown logs, with its place, each key of the section that has no effect.
func (t *translation) warnOfUnknown(cfg *common.Config, warn func(line string)) {
	keys, texts := unknownKeys(cfg)
	for i, key := range keys {
		key = written(t.notes, t.beat+"."+key)
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
