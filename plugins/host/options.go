package host

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/tallylog/tally/plugins/pluginapi"
	"github.com/tallylog/tally/strictyaml"
)

// fill checks the configuration against the options that a plugin declares, puts in the defaults, and gives the JSON for Configure. The
// errors name the place in the file.
func (c *Config) fill(options []pluginapi.Option) ([]byte, error) {
	have := map[string]any{}
	if err := json.Unmarshal(c.options, &have); err != nil {
		return nil, c.place.Errorf("cannot read config: %v", err)
	}
	var names []string
	for _, o := range options {
		names = append(names, o.Name)
	}
	slices.Sort(names)
	err := c.Options.Pairs(func(name string, key, _ strictyaml.Node) error {
		if !slices.Contains(names, name) {
			if len(names) == 0 {
				return key.Errorf("unknown option: the plugin has none")
			}
			return key.Errorf("unknown option of the plugin; %s", strictyaml.Known(name, names))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, o := range options {
		v, ok := have[o.Name]
		switch {
		case ok && v != nil:
			if err := checkOption(o, v); err != nil {
				return nil, c.Options.At(o.Name).Place(err)
			}
		case o.Required:
			return nil, c.place.Errorf("the plugin %s wants the key %s under config", c.Name, o.Name)
		case o.Default != nil:
			have[o.Name] = o.Default
		default:
			delete(have, o.Name)
		}
	}
	return json.Marshal(have)
}

func checkOption(o pluginapi.Option, v any) error {
	ok, want := false, o.Type
	switch o.Type {
	case pluginapi.TypeString:
		var s string
		if s, ok = v.(string); ok && len(o.Values) > 0 && !slices.Contains(o.Values, s) {
			return fmt.Errorf("%q is none of %q", s, o.Values)
		}
	case pluginapi.TypeInteger:
		var x float64
		x, ok = v.(float64)
		ok, want = ok && x == math.Trunc(x), "whole number"
	case pluginapi.TypeNumber:
		_, ok = v.(float64)
	case pluginapi.TypeBoolean:
		_, ok = v.(bool)
		want = "true or false"
	case pluginapi.TypeList:
		_, ok = v.([]any)
	case pluginapi.TypeObject:
		_, ok = v.(map[string]any)
	}
	if !ok {
		return fmt.Errorf("a value of another type is wanted: %s", want)
	}
	return nil
}

// checkDescription tells what is wrong with what a plugin says of itself.
func checkDescription(d *pluginapi.Description) error {
	if !nameForm.MatchString(d.Name) {
		return fmt.Errorf("the plugin calls itself %.80q: lower-case letters, digits, - and _ are wanted", d.Name)
	}
	if len(d.Version) == 0 || len(d.Version) > 64 || len(d.Summary) > 500 || len(d.Options) > 200 {
		return fmt.Errorf("the plugin %s gives no version, or one that is too long, or too many options", d.Name)
	}
	types := []string{pluginapi.TypeString, pluginapi.TypeInteger, pluginapi.TypeNumber, pluginapi.TypeBoolean, pluginapi.TypeList, pluginapi.TypeObject}
	seen := map[string]bool{}
	for _, o := range d.Options {
		if o.Name == "" || seen[o.Name] || !slices.Contains(types, o.Type) {
			return fmt.Errorf("the plugin %s declares an option %.80q twice, or of the unknown type %.20q", d.Name, o.Name, o.Type)
		}
		seen[o.Name] = true
		if o.Default != nil && !o.Required {
			if err := checkOption(o, o.Default); err != nil {
				return fmt.Errorf("the plugin %s declares a wrong default for %s: %w", d.Name, o.Name, err)
			}
		}
	}
	for _, need := range d.Needs {
		if !slices.Contains(capabilities, need) {
			return fmt.Errorf("the plugin %s needs a Tally that can %.40q", d.Name, need)
		}
	}
	return nil
}

// capabilities of this host.
var capabilities = []string{pluginapi.CanDrop, pluginapi.CanSplit, pluginapi.CanFail, pluginapi.CanTag}
