package beat

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/elastic/beats/v7/libbeat/cfgfile"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/outputs"
)

// configFiles are the files that libbeat will read, in its order. The flags must have been parsed.
func configFiles() []string {
	f := flag.CommandLine.Lookup("c")
	if f == nil {
		return nil
	}
	list, ok := f.Value.(interface{ List() []string })
	if !ok {
		return nil
	}
	var files []string
	for _, name := range list.List() {
		if !filepath.IsAbs(name) {
			name = filepath.Join(cfgfile.GetPathConfig(), name)
		}
		files = append(files, name)
	}
	return files
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

// checkFiles refuses what libbeat would refuse without saying where: files that are no YAML, and unknown outputs.
func checkFiles(files []string) error {
	for _, name := range files {
		if _, err := common.LoadFile(name); err != nil {
			return unreadable(name, err)
		}
		root, err := parse(name)
		if err != nil {
			continue // libbeat's parser took it, and that is the one that counts
		}
		for _, p := range pairs(root) {
			first, kind, dotted := strings.Cut(p.key.Value, ".")
			if first != "output" {
				continue
			}
			kinds := []pair{{key: p.key}}
			if !dotted {
				kinds = pairs(p.value)
			}
			for _, k := range kinds {
				if !dotted {
					kind = k.key.Value
				}
				kind, _, _ = strings.Cut(kind, ".")
				if outputs.FindFactory(kind) == nil {
					return fmt.Errorf("unknown output %q\n  at %s:%d: output.%s", kind, name, k.key.Line, kind)
				}
			}
		}
	}
	return nil
}

// unreadable says which file could not be read and, where the parser knows it, shows the line.
func unreadable(name string, err error) error {
	err = fmt.Errorf("cannot read configuration %q: %w", name, err)
	m := yamlLine.FindStringSubmatch(strings.TrimPrefix(err.Error(), fmt.Sprintf("cannot read configuration %q: ", name)))
	if m == nil {
		return err
	}
	n, _ := strconv.Atoi(m[1])
	text, readErr := os.ReadFile(name)
	lines := strings.Split(string(text), "\n")
	if readErr != nil || n < 1 || n > len(lines) {
		return err
	}
	return fmt.Errorf("%w\n  at %s:%d: %s", err, name, n, strings.TrimSpace(lines[n-1]))
}

// accessing is how go-ucfg names a key; named is how libbeat's errors quote a value they do not know.
var (
	accessing = regexp.MustCompile(`accessing '([^']+)'`)
	named     = regexp.MustCompile(`(?:action|type|condition|input|module|fileset) '?([\w./-]+)'? (?:does not exist|doesn't exist|undefined)`)
)

// places finds the keys of an error message in the files and returns "file:line: key" for each.
func places(files []string, message string) []string {
	var out []string
	for _, name := range files {
		root, err := parse(name)
		if err != nil {
			continue
		}
		for _, m := range accessing.FindAllStringSubmatch(message, -1) {
			if place := placeOf([]string{name}, m[1]); place != "" {
				out = append(out, place)
			}
		}
		if len(out) > 0 {
			continue
		}
		for _, m := range named.FindAllStringSubmatch(message, -1) {
			if node := scalar(root, func(text string) bool { return text == m[1] || strings.HasPrefix(text, m[1]+".") }); node != nil {
				out = append(out, fmt.Sprintf("%s:%d: %s", name, node.Line, m[1]))
			}
		}
		if strings.Contains(message, "error parsing regexp") {
			if node := scalar(root, func(text string) bool {
				_, err := regexp.Compile(text)
				return err != nil && strings.Contains(message, err.Error())
			}); node != nil {
				out = append(out, fmt.Sprintf("%s:%d: %s", name, node.Line, node.Value))
			}
		}
	}
	return out
}

// placeOf returns "file:line: key" for the last of the files that has the key, or the most of its parts; "" where none has any.
func placeOf(files []string, key string) (place string) {
	most := 0
	for _, name := range files {
		root, err := parse(name)
		if err != nil {
			continue
		}
		if node, depth := find(root, strings.Split(key, ".")); depth > 0 && depth >= most {
			place, most = fmt.Sprintf("%s:%d: %s", name, node.Line, key), depth
		}
	}
	return place
}

func parse(name string) (*yaml.Node, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read configuration %q: %w", name, err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("cannot parse configuration %q: %w", name, err)
	}
	if len(doc.Content) == 0 {
		return &doc, nil
	}
	return doc.Content[0], nil
}

type pair struct{ key, value *yaml.Node }

// pairs are the keys and values of a mapping, none of anything else.
func pairs(n *yaml.Node) []pair {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		return nil
	}
	var out []pair
	for i := 0; i+1 < len(n.Content); i += 2 {
		out = append(out, pair{n.Content[i], n.Content[i+1]})
	}
	return out
}

// find follows a path, whose parts may be written in one key ("queue.mem.events: 1") or in several, as far as it goes. It
// returns the node of the last key, or list element, and how many parts it found.
func find(n *yaml.Node, path []string) (best *yaml.Node, depth int) {
	if len(path) == 0 {
		return nil, 0
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	try := func(key, value *yaml.Node, parts int) {
		node, more := find(value, path[parts:])
		if more == 0 {
			node = key
		}
		if parts+more > depth {
			best, depth = node, parts+more
		}
	}
	if n.Kind == yaml.SequenceNode {
		if i, err := strconv.Atoi(path[0]); err == nil && i >= 0 && i < len(n.Content) {
			try(n.Content[i], n.Content[i], 1)
		}
		return best, depth
	}
	for _, p := range pairs(n) {
		parts := strings.Split(p.key.Value, ".")
		switch n := len(path); {
		case len(parts) <= n && strings.Join(path[:len(parts)], ".") == p.key.Value:
			try(p.key, p.value, len(parts))
		case len(parts) > n && n > depth && strings.HasPrefix(p.key.Value, strings.Join(path, ".")+"."):
			best, depth = p.key, n // the mapping that is asked for is written in parts
		}
	}
	return best, depth
}

// scalar finds the first key or value that is like this.
func scalar(n *yaml.Node, like func(text string) bool) *yaml.Node {
	if n.Kind == yaml.ScalarNode && like(n.Value) {
		return n
	}
	for _, c := range n.Content {
		if found := scalar(c, like); found != nil {
			return found
		}
	}
	return nil
}
