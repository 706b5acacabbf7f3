package dissect

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// FailureTag marks an event whose text does not fit.
const FailureTag = "_dissectfailure"

// Processor takes a field apart.
type Processor struct {
	c      config
	tokens *tokenizer
	prefix string
}

type config struct {
	Tokenizer     string `yaml:"tokenizer,required"`
	Field         string `yaml:"field"`
	TargetPrefix  string `yaml:"target_prefix"`
	IgnoreMissing bool   `yaml:"ignore_missing"`
	IgnoreFailure bool   `yaml:"ignore_failure"`
	OverwriteKeys bool   `yaml:"overwrite_keys"`
	TrimValues    string `yaml:"trim_values"`
	TrimChars     string `yaml:"trim_chars"`
}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration; README.md says what each key means.
func New(n strictyaml.Node) (*Processor, error) {
	c := config{Field: event.Message, TargetPrefix: "dissect", TrimChars: " "}
	if err := n.Decode(&c); err != nil {
		return nil, err
	}
	if n.At("target_prefix").IsText() && n.At("target_prefix").Value() == "" {
		c.TargetPrefix = ""
	}
	t, err := parse(c.Tokenizer)
	if err != nil {
		return nil, n.At("tokenizer").Errorf("%v", err)
	}
	switch c.TrimValues {
	case "", "none", "left", "right", "all", "both":
	default:
		return nil, n.At("trim_values").Errorf("%q is none of none, left, right, all, both", c.TrimValues)
	}
	p := &Processor{c: c, tokens: t}
	if c.TargetPrefix != "" {
		p.prefix = c.TargetPrefix + "."
	}
	for i := range t.keys {
		k := &t.keys[i]
		k.out = p.prefix + k.name
		if k.kind == normal || k.kind == appended {
			if err := processor.CheckName(k.out); err != nil {
				return nil, n.At("tokenizer").Place(err)
			}
		}
	}
	return p, nil
}

// Process implements processor.Processor.
func (p *Processor) Process(e *event.Event) (bool, error) {
	err := p.process(e)
	if err == nil || p.c.IgnoreFailure {
		return true, nil
	}
	return true, processor.Fail(FailureTag, "dissect: %w", err)
}

func (p *Processor) process(e *event.Event) error {
	f, ok := processor.Get(e, p.c.Field)
	if !ok {
		if p.c.IgnoreMissing {
			return nil
		}
		return fmt.Errorf("field %q is missing", p.c.Field)
	}
	if f.Kind != event.String {
		return fmt.Errorf("field %q is no text", p.c.Field)
	}
	var room [32]string
	texts, err := p.tokens.split(f.Value, room[:0])
	if err != nil {
		return err
	}
	for i := range texts {
		texts[i] = p.trim(texts[i])
	}
	var more [32]pair
	found := p.tokens.resolve(texts, p.prefix, more[:0])
	for i := range found {
		name := found[i].name
		if !p.c.OverwriteKeys && processor.Has(e, name) {
			return fmt.Errorf("field %q is there already", name)
		}
		if err := processor.CheckName(name); err != nil {
			return err
		}
		if err := processor.CheckTime(event.Field{Name: name, Value: found[i].text}); err != nil {
			return err
		}
	}
	for _, q := range found {
		if err := processor.Put(e, q.field()); err != nil {
			return err
		}
	}
	return nil
}

func (p *Processor) trim(s string) string {
	switch p.c.TrimValues {
	case "left":
		return strings.TrimLeft(s, p.c.TrimChars)
	case "right":
		return strings.TrimRight(s, p.c.TrimChars)
	case "all", "both":
		return strings.Trim(s, p.c.TrimChars)
	}
	return s
}

// field converts the text; what cannot be converted stays text.
func (q *pair) field() event.Field {
	s := strings.TrimRight(q.text, " ")
	base := 10
	if strings.HasPrefix(s, "0x") || strings.HasPrefix(s, "0X") {
		base = 0
	}
	switch q.typ {
	case "long", "integer":
		bits := 64
		if q.typ == "integer" {
			bits = 32
		}
		if n, err := strconv.ParseInt(s, base, bits); err == nil {
			return processor.Integer(q.name, n)
		}
	case "double", "float":
		if x, err := strconv.ParseFloat(s, 64); err == nil {
			return processor.Float(q.name, x)
		}
	case "boolean":
		if b, err := strconv.ParseBool(s); err == nil {
			return processor.Bool(q.name, b)
		}
	case "ip":
		if _, err := netip.ParseAddr(s); err == nil {
			return event.Field{Name: q.name, Value: s}
		}
	case "string":
		return event.Field{Name: q.name, Value: s}
	}
	return event.Field{Name: q.name, Value: q.text}
}

func (p *Processor) String() string {
	return "dissect=" + p.c.Tokenizer + ",field=" + p.c.Field + ",target_prefix=" + p.c.TargetPrefix
}
