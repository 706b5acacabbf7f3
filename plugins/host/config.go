package host

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tallylog/tally/strictyaml"
)

// Config is a plugin as it stands in a pipeline or under the key plugins. README.md in the folder above describes the keys.
type Config struct {
	Name         string           `yaml:"name,required"`
	Path         string           `yaml:"path"`
	Checksum     checksum         `yaml:"checksum"`
	Options      strictyaml.Node  `yaml:"config"`
	OnFailure    policy           `yaml:"on_failure"`
	Timeout      duration         `yaml:"timeout"`
	StartTimeout duration         `yaml:"start_timeout"`
	RetryTimeout duration         `yaml:"retry_timeout"`
	Memory       size             `yaml:"memory"`
	Environment  strictyaml.Texts `yaml:"environment"`

	place   strictyaml.Node // of the step, or of the plugin where it has none
	home    strictyaml.Node // where path and checksum stand
	options []byte          // Options as a JSON object
}

// policy is what becomes of the events of a batch that a plugin could not work on.
type policy string

const (
	keep  policy = "keep"  // they pass as they are, tagged
	retry policy = "retry" // the batch is tried again for RetryTimeout, and then kept
	drop  policy = "drop"
)

func (p *policy) UnmarshalText(b []byte) error {
	switch *p = policy(b); *p {
	case keep, retry, drop:
		return nil
	}
	return fmt.Errorf("%q is none of keep, retry, drop", b)
}

type duration time.Duration

func (d *duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil || v <= 0 {
		return fmt.Errorf("%q is no time like 5s or 500ms", b)
	}
	*d = duration(v)
	return nil
}

type size int64

var sizeForm = regexp.MustCompile(`^([0-9]{1,9}) ?(KiB|MiB|GiB|KB|MB|GB|B|)$`)

func (s *size) UnmarshalText(b []byte) error {
	m := sizeForm.FindStringSubmatch(string(b))
	if m == nil {
		return fmt.Errorf("%q is no size like 256MiB", b)
	}
	n, _ := strconv.ParseInt(m[1], 10, 64)
	*s = size(n * map[string]int64{"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[m[2]])
	return nil
}

// checksum is that of the program: sha256: and 64 hexadecimal digits.
type checksum [32]byte

func (c *checksum) UnmarshalText(b []byte) error {
	h, ok := strings.CutPrefix(string(b), "sha256:")
	d, err := hex.DecodeString(h)
	if !ok || err != nil || len(d) != len(c) {
		return errors.New("sha256: and 64 hexadecimal digits are wanted, as tally plugin check PATH prints them")
	}
	copy(c[:], d)
	return nil
}

func (c checksum) String() string { return "sha256:" + hex.EncodeToString(c[:]) }

// leastMemory is what a program needs to start at all.
const leastMemory = 32 << 20

func defaults() Config {
	return Config{OnFailure: keep, Timeout: duration(5 * time.Second), StartTimeout: duration(10 * time.Second), RetryTimeout: duration(30 * time.Second), Memory: 256 << 20}
}

var (
	nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)
	envForm  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// read reads a plugin. Of one that is named under plugins a step gives the name, and config and on_failure in place of those there.
func read(n strictyaml.Node, named map[string]Config) (Config, error) {
	c := defaults()
	if path, _ := n.Take("path"); path.IsZero() && named != nil {
		var step struct {
			Name      string          `yaml:"name,required"`
			Options   strictyaml.Node `yaml:"config"`
			OnFailure policy          `yaml:"on_failure"`
		}
		if err := n.Decode(&step); err != nil {
			return c, err
		}
		base, ok := named[step.Name]
		if !ok {
			return c, n.At("name").Errorf("there is no plugin %q under the key plugins, and no path is given", step.Name)
		}
		c = base
		c.place = n
		if step.OnFailure != "" {
			c.OnFailure = step.OnFailure
		}
		if !step.Options.IsZero() {
			c.Options = step.Options
		}
	} else if err := n.Decode(&c); err != nil {
		return c, err
	} else {
		c.place, c.home = n, n
	}
	return c, c.check()
}

func (c *Config) check() (err error) {
	n := c.place
	switch {
	case !nameForm.MatchString(c.Name):
		return n.At("name").Errorf("%q: lower-case letters, digits, - and _ are wanted, at most 64", c.Name)
	case c.Path == "":
		return n.Errorf("the key path is missing")
	case !filepath.IsAbs(c.Path):
		return n.At("path").Errorf("%q is not absolute", c.Path)
	case c.Checksum == checksum{}:
		return n.Errorf("the key checksum is missing; tally plugin check %s prints it", c.Path)
	case c.Memory < leastMemory:
		return n.At("memory").Errorf("at least 32MiB are wanted")
	}
	for _, e := range c.Environment {
		name, _, _ := strings.Cut(e, "=")
		if !envForm.MatchString(name) || strings.HasPrefix(name, "PLUGIN_") || strings.HasPrefix(name, "TALLY_PLUGIN") || strings.HasPrefix(name, "LD_") {
			return n.At("environment").Errorf("%q: NAME, to pass it on, or NAME=VALUE is wanted; PLUGIN_, TALLY_PLUGIN and LD_ are not allowed", name)
		}
	}
	c.options = []byte("{}")
	if !c.Options.IsZero() {
		if !c.Options.IsMap() {
			return c.Options.Errorf("keys and values are wanted here")
		}
		var v map[string]any
		if err := c.Options.Decode(&v); err != nil {
			return err
		}
		if c.options, err = json.Marshal(v); err != nil {
			return c.Options.Errorf("the value has no JSON form: %v", err)
		}
	}
	return nil
}

// key tells whether two steps can share a process: they are the same but for what happens to the events of a failed batch.
func (c *Config) key() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%q %q %v %s %d %d %d %q", c.Name, c.Path, c.Checksum, c.options, c.Timeout, c.StartTimeout, c.Memory, []string(c.Environment))
	return b.String()
}

// ReadNamed reads the list under the key plugins. The zero Node gives none.
func ReadNamed(n strictyaml.Node) (map[string]Config, error) {
	items, err := n.Items()
	if err != nil {
		return nil, err
	}
	named := map[string]Config{}
	for _, item := range items {
		c, err := read(item, nil)
		if err != nil {
			return nil, err
		}
		if _, ok := named[c.Name]; ok {
			return nil, item.Errorf("there are two plugins named %q", c.Name)
		}
		named[c.Name] = c
	}
	return named, nil
}
