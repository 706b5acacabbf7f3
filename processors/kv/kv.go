package kv

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// FailureTag marks an event without any pair.
const FailureTag = "_kvparsefailure"

// Processor finds pairs.
type Processor struct {
	c      config
	prefix string
}

type config struct {
	Field         string           `yaml:"field"`
	FieldSplit    string           `yaml:"field_split"`
	ValueSplit    string           `yaml:"value_split"`
	TargetPrefix  string           `yaml:"target_prefix"`
	IncludeKeys   strictyaml.Texts `yaml:"include_keys"`
	ExcludeKeys   strictyaml.Texts `yaml:"exclude_keys"`
	OverwriteKeys bool             `yaml:"overwrite_keys"`
	IgnoreMissing bool             `yaml:"ignore_missing"`
	IgnoreFailure bool             `yaml:"ignore_failure"`
}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration; README.md says what each key means.
func New(n strictyaml.Node) (*Processor, error) {
	c := config{Field: event.Message, FieldSplit: " ", ValueSplit: "=", OverwriteKeys: true}
	if err := n.Decode(&c); err != nil {
		return nil, err
	}
	if c.FieldSplit == "" || c.ValueSplit == "" || strings.ContainsAny(c.FieldSplit+c.ValueSplit, `"`) {
		return nil, n.Errorf("field_split and value_split are neither empty nor quotes")
	}
	p := &Processor{c: c}
	if c.TargetPrefix != "" {
		if err := processor.CheckName(c.TargetPrefix); err != nil {
			return nil, n.At("target_prefix").Place(err)
		}
		p.prefix = c.TargetPrefix + "."
	}
	return p, nil
}

var errNone = &processor.Failure{Tag: FailureTag, Err: errors.New("kv: the text has no pair of key and value")}

// Process implements processor.Processor.
func (p *Processor) Process(e *event.Event) (bool, error) {
	f, ok := processor.Get(e, p.c.Field)
	if !ok {
		if p.c.IgnoreMissing || p.c.IgnoreFailure {
			return true, nil
		}
		return true, processor.Missing(FailureTag, p.c.Field)
	}
	n := 0
	p.pairs(f.Value, func(k, v string) {
		k = p.prefix + k
		if len(k) > event.MaxName || k == event.Timestamp || len(e.Fields) >= event.MaxFields || !p.c.OverwriteKeys && processor.Has(e, k) {
			return
		}
		if processor.Reserved(k) {
			k = event.OriginalPrefix + k
		}
		e.Put(k, v)
		n++
	})
	if n == 0 && !p.c.IgnoreFailure {
		return true, errNone
	}
	return true, nil
}

// pairs calls f with each pair. Values may be quoted, with escapes as in Go and JSON; words without value_split are passed over.
func (p *Processor) pairs(s string, f func(k, v string)) {
	for s != "" {
		if strings.HasPrefix(s, p.c.FieldSplit) {
			s = s[len(p.c.FieldSplit):]
			continue
		}
		// The next value_split is looked for first: looking for a field_split that is far away, once for each pair, takes quadratic time.
		at := strings.Index(s, p.c.ValueSplit)
		if at < 0 {
			return
		}
		if word := strings.LastIndex(s[:at], p.c.FieldSplit); word >= 0 {
			s = s[word:]
			continue
		}
		k, rest := strings.TrimSpace(s[:at]), s[at+len(p.c.ValueSplit):]
		var v string
		v, s = p.value(rest)
		if k != "" && !strings.HasPrefix(k, ".") && p.wanted(k) {
			f(k, v)
		}
	}
}

func (p *Processor) value(s string) (v, rest string) {
	if strings.HasPrefix(s, `"`) {
		for i := 1; i < len(s); i++ {
			switch s[i] {
			case '\\':
				i++
			case '"':
				if v, err := strconv.Unquote(s[:i+1]); err == nil {
					return v, s[i+1:]
				}
				return s[1:i], s[i+1:]
			}
		}
	}
	if end := strings.Index(s, p.c.FieldSplit); end >= 0 {
		return s[:end], s[end:]
	}
	return s, ""
}

func (p *Processor) wanted(k string) bool {
	return (len(p.c.IncludeKeys) == 0 || slices.Contains(p.c.IncludeKeys, k)) && !slices.Contains(p.c.ExcludeKeys, k)
}

func (p *Processor) String() string { return fmt.Sprintf("kv=[field=%s]", p.c.Field) }
