package filebeat5

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/tallylog/tally/beat/dialects/dialect"
)

// inputKeys are the keys of one input that are gone. Each function puts what takes its place and says so; now is the key of
// that, inside the input.
var inputKeys = map[string]func(in map[string]any, v any) (now, text string, err error){
	"input_type": func(in map[string]any, v any) (string, string, error) {
		if t := in["type"]; t != nil && t != v {
			return "", "", fmt.Errorf("input_type is %v and type is %v: write type alone", v, t)
		}
		in["type"] = v
		return "type", "is type now", nil
	},
	"document_type": func(map[string]any, any) (string, string, error) {
		return "", "was removed in 6.0: the events get it as the field type", nil
	},
	"close_older":    renamed("close_inactive"),
	"tail_on_rotate": renamed("tail_files"),
	"force_close_files": func(in map[string]any, v any) (string, string, error) {
		for _, key := range []string{"close_removed", "close_renamed"} {
			if _, ok := in[key]; !ok {
				in[key] = v
			}
		}
		return "close_renamed", "is close_removed and close_renamed now", nil
	},
	"partial_line_waiting": func(map[string]any, any) (string, string, error) {
		return "", "has no effect any more: half a line is waited for without end", nil
	},
}

func renamed(to string) func(in map[string]any, v any) (string, string, error) {
	return func(in map[string]any, v any) (string, string, error) {
		if w := in[to]; w != nil && dialect.Text(w) != dialect.Text(v) {
			return "", "", fmt.Errorf("%s is set as well, to %v: write %s alone", to, w, to)
		}
		in[to] = v
		return to, "is " + to + " now", nil
	}
}

// Input translates one input in place. key is its dotted key as the user wrote it, now the one it will have. fields gives its
// events the fields of version 5 beside those of version 7.
func Input(in map[string]any, key, now string, fields bool) (notes []dialect.Note, err error) {
	document := in["document_type"]
	for _, name := range slices.Sorted(maps.Keys(inputKeys)) {
		v, ok := dialect.Take(in, name)
		if !ok {
			continue
		}
		to, text, err := inputKeys[name](in, v)
		if err != nil {
			return nil, &dialect.KeyError{Key: key + "." + name, Text: err.Error()}
		}
		note := dialect.Note{Key: key + "." + name, Text: text}
		if to != "" {
			note.Now = now + "." + to
		}
		notes = append(notes, note)
	}
	// 1.x switched this off by a negative time; now 0 does.
	if v, ok := in["ignore_older"]; ok && strings.HasPrefix(dialect.Text(v), "-") {
		in["ignore_older"] = 0
		notes = append(notes, dialect.Note{Key: key + ".ignore_older", Now: now + ".ignore_older", Text: "is 0 now: no file is too old"})
	}
	var ours []any
	if fields {
		if document == nil {
			document = "log"
		}
		ours = fields5(in, document)
	} else if document != nil {
		ours = []any{unlessThere("type", document)}
	}
	if len(ours) > 0 {
		in["processors"] = append(ours, dialect.List(in["processors"])...)
	}
	if key != now {
		notes = append(notes, dialect.Note{Key: key, Now: now})
	}
	return notes, nil
}

// fields5 are the processors that give events of an input the fields of version 5. They come before the user's.
func fields5(in map[string]any, document any) []any {
	kind := dialect.Text(in["type"])
	if kind == "" {
		kind = "log"
	}
	return []any{
		copyFields("log.file.path", "source", "log.offset", "offset"),
		unlessThere("input_type", kind),
		unlessThere("type", document),
	}
}

// copyFields is a processor that copies fields, given as pairs of names, where the target is not there yet.
func copyFields(names ...string) map[string]any {
	var list []any
	for i := 0; i+1 < len(names); i += 2 {
		list = append(list, map[string]any{"from": names[i], "to": names[i+1]})
	}
	return map[string]any{"copy_fields": map[string]any{"fields": list, "fail_on_error": false, "ignore_missing": true}}
}

// unlessThere is a processor that sets a field which the user's fields, or the line itself, have not set.
func unlessThere(field string, v any) map[string]any {
	return map[string]any{"add_fields": map[string]any{
		"target": "", "fields": map[string]any{field: v},
		"when": map[string]any{"not": map[string]any{"has_fields": []any{field}}},
	}}
}

// withBeat puts addBeat before all processors of a configuration, once.
func withBeat(c map[string]any) {
	all := dialect.List(c["processors"])
	for _, p := range all {
		if reflect.DeepEqual(p, any(addBeat())) {
			return
		}
	}
	c["processors"] = append([]any{addBeat()}, all...)
}

// addBeat is a processor for all events that sets the beat.* of version 5.
func addBeat() map[string]any {
	return copyFields("agent.name", "beat.name", "agent.hostname", "beat.hostname", "agent.version", "beat.version")
}
