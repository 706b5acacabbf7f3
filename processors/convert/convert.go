package convert

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// FailureTag marks an event with a value that cannot be converted.
const FailureTag = "_convertfailure"

// Processor converts fields.
type Processor struct{ c config }

type config struct {
	Fields        []field `yaml:"fields,required"`
	IgnoreMissing bool    `yaml:"ignore_missing"`
	FailOnError   bool    `yaml:"fail_on_error"`
	Mode          string  `yaml:"mode"`
}

type field struct {
	From string `yaml:"from,required"`
	To   string `yaml:"to"`
	Type string `yaml:"type"`
}

var types = []string{"", "boolean", "double", "float", "integer", "ip", "long", "string"}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration; README.md says what each key means.
func New(n strictyaml.Node) (*Processor, error) {
	c := config{FailOnError: true, Mode: "copy"}
	if err := n.Decode(&c); err != nil {
		return nil, err
	}
	if c.Mode != "copy" && c.Mode != "rename" {
		return nil, n.At("mode").Errorf("%q is neither copy nor rename", c.Mode)
	}
	items, _ := n.At("fields").Items()
	for i, f := range c.Fields {
		if !slices.Contains(types, f.Type) {
			return nil, items[i].At("type").Errorf("unknown type; %s", strictyaml.Known(f.Type, types[1:]))
		}
		if f.Type == "" && f.To == "" {
			return nil, items[i].Errorf("to or type is wanted")
		}
		if err := processor.CheckName(f.To); f.To != "" && err != nil {
			return nil, items[i].At("to").Place(err)
		}
		if f.From == event.Timestamp && (f.To == "" || c.Mode == "rename") || f.To == event.Timestamp {
			return nil, items[i].Errorf("the processor timestamp sets @timestamp")
		}
	}
	return &Processor{c}, nil
}

// Process implements processor.Processor.
func (p *Processor) Process(e *event.Event) (bool, error) {
	return true, processor.All(e, len(p.c.Fields), func(i int) error {
		if err := p.convert(e, &p.c.Fields[i]); err != nil && p.c.FailOnError {
			return processor.Fail(FailureTag, "convert: %w", err)
		}
		return nil
	})
}

func (p *Processor) convert(e *event.Event, q *field) error {
	f, ok := processor.Get(e, q.From)
	if !ok {
		if p.c.IgnoreMissing {
			return nil
		}
		return fmt.Errorf("field %q is missing", q.From)
	}
	f, err := Field(f, q.Type)
	if err != nil {
		return fmt.Errorf("field %q: %w", q.From, err)
	}
	if q.To != "" {
		f.Name = q.To
		if p.c.Mode == "rename" {
			e.Delete(q.From)
		}
	}
	e.PutField(f)
	return nil
}

// Field converts the value of a field to a type; "" leaves it.
func Field(f event.Field, typ string) (event.Field, error) {
	if f.Kind == event.JSON && typ != "" && typ != "string" {
		return f, fmt.Errorf("a list cannot become %s", typ)
	}
	bad := func() (event.Field, error) { return f, fmt.Errorf("%.40q is no %s", f.Value, typ) }
	switch typ {
	case "string":
		f.Kind = event.String
	case "long", "integer":
		bits := 64
		if typ == "integer" {
			bits = 32
		}
		if f.Kind == event.Bool {
			return bad()
		}
		base := 10
		if f.Kind == event.String && (strings.HasPrefix(f.Value, "0x") || strings.HasPrefix(f.Value, "0X")) {
			base = 0
		}
		n, err := strconv.ParseInt(f.Value, base, bits)
		if err != nil {
			x, ferr := strconv.ParseFloat(f.Value, 64)
			if f.Kind != event.Number || ferr != nil || x >= math.Ldexp(1, bits-1) || x < -math.Ldexp(1, bits-1) {
				return bad()
			}
			n = int64(x)
		}
		return processor.Integer(f.Name, n), nil
	case "double", "float":
		bits := 64
		if typ == "float" {
			bits = 32
		}
		x, err := strconv.ParseFloat(f.Value, bits)
		if f.Kind == event.Bool || err != nil {
			return bad()
		}
		g := processor.Float(f.Name, x)
		if typ == "float" && g.Kind == event.Number {
			g.Value = strconv.FormatFloat(x, 'g', -1, 32)
		}
		return g, nil
	case "boolean":
		b, err := strconv.ParseBool(f.Value)
		if f.Kind == event.Number || err != nil {
			return bad()
		}
		return processor.Bool(f.Name, b), nil
	case "ip":
		if _, err := netip.ParseAddr(f.Value); f.Kind != event.String || err != nil {
			return bad()
		}
	}
	return f, nil
}

func (p *Processor) String() string { return fmt.Sprintf("convert=%+v", p.c.Fields) }
