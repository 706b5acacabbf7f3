package applog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/elastic/beats/v7/libbeat/common/match"
)

// multiline joins lines to one event, with the meaning of Filebeat's keys: a line that matches pattern (or does not, with
// negate) belongs to the line before it (match: after) or to the line after it (match: before).
//
// An event is a function of where it begins, the bytes behind that, and the cuts in the registry: so a replay from the end of any
// event cuts the rest as before.
type multiline struct {
	Type     string         `config:"type"`
	Preset   string         `config:"preset"` // in place of pattern, negate and match
	Pattern  *match.Matcher `config:"pattern"`
	Negate   bool           `config:"negate"`
	Match    string         `config:"match"`
	MaxLines int            `config:"max_lines"`
	Timeout  time.Duration  `config:"timeout"`
}

// InitDefaults is called by the configuration library before the keys are read.
func (m *multiline) InitDefaults() { m.Type, m.MaxLines, m.Timeout = "pattern", 500, 5*time.Second }

// Validate is called by the configuration library afterwards.
func (m *multiline) Validate() error {
	if m.Type != "pattern" {
		return fmt.Errorf("multiline.type is %q, and only pattern is supported", m.Type)
	}
	switch {
	case m.Preset != "" && (m.Pattern != nil || m.Negate || m.Match != ""):
		return errors.New("multiline.preset excludes pattern, negate and match")
	case m.Preset != "" && presets[m.Preset] == nil:
		return fmt.Errorf("multiline.preset is %q, want one of %s", m.Preset, strings.Join(presetNames(), ", "))
	case m.Preset != "":
		m.Match = "after"
	case m.Pattern == nil:
		return errors.New("multiline needs a pattern or a preset")
	}
	if m.Match != "after" && m.Match != "before" {
		return errors.New("multiline.match must be after or before")
	}
	if m.MaxLines <= 0 || m.Timeout <= 0 {
		return errors.New("multiline.max_lines and multiline.timeout must be above 0")
	}
	return nil
}

// join makes events of lines, which are spans of b; at is the offset of b in the file. open is the first line of an event at the end
// that may go on, len(lines) if there is none.
func (m *multiline) join(f *format, b []byte, at int64, cuts []int64, lines, out []span) (events []span, open int) {
	first := 0
	for i, sp := range lines {
		text, before := f.decode(b[sp.from:sp.text]), ""
		if m.Preset != "" && i > first {
			before = f.decode(b[lines[i-1].from:lines[i-1].text])
		}
		marked := m.matches(text, before)
		if i > first && m.Match == "after" && !marked {
			out = append(out, over(lines[first:i]))
			first = i
		}
		switch {
		case m.Match == "before" && !marked, i-first+1 >= m.MaxLines, slices.Contains(cuts, at+int64(sp.to)):
			out = append(out, over(lines[first:i+1]))
			first = i + 1
		}
	}
	return out, first
}

// matches says whether a line belongs to its neighbour: with a preset to the line before it, which is before, empty where an event
// begins.
func (m *multiline) matches(text, before string) bool {
	if m.Preset != "" {
		return presets[m.Preset].continues(text, before)
	}
	return m.Pattern.MatchString(text) != m.Negate
}

// over spans lines that follow each other.
func over(lines []span) span {
	last := lines[len(lines)-1]
	return span{lines[0].from, last.text, last.to}
}
