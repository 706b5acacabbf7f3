package condition

import (
	"strconv"
	"strings"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// Condition holds for an event or does not. It is safe for concurrent use.
type Condition interface {
	Check(e *event.Event) bool
	String() string
}

var names = []string{"and", "contains", "equals", "has_fields", "network", "not", "or", "range", "regexp"}

// maxDepth bounds the nesting of and, or, not.
const maxDepth = 50

// New compiles a condition.
func New(n strictyaml.Node) (Condition, error) { return compile(n, 0) }

func compile(n strictyaml.Node, depth int) (Condition, error) {
	if depth > maxDepth {
		return nil, n.Errorf("the nesting is too deep")
	}
	var c Condition
	err := n.Pairs(func(name string, key, value strictyaml.Node) (err error) {
		if c != nil {
			return key.Errorf("one condition is wanted here; and, or, not join several")
		}
		switch name {
		case "equals":
			c, err = newEquals(value)
		case "contains", "regexp":
			c, err = newMatcher(name, value)
		case "range":
			c, err = newRanges(value)
		case "network":
			c, err = newNetworks(value)
		case "has_fields":
			var list strictyaml.Texts
			err = value.Decode(&list)
			c = hasFields(list)
		case "and", "or":
			var list []Condition
			list, err = compileList(value, depth)
			c = and(list)
			if name == "or" {
				c = or(list)
			}
		case "not":
			var inner Condition
			inner, err = compile(value, depth+1)
			c = not{inner}
		default:
			return key.Errorf("unknown condition; %s", strictyaml.Known(name, names))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, n.Errorf("a condition is wanted: one of %s", strings.Join(names, ", "))
	}
	return c, nil
}

func compileList(n strictyaml.Node, depth int) ([]Condition, error) {
	items, err := n.Items()
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, n.Errorf("a list of conditions is wanted")
	}
	out := make([]Condition, len(items))
	for i, item := range items {
		if out[i], err = compile(item, depth+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// leaves calls f with the dotted name and the place of every single value below n. Lists give names with their index, as in
// libbeat.
func leaves(n strictyaml.Node, name string, f func(name string, value strictyaml.Node) error) error {
	switch {
	case strings.Count(name, ".") > 100:
		return n.Errorf("the nesting is too deep")
	case n.IsMap():
		return n.Pairs(func(k string, _, value strictyaml.Node) error { return leaves(value, dotted(name, k), f) })
	case n.IsList():
		items, err := n.Items()
		for i, item := range items {
			if err = leaves(item, dotted(name, strconv.Itoa(i)), f); err != nil {
				break
			}
		}
		return err
	case name == "":
		return n.Errorf("fields and values are wanted here")
	}
	return f(name, n)
}

func dotted(a, b string) string {
	if a == "" {
		return b
	}
	return a + "." + b
}

type and []Condition

func (c and) Check(e *event.Event) bool {
	for _, x := range c {
		if !x.Check(e) {
			return false
		}
	}
	return true
}

func (c and) String() string { return joined(c, " and ") }

type or []Condition

func (c or) Check(e *event.Event) bool {
	for _, x := range c {
		if x.Check(e) {
			return true
		}
	}
	return false
}

func (c or) String() string { return joined(c, " or ") }

func joined(list []Condition, word string) string {
	parts := make([]string, len(list))
	for i, c := range list {
		parts[i] = c.String()
	}
	return "(" + strings.Join(parts, word) + ")"
}

type not struct{ inner Condition }

func (c not) Check(e *event.Event) bool { return !c.inner.Check(e) }
func (c not) String() string            { return "not " + c.inner.String() }

type hasFields []string

func (c hasFields) Check(e *event.Event) bool {
	for _, name := range c {
		if !processor.Has(e, name) {
			return false
		}
	}
	return true
}

func (c hasFields) String() string { return "has_fields: [" + strings.Join(c, ", ") + "]" }

// get finds a leaf. The time is none: libbeat compares it with nothing.
func get(e *event.Event, name string) (event.Field, bool) {
	for i := range e.Fields {
		if e.Fields[i].Name == name {
			return e.Fields[i], true
		}
	}
	return event.Field{}, false
}
