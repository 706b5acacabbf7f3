package decodejson

import (
	"fmt"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// FailureTag marks an event whose text is no JSON.
const FailureTag = "_jsonparsefailure"

// maxOpen is how deep objects are opened; what lies deeper keeps its text.
const maxOpen = 100

// Processor decodes fields.
type Processor struct {
	c       config
	parsers fastjson.ParserPool
}

type config struct {
	Fields        strictyaml.Texts `yaml:"fields"`
	MaxDepth      int              `yaml:"max_depth"`
	Target        *string          `yaml:"target"`
	ProcessArray  bool             `yaml:"process_array"`
	OverwriteKeys bool             `yaml:"overwrite_keys"`
	AddErrorKey   bool             `yaml:"add_error_key"`
	IgnoreMissing bool             `yaml:"ignore_missing"`
	IgnoreFailure bool             `yaml:"ignore_failure"`
}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration; README.md says what each key means.
func New(n strictyaml.Node) (*Processor, error) {
	c := config{Fields: strictyaml.Texts{event.Message}, MaxDepth: 1, IgnoreMissing: true}
	if err := n.Decode(&c); err != nil {
		return nil, err
	}
	if c.MaxDepth < 1 || c.MaxDepth > 20 {
		return nil, n.At("max_depth").Errorf("a number from 1 to 20 is wanted")
	}
	if c.Target != nil && *c.Target != "" {
		if err := processor.CheckName(*c.Target); err != nil {
			return nil, n.At("target").Place(err)
		}
	}
	return &Processor{c: c}, nil
}

// Process implements processor.Processor.
func (p *Processor) Process(e *event.Event) (bool, error) {
	err := processor.All(e, len(p.c.Fields), func(i int) error { return p.decode(e, p.c.Fields[i]) })
	switch {
	case err == nil:
		return true, nil
	case p.c.IgnoreFailure:
		err = nil
		fallthrough
	default:
		if err != nil {
			err = processor.Fail(FailureTag, "json: %w", err)
		} else if p.c.AddErrorKey {
			e.Put("error.message", "json: the text could not be parsed")
		}
	}
	return true, err
}

func (p *Processor) decode(e *event.Event, name string) error {
	f, ok := processor.Get(e, name)
	if !ok {
		if p.c.IgnoreMissing {
			return nil
		}
		return fmt.Errorf("field %q is missing", name)
	}
	if f.Kind != event.String {
		return nil // it is a value already
	}
	parser := p.parsers.Get()
	defer p.parsers.Put(parser)
	v, err := parser.Parse(f.Value)
	if err != nil {
		return fmt.Errorf("the text of %q is not valid", name)
	}
	if t := v.Type(); t != fastjson.TypeObject && (t != fastjson.TypeArray || !p.c.ProcessArray) {
		return nil // Beats decode objects, and arrays where they are asked to
	}
	target := name
	if p.c.Target != nil {
		target = *p.c.Target
	}
	if target == "" && v.Type() != fastjson.TypeObject {
		return fmt.Errorf("the text of %q is an array, which needs a target", name)
	}
	leaves := p.deeper(processor.Leaves(nil, target, v, maxOpen), 1)
	if len(e.Fields)+len(leaves) > event.MaxFields {
		return fmt.Errorf("the text of %q makes more than %d fields", name, event.MaxFields)
	}
	return p.put(e, target, leaves)
}

// deeper decodes the JSON in the texts of leaves, and so on.
func (p *Processor) deeper(leaves []event.Field, depth int) []event.Field {
	if depth >= p.c.MaxDepth {
		return leaves
	}
	out := leaves[:0:0]
	for _, l := range leaves {
		if l.Kind == event.String && len(l.Value) > 1 && (l.Value[0] == '{' || l.Value[0] == '[' && p.c.ProcessArray) {
			if v, err := fastjson.Parse(l.Value); err == nil {
				out = append(out, p.deeper(processor.Leaves(nil, l.Name, v, maxOpen), depth+1)...)
				continue
			}
		}
		out = append(out, l)
	}
	return out
}

func (p *Processor) put(e *event.Event, target string, leaves []event.Field) error {
	for i := range leaves {
		l := &leaves[i]
		if processor.Reserved(l.Name) && l.Name != "" {
			l.Name = event.OriginalPrefix + l.Name // as event.Decoder does
		}
		if l.Name == "" || strings.HasPrefix(l.Name, ".") || len(l.Name) > event.MaxName {
			return fmt.Errorf("the name %.40q cannot be that of a field", l.Name)
		}
		if processor.CheckTime(*l) != nil {
			l.Name = event.OriginalPrefix + l.Name
		}
	}
	if target != "" {
		e.Delete(target)
	}
	for _, l := range leaves {
		if target == "" && !p.c.OverwriteKeys && processor.Has(e, l.Name) {
			continue
		}
		if err := processor.Put(e, l); err != nil {
			return err
		}
	}
	return nil
}

func (p *Processor) String() string {
	return fmt.Sprintf("decode_json_fields=%v", []string(p.c.Fields))
}
