package dialects

import (
	"fmt"

	"github.com/elastic/go-ucfg"
	cfgflag "github.com/elastic/go-ucfg/flag"
	"gopkg.in/yaml.v2"
)

// asText are libbeat's options for reading configurations but for variables, which stay text.
var asText = []ucfg.Option{ucfg.PathSep(".")}

// Tree reads YAML files as libbeat does: dotted keys are expanded, a later file is merged over an earlier one. ${VAR} stays as it
// is written.
func Tree(files ...[]byte) (map[string]any, error) {
	all := ucfg.New()
	for _, text := range files {
		var m any
		// The parser is libbeat's own: it differs from its successor in what is a boolean.
		if err := yaml.Unmarshal(text, &m); err != nil {
			return nil, fmt.Errorf("cannot parse configuration: %w", err)
		}
		if m == nil {
			continue
		}
		c, err := ucfg.NewFrom(markEmpty(m), asText...)
		if err != nil {
			return nil, fmt.Errorf("cannot read configuration: %w", err)
		}
		if err := all.Merge(c, asText...); err != nil {
			return nil, fmt.Errorf("cannot merge configuration: %w", err)
		}
	}
	return unpack(all)
}

// TreeBelow reads one YAML file as Tree does, and puts what it holds, a list or a mapping, below a dotted key.
func TreeBelow(key string, text []byte) (map[string]any, error) {
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		return nil, fmt.Errorf("cannot parse configuration: %w", err)
	}
	c, err := ucfg.NewFrom(map[string]any{key: markEmpty(v)}, asText...)
	if err != nil {
		return nil, fmt.Errorf("cannot read configuration: %w", err)
	}
	return unpack(c)
}

// Set merges settings of the command line, "key=value" each, over a configuration.
func Set(c map[string]any, settings []string) (map[string]any, error) {
	all, err := ucfg.NewFrom(markEmpty(c), asText...)
	if err != nil {
		return nil, fmt.Errorf("cannot read configuration: %w", err)
	}
	for _, s := range settings {
		one := ucfg.New()
		if err := cfgflag.NewFlagKeyValue(one, true, asText...).Set(s); err != nil {
			return nil, fmt.Errorf("cannot use setting %q: %w", s, err)
		}
		if err := all.Merge(one, asText...); err != nil {
			return nil, fmt.Errorf("cannot use setting %q: %w", s, err)
		}
	}
	return unpack(all)
}

func unpack(c *ucfg.Config) (map[string]any, error) {
	m := map[string]any{}
	if err := c.Unpack(&m, asText...); err != nil {
		return nil, fmt.Errorf("cannot read configuration: %w", err)
	}
	unmark(m)
	return m, nil
}

// empty marks a mapping without keys, which go-ucfg would forget; "output.console: {}" means something.
const empty = "\x00empty"

func markEmpty(v any) any {
	switch t := v.(type) {
	case map[any]any:
		for k, x := range t {
			t[k] = markEmpty(x)
		}
		if len(t) == 0 {
			t[empty] = true
		}
	case map[string]any:
		for k, x := range t {
			t[k] = markEmpty(x)
		}
		if len(t) == 0 {
			t[empty] = true
		}
	case []any:
		for i, x := range t {
			t[i] = markEmpty(x)
		}
	}
	return v
}

func unmark(v any) {
	switch t := v.(type) {
	case map[string]any:
		delete(t, empty)
		for _, x := range t {
			unmark(x)
		}
	case []any:
		for _, x := range t {
			unmark(x)
		}
	}
}
