package grok

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
)

// Pattern is a compiled grok pattern. It is safe for concurrent use.
type Pattern struct {
	text   string
	re     *regexp.Regexp
	prog   *program
	groups []group
	pool   sync.Pool
}

type group struct {
	name string
	slot int
	typ  string
}

// typeNames are the types a field may have: %{NUMBER:field:int}.
var typeNames = []string{"bool", "boolean", "double", "float", "int", "long", "string"}

// Compile compiles a pattern. own are definitions that come before those of the library.
func Compile(pattern string, own map[string]string) (*Pattern, error) {
	expr, types, err := expand(pattern, own)
	if err != nil {
		return nil, err
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, fmt.Errorf("the pattern %q is no regular expression: %w", pattern, err)
	}
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("the pattern %q is no regular expression: %w", pattern, err)
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, fmt.Errorf("the pattern %q is no regular expression: %w", pattern, err)
	}
	p := &Pattern{text: pattern, re: re}
	names := re.SubexpNames()
	p.prog = compile(prog, func(n int) bool { return n < len(names) && names[n] != "" })
	p.prog.must = literals(nil, tree)
	for i, name := range names {
		if name != "" {
			p.groups = append(p.groups, group{name: strings.ReplaceAll(name, dot, "."), slot: 2 * i, typ: types[name]})
		}
	}
	p.pool.New = func() any { return &machine{} }
	return p, nil
}

// Names are the fields that the pattern can set.
func (p *Pattern) Names() []string {
	var out []string
	for _, g := range p.groups {
		if !slices.Contains(out, g.name) {
			out = append(out, g.name)
		}
	}
	return out
}

// Match appends to dst the fields that the pattern finds in text, in the order of the pattern; ok is false where it does not match.
// Empty fields are left out. Where several groups of one name have found something the last counts. An error is a text that does
// not have the type wanted.
func (p *Pattern) Match(dst []event.Field, text string) (fields []event.Field, ok bool, err error) {
	m := p.pool.Get().(*machine)
	defer p.pool.Put(m)
	found := unsure
	if utf8.ValidString(text) { // package regexp reads other bytes in a way of its own
		found = no
		if hasAll(text, p.prog.must) {
			found = m.run(p.prog, text)
		}
	}
	if found == unsure {
		found = no
		if loc := p.re.FindStringSubmatchIndex(text); loc != nil {
			m.slots = append(m.slots[:0], loc...)
			found = yes
		}
	}
	if found == no {
		return dst, false, nil
	}
	base := len(dst)
	for i := range p.groups {
		g := &p.groups[i]
		from, to := -1, -1
		if g.slot+1 < len(m.slots) {
			from, to = m.slots[g.slot], m.slots[g.slot+1]
		}
		if from < 0 || to <= from {
			continue
		}
		f, err := g.field(text[from:to])
		if err != nil {
			return dst[:base], false, err
		}
		at := base
		for at < len(dst) && dst[at].Name != g.name {
			at++
		}
		if at < len(dst) {
			dst[at] = f
		} else {
			dst = append(dst, f)
		}
	}
	return dst, true, nil
}

func (g *group) field(text string) (event.Field, error) {
	switch g.typ {
	case "int", "long":
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return event.Field{}, fmt.Errorf("%s: %.40q is no whole number", g.name, text)
		}
		if s := strconv.FormatInt(n, 10); s != text {
			text = s
		}
		return event.Field{Name: g.name, Value: text, Kind: event.Number}, nil
	case "double", "float":
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return event.Field{}, fmt.Errorf("%s: %.40q is no number", g.name, text)
		}
		return processor.Float(g.name, x), nil
	case "bool", "boolean":
		b, err := strconv.ParseBool(text)
		if err != nil {
			return event.Field{}, fmt.Errorf("%s: %.40q is neither true nor false", g.name, text)
		}
		return processor.Bool(g.name, b), nil
	}
	return event.Field{Name: g.name, Value: text}, nil
}
