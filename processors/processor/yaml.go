package processor

import (
	"encoding/json"
	"math"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/strictyaml"
)

// FromYAML turns what stands at n into fields under name: maps become dotted names, lists keep their JSON text.
func FromYAML(to []event.Field, name string, n strictyaml.Node) ([]event.Field, error) {
	if n.IsMap() {
		err := n.Pairs(func(k string, _, value strictyaml.Node) (err error) {
			if name != "" {
				k = name + "." + k
			}
			to, err = FromYAML(to, k, value)
			return err
		})
		return to, err
	}
	if err := CheckName(name); err != nil {
		return to, n.Place(err)
	}
	var v any
	if err := n.Decode(&v); err != nil {
		return to, err
	}
	f := event.Field{Name: name}
	switch v := v.(type) {
	case nil:
		return to, n.Errorf("a value is wanted")
	case string:
		f.Value = v
	case bool:
		f = Bool(name, v)
	case int:
		f = Integer(name, int64(v))
	case float64:
		f = Float(name, v)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return to, n.Errorf("a finite number is wanted")
		}
	default:
		b, err := json.Marshal(v)
		if err != nil {
			f.Value = n.Value() // dates and numbers beyond 64 bits: their text
			break
		}
		f.Value, f.Kind = string(b), event.JSON
		if b[0] == '"' {
			f.Value, f.Kind = n.Value(), event.String
		}
	}
	return append(to, f), nil
}

// All calls f for 0 to n-1 until one fails; then e is as it was before the first.
func All(e *event.Event, n int, f func(i int) error) error {
	var saved event.Event
	if n > 1 {
		saved = *e
		saved.Fields = append(make([]event.Field, 0, len(e.Fields)+n), e.Fields...)
	}
	for i := range n {
		if err := f(i); err != nil {
			if i > 0 {
				*e = saved
			}
			return err
		}
	}
	return nil
}
