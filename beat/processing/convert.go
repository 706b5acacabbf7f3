package processing

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/elastic/beats/v7/libbeat/common"

	"github.com/tallylog/tally/event"
)

// maxDepth is how many levels of objects are opened; what lies deeper is one field of JSON text.
const maxDepth = 32

// flatten appends the leaves of m, named by their path. null is left out, as everywhere.
func flatten(to []event.Field, prefix string, m map[string]any, depth int) []event.Field {
	for k, v := range m {
		name := k
		if prefix != "" {
			name = prefix + "." + k
		}
		switch v := v.(type) {
		case nil:
		case string:
			to = append(to, event.Field{Name: name, Value: v})
		case common.MapStr:
			to = object(to, name, v, depth)
		case map[string]any:
			to = object(to, name, v, depth)
		case bool:
			to = append(to, event.Field{Name: name, Value: strconv.FormatBool(v), Kind: event.Bool})
		case int:
			to = append(to, event.Field{Name: name, Value: strconv.Itoa(v), Kind: event.Number})
		case int64:
			to = append(to, event.Field{Name: name, Value: strconv.FormatInt(v, 10), Kind: event.Number})
		case time.Time:
			to = append(to, event.Field{Name: name, Value: event.FormatTime(v.UnixNano())})
		case common.Time:
			to = append(to, event.Field{Name: name, Value: event.FormatTime(time.Time(v).UnixNano())})
		default:
			to = append(to, other(name, v))
		}
	}
	return to
}

func object(to []event.Field, name string, m map[string]any, depth int) []event.Field {
	if len(m) > 0 && depth > 0 {
		return flatten(to, name, m, depth-1)
	}
	return append(to, other(name, m))
}

// other gives a value by its JSON text.
func other(name string, v any) event.Field {
	text, err := json.Marshal(v)
	if err != nil {
		return event.Field{Name: name, Value: fmt.Sprint(v)}
	}
	f := event.Field{Name: name, Value: string(text), Kind: event.JSON}
	switch c := text[0]; {
	case c == '"':
		var s string
		if json.Unmarshal(text, &s) == nil {
			f.Value, f.Kind = s, event.String
		}
	case c == 't' || c == 'f':
		f.Kind = event.Bool
	case c == '-' || '0' <= c && c <= '9':
		f.Kind = event.Number
	}
	return f
}

// value is the opposite of flatten for one leaf.
func value(f event.Field) any {
	switch f.Kind {
	case event.Bool:
		return f.Value == "true"
	case event.Number:
		return number(f.Value)
	case event.JSON:
		d := json.NewDecoder(bytes.NewReader([]byte(f.Value)))
		d.UseNumber()
		var v any
		if d.Decode(&v) == nil {
			return numbers(v)
		}
	}
	return f.Value
}

func number(s string) any {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return n
	}
	if x, err := strconv.ParseFloat(s, 64); err == nil {
		return x
	}
	return s
}

func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		return number(v.String())
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
		return common.MapStr(v)
	}
	return v
}
