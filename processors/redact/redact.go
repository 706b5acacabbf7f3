package redact

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// Processor masks texts.
type Processor struct {
	c       config
	finders []finder
}

type config struct {
	Fields      strictyaml.Texts `yaml:"fields"`
	Presets     strictyaml.Texts `yaml:"presets"`
	Patterns    []pattern        `yaml:"patterns"`
	Replacement string           `yaml:"replacement"`
	KeepLast    int              `yaml:"keep_last"`
	HashKey     string           `yaml:"hash_key"`
}

type pattern struct {
	Name    string `yaml:"name,required"`
	Pattern string `yaml:"pattern,required"`
}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration; README.md says what each key means.
func New(n strictyaml.Node) (*Processor, error) {
	p := &Processor{c: config{Fields: strictyaml.Texts{event.Message}, Replacement: "[REDACTED]"}}
	if err := n.Decode(&p.c); err != nil {
		return nil, err
	}
	known := presets()
	for _, name := range p.c.Presets {
		f := known[name]
		if f == nil {
			return nil, n.At("presets").Errorf("unknown preset %s; %s", name, strictyaml.Known(name, slices.Sorted(maps.Keys(known))))
		}
		p.finders = append(p.finders, f)
	}
	for _, q := range p.c.Patterns {
		re, err := regexp.Compile(q.Pattern)
		if err != nil {
			return nil, n.At("patterns").Errorf("%s: %v", q.Name, err)
		}
		p.finders = append(p.finders, own(re, q.Name))
	}
	switch {
	case len(p.finders) == 0:
		return nil, n.Errorf("presets or patterns are wanted")
	case p.c.KeepLast < 0 || p.c.KeepLast > 8:
		return nil, n.At("keep_last").Errorf("a number from 0 to 8 is wanted")
	case p.c.KeepLast > 0 && p.c.HashKey != "":
		return nil, n.At("hash_key").Errorf("keep_last and hash_key exclude each other")
	case p.c.HashKey != "" && len(p.c.HashKey) < 16:
		return nil, n.At("hash_key").Errorf("a key has at least 16 characters; a shorter one can be guessed")
	}
	return p, nil
}

// own finds what a pattern matches; where it has a group, the first group.
func own(re *regexp.Regexp, name string) finder {
	return func(s string, to []span) []span {
		for _, m := range re.FindAllStringSubmatchIndex(s, -1) {
			if len(m) > 2 && m[2] >= 0 {
				m = m[2:]
			}
			if m[1] > m[0] {
				to = append(to, span{m[0], m[1], name})
			}
		}
		return to
	}
}

// Process implements processor.Processor.
func (p *Processor) Process(e *event.Event) (bool, error) {
	for i := range e.Fields {
		f := &e.Fields[i]
		if !slices.Contains(p.c.Fields, f.Name) && !slices.Contains(p.c.Fields, "*") || f.Kind == event.Bool {
			continue
		}
		s, changed := p.mask(f.Value)
		if !changed {
			continue
		}
		f.Value = s
		if f.Kind == event.Number || f.Kind == event.JSON && fastjson.Validate(s) != nil {
			f.Kind = event.String
		}
	}
	return true, nil
}

func (p *Processor) mask(s string) (string, bool) {
	var room [16]span
	spans := room[:0]
	for _, f := range p.finders {
		spans = f(s, spans)
	}
	if len(spans) == 0 {
		return s, false
	}
	slices.SortStableFunc(spans, func(a, b span) int { return a.from - b.from })
	var b strings.Builder
	at := 0
	for i := 0; i < len(spans); {
		m := spans[i]
		for i++; i < len(spans) && spans[i].from < m.to; i++ { // one within the other, or overlapping
			m.to = max(m.to, spans[i].to)
		}
		b.WriteString(s[at:m.from])
		b.WriteString(p.replacement(m.name, s[m.from:m.to]))
		at = m.to
	}
	b.WriteString(s[at:])
	return b.String(), true
}

// replacement is what stands for a text.
func (p *Processor) replacement(name, text string) string {
	switch {
	case p.c.HashKey != "":
		h := hmac.New(sha256.New, []byte(p.c.HashKey))
		h.Write([]byte(text))
		return "[" + name + ":" + hex.EncodeToString(h.Sum(nil)[:12]) + "]"
	case p.c.KeepLast > 0:
		at := len(text)
		for range p.c.KeepLast {
			_, n := utf8.DecodeLastRuneInString(text[:at])
			at -= n
		}
		if 2*(len(text)-at) > len(text) { // half of it at most
			return p.c.Replacement
		}
		return p.c.Replacement + text[at:]
	}
	return p.c.Replacement
}

func (p *Processor) String() string {
	return fmt.Sprintf("redact=[fields=%v, presets=%v, patterns=%d]", []string(p.c.Fields), []string(p.c.Presets), len(p.c.Patterns))
}
