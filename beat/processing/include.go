package processing

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/beats/v7/libbeat/processors"
	"github.com/elastic/beats/v7/libbeat/processors/checks"
)

// includeFields keeps the fields named, and those that every event must have, as libbeat's include_fields does. The time and the
// metadata of an event are no fields: they stay, and naming them does not write them a second time into the fields.
type includeFields struct {
	fields []field // ancestors before what is under them
	names  []string
	top    int // how many different first parts the names have
}

// field is a dotted name, taken apart once.
type field struct {
	name  string
	parts []string
	rests []string // rests[i] is parts[i:], joined: a key may have dots in it
	above *field   // a field of the list that holds this one
}

func newField(name string) field {
	f := field{name: name, parts: strings.Split(name, ".")}
	for i := range f.parts {
		f.rests = append(f.rests, strings.Join(f.parts[i:], "."))
	}
	return f
}

func newIncludeFields(c *common.Config) (processors.Processor, error) {
	config := struct {
		Fields []string `config:"fields"`
	}{}
	if err := c.Unpack(&config); err != nil {
		return nil, fmt.Errorf("cannot read the configuration of include_fields: %w", err)
	}
	names := append(config.Fields, processors.MandatoryExportedFields...)
	p := &includeFields{names: names}
	sorted := slices.Clone(names)
	slices.Sort(sorted)
	firsts := map[string]bool{}
	for _, name := range slices.Compact(sorted) {
		if name == "@timestamp" || name == "@metadata" || strings.HasPrefix(name, "@metadata.") {
			continue
		}
		f := newField(name)
		firsts[f.parts[0]] = true
		p.fields = append(p.fields, f)
	}
	for i := range p.fields {
		for j := range i {
			if strings.HasPrefix(p.fields[i].name, p.fields[j].name+".") {
				p.fields[i].above = &p.fields[j]
				break
			}
		}
	}
	p.top = len(firsts)
	return p, nil
}

var includeFieldsConstructor = checks.ConfigChecked(newIncludeFields, checks.RequireFields("fields"), checks.AllowedFields("fields", "when"))

// Run implements processors.Processor.
func (p *includeFields) Run(e *beat.Event) (*beat.Event, error) {
	kept := make(common.MapStr, p.top)
	var errs []error
	var parent common.MapStr // the map that the field before went into
	var of *field
	for i := range p.fields {
		f := &p.fields[i]
		v, err := f.get(e.Fields)
		if err != nil {
			if !errors.Is(err, common.ErrKeyNotFound) {
				errs = append(errs, err)
			}
			continue
		}
		if f.above != nil {
			if _, err := f.above.get(kept); err == nil {
				continue
			}
		}
		switch {
		case len(f.parts) == 1:
			kept[f.name] = v
			continue
		case of == nil || !f.beside(of):
			parent, of = f.parent(kept), f
		}
		parent[f.parts[len(f.parts)-1]] = v
	}
	e.Fields = kept
	return e, errors.Join(errs...)
}

// String implements processors.Processor.
func (p *includeFields) String() string { return "include_fields=" + strings.Join(p.names, ", ") }

// get finds the value as libbeat's MapStr.GetValue does: a key with dots in it comes before the path.
func (f *field) get(m common.MapStr) (any, error) {
	last := len(f.parts) - 1
	for i, rest := range f.rests {
		if v, ok := m[rest]; ok {
			return v, nil
		}
		if i == last {
			break
		}
		sub, ok := m[f.parts[i]]
		if !ok {
			break
		}
		switch sub := sub.(type) {
		case common.MapStr:
			m = sub
		case map[string]any:
			m = sub
		default:
			return nil, fmt.Errorf("expected map but type is %T", sub)
		}
	}
	return nil, common.ErrKeyNotFound
}

// beside tells whether both stand in one object.
func (f *field) beside(g *field) bool {
	n := len(f.parts) - 1
	return len(g.parts)-1 == n && slices.Equal(f.parts[:n], g.parts[:n])
}

// parent gives the object of m that the field belongs into, made where it is missing.
func (f *field) parent(m common.MapStr) common.MapStr {
	for _, part := range f.parts[:len(f.parts)-1] {
		sub, ok := m[part].(common.MapStr)
		if !ok {
			sub = make(common.MapStr, 8)
			m[part] = sub
		}
		m = sub
	}
	return m
}
