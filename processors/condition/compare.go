package condition

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
	"github.com/tallylog/tally/strictyaml"
)

// equals compares fields with texts, whole numbers and booleans; kinds are told apart.
type equals []equal

type equal struct {
	name string
	kind event.Kind
	text string
	n    uint64
}

func newEquals(n strictyaml.Node) (Condition, error) {
	var c equals
	return &c, leaves(n, "", func(name string, value strictyaml.Node) error {
		var v any
		if err := value.Decode(&v); err != nil {
			return err
		}
		q := equal{name: name}
		switch v := v.(type) {
		case int:
			q.kind, q.n = event.Number, uint64(v)
		case uint64:
			q.kind, q.n = event.Number, v
		case bool:
			q.kind, q.text = event.Bool, strconv.FormatBool(v)
		case string:
			q.text = v
		case nil:
			return value.Errorf("a value is wanted")
		default:
			return value.Errorf("only texts, whole numbers and booleans can be compared")
		}
		c = append(c, q)
		return nil
	})
}

func (c *equals) Check(e *event.Event) bool {
	for i := range *c {
		q := &(*c)[i]
		f, ok := get(e, q.name)
		if !ok || f.Kind != q.kind {
			return false
		}
		if q.kind == event.Number {
			n, ok := whole(f.Value)
			if !ok || n != q.n {
				return false
			}
		} else if f.Value != q.text {
			return false
		}
	}
	return true
}

// whole reads a whole number; negative ones wrap, as in libbeat.
func whole(s string) (uint64, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return uint64(n), true
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

func (c *equals) String() string {
	parts := make([]string, len(*c))
	for i, q := range *c {
		parts[i] = q.name + "=" + q.text
		if q.kind == event.Number {
			parts[i] = fmt.Sprint(q.name, "=", int64(q.n))
		}
	}
	return "equals: " + strings.Join(parts, " ")
}

// matcher looks into texts, or into the texts of an array, of which one suffices.
type matcher struct {
	name   string
	fields []match
}

type match struct {
	name string
	text string
	re   *Pattern // nil for contains
}

func newMatcher(kind string, n strictyaml.Node) (Condition, error) {
	c := &matcher{name: kind}
	return c, leaves(n, "", func(name string, value strictyaml.Node) error {
		var v any
		if err := value.Decode(&v); err != nil {
			return err
		}
		text, ok := v.(string)
		if !ok {
			return value.Errorf("a text is wanted; quote it")
		}
		m := match{name: name, text: text}
		if kind == "regexp" {
			re, err := CompilePattern(text)
			if err != nil {
				return value.Errorf("%v", err)
			}
			m.re = re
		}
		c.fields = append(c.fields, m)
		return nil
	})
}

func (c *matcher) Check(e *event.Event) bool {
	for i := range c.fields {
		m := &c.fields[i]
		f, ok := get(e, m.name)
		if !ok {
			return false
		}
		switch f.Kind {
		case event.String:
			if !m.in(f.Value) {
				return false
			}
		case event.JSON:
			found := false
			for _, s := range processor.Texts(f) {
				if found = m.in(s); found {
					break
				}
			}
			if !found {
				return false
			}
		default:
			return false
		}
	}
	return true
}

func (m *match) in(s string) bool {
	switch {
	case m.re != nil:
		return m.re.MatchString(s)
	case m.text == "": // libbeat takes this for "is empty"
		return s == ""
	}
	return strings.Contains(s, m.text)
}

func (c *matcher) String() string {
	parts := make([]string, len(c.fields))
	for i, m := range c.fields {
		parts[i] = m.name + "=" + strconv.Quote(m.text)
	}
	return c.name + ": " + strings.Join(parts, " ")
}

// ranges compares numbers; texts are none.
type ranges []limit

type limit struct {
	name string
	op   string
	x    float64
}

func newRanges(n strictyaml.Node) (Condition, error) {
	var c ranges
	return &c, leaves(n, "", func(name string, value strictyaml.Node) error {
		field, op, ok := cutLast(name)
		if !ok || op != "gte" && op != "gt" && op != "lte" && op != "lt" {
			return value.Errorf("gte, gt, lte or lt is wanted below the field")
		}
		x, err := strconv.ParseFloat(value.Value(), 64)
		if err != nil {
			return value.Errorf("%q is no number", value.Value())
		}
		c = append(c, limit{field, op, x})
		return nil
	})
}

func cutLast(name string) (field, op string, ok bool) {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return "", "", false
	}
	return name[:i], name[i+1:], true
}

func (c *ranges) Check(e *event.Event) bool {
	for i := range *c {
		l := &(*c)[i]
		f, ok := get(e, l.name)
		if !ok || f.Kind != event.Number {
			return false
		}
		x, err := strconv.ParseFloat(f.Value, 64)
		if err != nil || l.op == "gte" && x < l.x || l.op == "gt" && x <= l.x || l.op == "lte" && x > l.x || l.op == "lt" && x >= l.x {
			return false
		}
	}
	return true
}

func (c *ranges) String() string {
	parts := make([]string, len(*c))
	for i, l := range *c {
		parts[i] = fmt.Sprintf("%s.%s=%v", l.name, l.op, l.x)
	}
	return "range: " + strings.Join(parts, " ")
}
