package processor

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/tallylog/tally/event"
)

// Get finds a leaf; @timestamp is one where the event has a time.
func Get(e *event.Event, name string) (event.Field, bool) {
	for i := range e.Fields {
		if e.Fields[i].Name == name {
			return e.Fields[i], true
		}
	}
	if name == event.Timestamp && e.Time != 0 {
		return event.Field{Name: name, Value: event.FormatTime(e.Time)}, true
	}
	return event.Field{}, false
}

// Has tells whether there is a leaf, or an object, of that name.
func Has(e *event.Event, name string) bool {
	for i := range e.Fields {
		n := e.Fields[i].Name
		if strings.HasPrefix(n, name) && (len(n) == len(name) || n[len(name)] == '.') {
			return true
		}
	}
	return name == event.Timestamp && e.Time != 0
}

// Put sets a leaf, or the time where the name is @timestamp. The fields that are the server's own (_id, tally.*) cannot be set.
func Put(e *event.Event, f event.Field) error {
	switch {
	case f.Name == event.Timestamp:
		ns, ok := event.ParseTime(f.Value)
		if !ok {
			return fmt.Errorf("%q is no time as RFC 3339 has it", f.Value)
		}
		e.Time = ns
		return nil
	case Reserved(f.Name):
		return fmt.Errorf("the field %q cannot be set", f.Name)
	}
	e.PutField(f)
	return nil
}

// CheckTime tells whether a field that is to be the time can be read as one; it holds for every other field.
func CheckTime(f event.Field) error {
	if f.Name == event.Timestamp {
		if _, ok := event.ParseTime(f.Value); !ok {
			return fmt.Errorf("@timestamp: %.40q is no time as RFC 3339 has it", f.Value)
		}
	}
	return nil
}

// Reserved tells whether a name is the server's own.
func Reserved(name string) bool {
	return name == "" || name == "_id" || name == "tally" || strings.HasPrefix(name, "tally.")
}

// CheckName tells what is wrong with a name that a configuration gives a new field.
func CheckName(name string) error {
	switch {
	case Reserved(name):
		return fmt.Errorf("the field %q cannot be set", name)
	case len(name) > event.MaxName:
		return fmt.Errorf("the name of a field has at most %d bytes", event.MaxName)
	}
	return nil
}

// Under gives the leaves of the object called name; the leaf of that very name is one too.
func Under(e *event.Event, name string) []event.Field {
	var out []event.Field
	for _, f := range e.Fields {
		if strings.HasPrefix(f.Name, name) && (len(f.Name) == len(name) || f.Name[len(name)] == '.') {
			out = append(out, f)
		}
	}
	if name == event.Timestamp && e.Time != 0 {
		out = append(out, event.Field{Name: name, Value: event.FormatTime(e.Time)})
	}
	return out
}

// Renamed gives what Under gives for from, under the name to, once it is sure that the event can take it: none of it is there
// already, no name is too long, and what is to be the time is one. With ignoreMissing a missing field gives nothing.
func Renamed(e *event.Event, from, to string, ignoreMissing bool) ([]event.Field, error) {
	leaves := Under(e, from)
	if len(leaves) == 0 {
		if ignoreMissing {
			return nil, nil
		}
		return nil, fmt.Errorf("field %q is missing", from)
	}
	if Has(e, to) && to != event.Timestamp {
		return nil, fmt.Errorf("field %q is there already", to)
	}
	for i := range leaves {
		leaves[i].Name = to + leaves[i].Name[len(from):]
		if len(leaves[i].Name) > event.MaxName {
			return nil, fmt.Errorf("the name %q is too long", leaves[i].Name)
		}
		if err := CheckTime(leaves[i]); err != nil {
			return nil, err
		}
	}
	return leaves, nil
}

// PutAll is Put for each of the leaves, until one cannot be set.
func PutAll(e *event.Event, leaves []event.Field) error {
	for _, l := range leaves {
		if err := Put(e, l); err != nil {
			return err
		}
	}
	return nil
}

