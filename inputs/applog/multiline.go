package applog

import (
	"errors"
	"fmt"
	"slices"
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
	Pattern  *match.Matcher `config:"pattern" validate:"required"`
	Negate   bool           `config:"negate"`
	Match    string         `config:"match" validate:"required"`
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
		if i > first && m.Match == "after" && !m.marked(f, b, sp) {
			out = append(out, over(lines[first:i]))
			first = i
		}
		switch {
		case m.Match == "before" && !m.marked(f, b, sp), i-first+1 >= m.MaxLines, slices.Contains(cuts, at+int64(sp.to)):
			out = append(out, over(lines[first:i+1]))
			first = i + 1
		}
	}
	return out, first
}

func (m *multiline) marked(f *format, b []byte, sp span) bool {
	return m.Pattern.MatchString(f.decode(b[sp.from:sp.text])) != m.Negate
}

// over spans lines that follow each other.
func over(lines []span) span {
	last := lines[len(lines)-1]
	return span{lines[0].from, last.text, last.to}
}
