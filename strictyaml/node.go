package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// Node is a place in a file. A field of this type takes the YAML below its key as it is, to be decoded later. The zero Node
// stands for a key that is not there.
type Node struct {
	yaml *yaml.Node
	file string
	path string
}

// Parse reads YAML. file is for messages. ${VAR} and ${VAR:default} in values are replaced by what env says, as Beats do it. The
// Node of an empty text is zero.
func Parse(file string, text []byte, env func(string) (string, bool)) (Node, error) {
	var doc, more yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&doc); err != nil && err != io.EOF {
		return Node{}, located(file, err)
	}
	switch err := d.Decode(&more); {
	case err == io.EOF:
	case err != nil:
		return Node{}, located(file, err)
	case len(more.Content) > 0 && more.Content[0].Tag != "!!null": // an empty one is but a line at the end
		return Node{}, fmt.Errorf("%s:%d: a second document (---) begins here; it would be ignored", file, more.Line)
	}
	if len(doc.Content) == 0 {
		return Node{}, nil
	}
	n := Node{yaml: doc.Content[0], file: file}
	return n, n.expand(env)
}

// ReadFile is Parse of a file, with the environment of the process.
func ReadFile(file string) (Node, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return Node{}, err
	}
	return Parse(file, text, os.LookupEnv)
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

// located gives a YAML syntax error its file and line.
func located(file string, err error) error {
	s := err.Error()
	if m := yamlLine.FindStringSubmatch(s); m != nil {
		return fmt.Errorf("%s:%s: %s", file, m[1], s[len(m[0]):])
	}
	return fmt.Errorf("%s:1: %s", file, strings.TrimPrefix(s, "yaml: ")) // yaml leaves the number of the first line out
}

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_.]*)(?::([^}]*))?\}`)

// expand replaces ${VAR} and ${VAR:default} in all values below n.
func (n Node) expand(env func(string) (string, bool)) error {
	y := n.yaml
	if y.Kind == yaml.ScalarNode && strings.Contains(y.Value, "${") {
		var missing string
		v := variable.ReplaceAllStringFunc(y.Value, func(m string) string {
			p := variable.FindStringSubmatch(m)
			if v, ok := env(p[1]); ok {
				return v
			}
			if !strings.Contains(m, ":") {
				missing = p[1]
			}
			return p[2]
		})
		if missing != "" {
			return n.Errorf("environment variable %s is not set, and %q gives no default", missing, y.Value)
		}
		y.Value = v
		y.Tag = ""
	}
	for _, c := range y.Content {
		if err := (Node{yaml: c, file: n.file}).expand(env); err != nil {
			return err
		}
	}
	return nil
}

// IsZero tells whether there is nothing here: no key, or a key without a value.
func (n Node) IsZero() bool {
	return n.yaml == nil || n.yaml.Kind == yaml.ScalarNode && n.yaml.ShortTag() == "!!null"
}

// Path is the dotted key of the place.
func (n Node) Path() string { return n.path }

// Value is the text of a single value.
func (n Node) Value() string {
	if n = n.resolve(); n.yaml == nil {
		return ""
	}
	return n.yaml.Value
}

// IsText, IsList and IsMap tell what stands here; IsText holds for every single value.
func (n Node) IsText() bool { return n.is(yaml.ScalarNode) }
func (n Node) IsList() bool { return n.is(yaml.SequenceNode) }
func (n Node) IsMap() bool  { return n.is(yaml.MappingNode) }

func (n Node) is(k yaml.Kind) bool {
	n = n.resolve()
	return n.yaml != nil && n.yaml.Kind == k
}

func (n Node) resolve() Node {
	if n.yaml != nil && n.yaml.Kind == yaml.AliasNode {
		n.yaml = n.yaml.Alias
	}
	return n
}

// Errorf makes an error that names file, line and key.
func (n Node) Errorf(format string, args ...any) error {
	where := n.file
	if n.yaml != nil {
		where = fmt.Sprintf("%s:%d", n.file, n.yaml.Line)
	}
	if n.path != "" {
		where += ": " + n.path
	}
	return &placed{where + ": " + fmt.Sprintf(format, args...)}
}

type placed struct{ s string }

func (p *placed) Error() string { return p.s }

// Place makes err one of Errorf, unless it is one already.
func (n Node) Place(err error) error {
	var p *placed
	if err == nil || errors.As(err, &p) {
		return err
	}
	return n.Errorf("%v", err)
}

// At gives the place that the dotted key below n leads to, or the deepest of its parents that the file has, under that key.
func (n Node) At(key string) Node {
	to := n.resolve()
	for _, part := range strings.Split(key, ".") {
		c := to.child(part)
		if c == nil {
			break
		}
		to.yaml = c
	}
	return Node{yaml: to.yaml, file: n.file, path: join(n.path, key)}
}

func (n Node) child(key string) *yaml.Node {
	if n.yaml == nil || n.yaml.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.yaml.Content); i += 2 {
		if n.yaml.Content[i].Value == key {
			return n.yaml.Content[i+1]
		}
	}
	return nil
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// Pairs calls f with each key and its value, in their order; the place of a key is given for messages about the key itself.
func (n Node) Pairs(f func(name string, key, value Node) error) error {
	n = n.resolve()
	if n.yaml == nil {
		return nil
	}
	if n.yaml.Kind != yaml.MappingNode {
		return n.Errorf("keys and values are wanted here")
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.yaml.Content); i += 2 {
		k, v := n.yaml.Content[i], n.yaml.Content[i+1]
		at := join(n.path, k.Value)
		key := Node{yaml: k, file: n.file, path: at}
		if seen[k.Value] {
			return key.Errorf("the key stands twice")
		}
		seen[k.Value] = true
		if err := f(k.Value, key, Node{yaml: v, file: n.file, path: at}); err != nil {
			return err
		}
	}
	return nil
}

// Items gives the items of a list.
func (n Node) Items() ([]Node, error) {
	n = n.resolve()
	if n.IsZero() {
		return nil, nil
	}
	if n.yaml.Kind != yaml.SequenceNode {
		return nil, n.Errorf("a list is wanted")
	}
	out := make([]Node, len(n.yaml.Content))
	for i, c := range n.yaml.Content {
		out[i] = Node{yaml: c, file: n.file, path: fmt.Sprintf("%s[%d]", n.path, i)}
	}
	return out, nil
}

// Take splits a key off: it gives the value of the key, and n without it.
func (n Node) Take(key string) (value, rest Node) {
	rest = n.resolve()
	if rest.child(key) == nil {
		return Node{}, rest
	}
	value = rest.At(key)
	y := *rest.yaml
	y.Content = nil
	for i := 0; i+1 < len(rest.yaml.Content); i += 2 {
		if rest.yaml.Content[i].Value != key {
			y.Content = append(y.Content, rest.yaml.Content[i], rest.yaml.Content[i+1])
		}
	}
	rest.yaml = &y
	return value, rest
}

// File is the name of the file, as Parse was given it.
func (n Node) File() string { return n.file }

// Line is the number of the line, from 1; 0 for the zero Node.
func (n Node) Line() int {
	if n.yaml == nil {
		return 0
	}
	return n.yaml.Line
}
