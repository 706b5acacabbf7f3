package multiline

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/elastic/beats/v7/libbeat/common/match"
)

// Config has the keys below multiline. A line that matches pattern (or does not, with negate) belongs to the line before it (match:
// after) or to the line after it (match: before).
type Config struct {
	Type     string         `config:"type"`
	Preset   string         `config:"preset"` // in place of pattern, negate and match
	Pattern  *match.Matcher `config:"pattern"`
	Negate   bool           `config:"negate"`
	Match    string         `config:"match"`
	MaxLines int            `config:"max_lines"`
	Timeout  time.Duration  `config:"timeout"`
}

// InitDefaults is called by the configuration library before the keys are read.
func (c *Config) InitDefaults() { c.Type, c.MaxLines, c.Timeout = "pattern", 500, 5*time.Second }

// Validate is called by the configuration library afterwards.
func (c *Config) Validate() error {
	if c.Type != "pattern" {
		return fmt.Errorf("multiline.type is %q, and only pattern is supported", c.Type)
	}
	switch {
	case c.Preset != "" && (c.Pattern != nil || c.Negate || c.Match != ""):
		return errors.New("multiline.preset excludes pattern, negate and match")
	case c.Preset != "" && presets[c.Preset] == nil:
		return fmt.Errorf("multiline.preset is %q, want one of %s", c.Preset, strings.Join(Presets(), ", "))
	case c.Preset != "":
		c.Match = "after"
	case c.Pattern == nil:
		return errors.New("multiline needs a pattern or a preset")
	}
	if c.Match != "after" && c.Match != "before" {
		return errors.New("multiline.match must be after or before")
	}
	if c.MaxLines <= 0 || c.Timeout <= 0 {
		return errors.New("multiline.max_lines and multiline.timeout must be above 0")
	}
	return nil
}

// Event is what the rules need to know of the event of a stream that is open. Its zero value is none.
type Event struct {
	lines int
	last  string
}

// Next takes the next line of a stream, without its end. begins says that a new event begins with it, so that the open one, if
// there is one, ended before it; ends, that the event that it is in ends with it. cut ends the event in any case.
func (c *Config) Next(e *Event, text string, cut bool) (begins, ends bool) {
	marked := c.continues(text, e.last)
	if begins = e.lines == 0 || c.Match == "after" && !marked; begins {
		e.lines = 0
	}
	e.lines++
	e.last = text
	if ends = cut || e.lines >= c.MaxLines || c.Match == "before" && !marked; ends {
		*e = Event{}
	}
	return begins, ends
}

// continues says whether a line belongs to its neighbour: with a preset to the line before it, which is before, empty where an event
// begins.
func (c *Config) continues(text, before string) bool {
	if c.Preset != "" {
		return presets[c.Preset].continues(text, before)
	}
	return c.Pattern.MatchString(text) != c.Negate
}
