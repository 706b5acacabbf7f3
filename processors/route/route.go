package route

import (
	"fmt"
	"strings"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// Processor sets the fields of the data stream, as ECS names them: data_stream.type, data_stream.dataset, data_stream.namespace. In the
// server it also chooses the tenant.
type Processor struct {
	parts  []part
	tenant []piece
}

type part struct {
	name string
	text []piece
}

// piece is a literal, or the field whose value goes in its place.
type piece struct{ text, field, otherwise string }

type config struct {
	Tenant    string `yaml:"tenant"`
	Type      string `yaml:"type"`
	Dataset   string `yaml:"dataset"`
	Namespace string `yaml:"namespace"`
}

var _ processor.Processor = (*Processor)(nil)

// New reads the configuration; README.md says what each key means.
func New(n strictyaml.Node) (*Processor, error) {
	var c config
	if err := n.Decode(&c); err != nil {
		return nil, err
	}
	p := &Processor{}
	for _, x := range []struct{ key, value string }{{"type", c.Type}, {"dataset", c.Dataset}, {"namespace", c.Namespace}} {
		if x.value == "" {
			continue
		}
		text, err := parse(x.value)
		if err != nil {
			return nil, n.At(x.key).Errorf("%v", err)
		}
		p.parts = append(p.parts, part{"data_stream." + x.key, text})
	}
	if c.Tenant != "" {
		var err error
		if p.tenant, err = parse(c.Tenant); err != nil {
			return nil, n.At("tenant").Errorf("%v", err)
		}
	}
	if len(p.parts) == 0 && p.tenant == nil {
		return nil, n.Errorf("type, dataset, namespace or tenant is wanted")
	}
	return p, nil
}

// parse reads a text with %{[field]} or %{[field]:otherwise} in it, as Beats' index names have.
func parse(s string) ([]piece, error) {
	var out []piece
	for s != "" {
		text, rest, found := strings.Cut(s, "%{[")
		if text != "" {
			out = append(out, piece{text: text})
		}
		if !found {
			break
		}
		inner, after, ok := strings.Cut(rest, "}")
		field, otherwise, closed := strings.Cut(inner, "]")
		if !ok || !closed || field == "" || otherwise != "" && otherwise[0] != ':' {
			return nil, fmt.Errorf("a field is written %%{[name]} or %%{[name]:otherwise}")
		}
		out = append(out, piece{field: field, otherwise: strings.TrimPrefix(otherwise, ":")})
		s = after
	}
	return out, nil
}

// maxPart bounds a part of the name, as Elasticsearch does.
const maxPart = 100

// Process implements processor.Processor.
func (p *Processor) Process(e *event.Event) (bool, error) {
	for _, q := range p.parts {
		e.Put(q.name, clean(fill(q.text, e)))
	}
	if p.tenant != nil {
		e.Tenant = fill(p.tenant, e)
	}
	return true, nil
}

// fill puts values in the places of a text.
func fill(text []piece, e *event.Event) string {
	var b strings.Builder
	for _, x := range text {
		if x.field == "" {
			b.WriteString(x.text)
		} else if v, ok := e.Get(x.field); ok && v != "" {
			b.WriteString(v)
		} else {
			b.WriteString(x.otherwise)
		}
	}
	return b.String()
}

// clean makes a text one that may stand in the name of an index: lower case, nothing of what such names must not have.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`\/*?"<>| ,#:-`, r) || r < ' ' {
			return '_'
		}
		return r
	}, strings.ToLower(s))
	if len(s) > maxPart {
		s = strings.ToValidUTF8(s[:maxPart], "")
	}
	if s == "" {
		return "default"
	}
	return s
}

func (p *Processor) String() string {
	var keys []string
	for _, q := range p.parts {
		keys = append(keys, strings.TrimPrefix(q.name, "data_stream.")+"="+source(q.text))
	}
	if p.tenant != nil {
		keys = append(keys, "tenant="+source(p.tenant))
	}
	return "route=[" + strings.Join(keys, ", ") + "]"
}

// source is a text as it was configured.
func source(text []piece) string {
	var b strings.Builder
	for _, x := range text {
		switch {
		case x.field == "":
			b.WriteString(x.text)
		case x.otherwise == "":
			b.WriteString("%{[" + x.field + "]}")
		default:
			b.WriteString("%{[" + x.field + "]:" + x.otherwise + "}")
		}
	}
	return b.String()
}