// Integer is a field's value as a number.
func Integer(name string, n int64) event.Field {
	return event.Field{Name: name, Value: strconv.FormatInt(n, 10), Kind: event.Number}
}

// Float is Integer for fractions. Infinity and what is no number have no JSON form and become text.
func Float(name string, x float64) event.Field {
	s := strconv.FormatFloat(x, 'f', -1, 64)
	if len(s) > 24 {
		s = strconv.FormatFloat(x, 'g', -1, 64)
	}
	if x-x != 0 {
		return event.Field{Name: name, Value: s}
	}
	return event.Field{Name: name, Value: s, Kind: event.Number}
}

// Bool is a field of true or false.
func Bool(name string, b bool) event.Field {
	return event.Field{Name: name, Value: strconv.FormatBool(b), Kind: event.Bool}
}

// List is a field of texts.
func List(name string, list []string) event.Field {
	b := []byte{'['}
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = event.AppendQuoted(b, s)
	}
	return event.Field{Name: name, Value: string(append(b, ']')), Kind: event.JSON}
}

// Texts gives the texts in the JSON array of a field; nil where the field holds no array.
func Texts(f event.Field) []string {
	if f.Kind != event.JSON {
		return nil
	}
	v, err := fastjson.Parse(f.Value)
	if err != nil {
		return nil
	}
	list, err := v.Array()
	if err != nil {
		return nil
	}
	out := make([]string, 0, len(list))
	for _, x := range list {
		if b, err := x.StringBytes(); err == nil {
			out = append(out, string(b))
		}
	}
	return out
}

// Leaves turns a JSON value into fields as event.Decoder does: objects become dotted names under name, arrays and empty objects
// keep their text, null is left out. depth levels of objects are opened; what lies deeper keeps its text.
func Leaves(to []event.Field, name string, v *fastjson.Value, depth int) []event.Field {
	f := event.Field{Name: name}
	switch v.Type() {
	case fastjson.TypeNull:
		return to
	case fastjson.TypeString:
		f.Value = strings.ToValidUTF8(string(v.GetStringBytes()), "\uFFFD")
	case fastjson.TypeNumber:
		f.Kind, f.Value = event.Number, v.String()
	case fastjson.TypeTrue, fastjson.TypeFalse:
		f.Kind, f.Value = event.Bool, v.String()
	case fastjson.TypeObject:
		o, _ := v.Object()
		if o.Len() > 0 && depth > 0 {
			if name != "" {
				name += "."
			}
			o.Visit(func(k []byte, v *fastjson.Value) {
				to = Leaves(to, name+strings.ToValidUTF8(string(k), "\uFFFD"), v, depth-1)
			})
			return to
		}
		f.Kind, f.Value = event.JSON, strings.ToValidUTF8(v.String(), "\uFFFD")
	default:
		f.Kind, f.Value = event.JSON, strings.ToValidUTF8(v.String(), "\uFFFD")
	}
	return append(to, f)
}

// AppendJSON appends the event as one flat JSON object with each value in its own type, @timestamp first where there is a time.
func AppendJSON(b []byte, e *event.Event) []byte {
	b = append(b, '{')
	if e.Time != 0 {
		b = append(b, `"@timestamp":"`...)
		b = append(event.AppendTime(b, e.Time), '"')
	}
	for i := range e.Fields {
		if len(b) > 0 && b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = event.AppendQuoted(b, e.Fields[i].Name)
		b = append(b, ':')
		b = AppendValue(b, e.Fields[i])
	}
	return append(b, '}')
}

// AppendValue appends the value of a field as JSON.
func AppendValue(b []byte, f event.Field) []byte {
	if f.Kind == event.String || fastjson.Validate(f.Value) != nil {
		return event.AppendQuoted(b, f.Value)
	}
	return append(b, f.Value...)
}
