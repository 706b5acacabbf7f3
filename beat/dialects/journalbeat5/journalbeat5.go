package journalbeat5

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/tallylog/tally/beat/dialects/dialect"
)

// Dialect translates the section of Journalbeat 5.
type Dialect struct{}

var _ dialect.Dialect = Dialect{}

// Name says whose Journalbeat is meant.
func (Dialect) Name() string { return "journalbeat 5 (mheese)" }

const section = "journalbeat"

// Speaks is true for a section without inputs. It may be empty, as all keys have defaults.
func (Dialect) Speaks(_ string, c map[string]any) bool {
	s, ok := c[section].(map[string]any)
	_, elastic := s["inputs"]
	return ok && !elastic
}

// translation is one run of Translate.
type translation struct {
	section map[string]any // what is left of it
	in      map[string]any // the input
	now     string         // its key
	notes   []dialect.Note
}

// keys are all keys of the section. Each function puts what takes the place of one; it is not called for one that is not there.
var keys = map[string]func(t *translation, key string, v any) error{
	"seek_position":        oneOf("seek", "cursor", "head", "tail"),
	"cursor_seek_fallback": oneOf("cursor_seek_fallback", "tail", "head", "none"),
	"write_cursor_state":   is("cursor_file.write"),
	"cursor_state_file":    is("cursor_file.path"),
	"cursor_flush_period": func(t *translation, key string, v any) error {
		if text := dialect.Text(v); text == "0" || text == "0s" {
			t.note(key, "", "is 5s: the state is never left unwritten until the end, as 0 meant")
			return nil
		}
		return is("cursor_file.flush_period")(t, key, v)
	},
	"pending_queue.file": is("cursor_file.pending"),
	"pending_queue.flush_period": func(t *translation, key string, _ any) error {
		t.note(key, "", "has no effect any more: what is not acknowledged is read from the journal again; the file is taken over and then emptied")
		return nil
	},
	"pending_queue.completed_queue_size": func(t *translation, key string, _ any) error {
		t.note(key, "", "has no effect any more: acknowledgements need no queue")
		return nil
	},
	"move_metadata_to_field": func(t *translation, key string, v any) error {
		if s := dialect.Text(v); oddDots.MatchString(s) {
			return fmt.Errorf("%q has a dot too many: write a name with single dots between its parts", s)
		} else if first, _, _ := strings.Cut(s, "."); first == "message" || first == "type" || strings.HasPrefix(first, "@") {
			return fmt.Errorf("%q is another field of the event: write a name like journal", first)
		}
		return is("entry_fields.target")(t, key, v)
	},
	"clean_field_names":     is("entry_fields.clean_names"),
	"convert_to_numbers":    is("entry_fields.numbers"),
	"parse_priority":        is("entry_fields.priority_names"),
	"parse_syslog_facility": is("entry_fields.facility_names"),
	"default_type":          is("entry_fields.type"),
	"units": func(t *translation, key string, v any) error {
		for _, u := range dialect.List(v) {
			if _, err := path.Match(dialect.Text(u), ""); err != nil || dialect.Text(u) == "" {
				return fmt.Errorf("%q is neither the name of a unit nor a pattern: write one like docker.service or kube*", dialect.Text(u))
			}
		}
		return list("units")(t, key, v)
	},
	"kernel":         nil, // by Translate, as it depends on units
	"identifiers":    list("identifiers"),
	"match_patterns": patterns,
	"matches":        patterns,
	"journal_paths":  list("paths"),
}

var oddDots = regexp.MustCompile(`\.{2,}|\.$`)

// Translate makes an input of the section.
func (Dialect) Translate(c map[string]any) (dialect.Result, error) {
	s, _ := c[section].(map[string]any)
	delete(c, section)
	index := len(dialect.List(inputs(c)))
	t := &translation{section: s, now: fmt.Sprintf("%s.inputs.%d", dialect.Native, index)}
	// What differs between the defaults of Journalbeat and ours stands there in any case.
	t.in = map[string]any{
		"type": "journald", "id": section, "seek": "tail", "cursor_seek_fallback": "tail",
		"entry_fields": map[string]any{"type": "journal", "beat": true, "catalog": true},
		"cursor_file":  map[string]any{"path": ".journalbeat-cursor-state", "write": false, "pending": ".journalbeat-pending-queue"},
	}
	_, seeks := s["seek_position"]
	kernel, hasKernel := s["kernel"]
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		v, ok := dialect.Take(s, key)
		if !ok || keys[key] == nil {
			continue
		}
		if err := keys[key](t, key, v); err != nil {
			return dialect.Result{}, &dialect.KeyError{Key: section + "." + key, Text: err.Error()}
		}
	}
	switch _, units := t.in["units"]; {
	case units && hasKernel:
		t.in["kernel"] = kernel
		t.note("kernel", "kernel", "is kernel now")
	case units:
		t.in["kernel"] = true
	case hasKernel:
		t.note("kernel", "", "has no effect without units, as before")
	}
	if !seeks {
		t.note("", "seek", "seek_position is not set, and its default is tail: what is written while the agent is stopped is passed over; seek_position: cursor ships it")
	}
	given := 0
	for _, key := range []string{"units", "identifiers", "include_matches"} {
		if _, ok := t.in[key]; ok {
			given++
		}
	}
	if given > 1 {
		t.in["filters"] = "any"
	}
	for _, key := range leaves(s, "") {
		return dialect.Result{}, &dialect.KeyError{Key: section + "." + key, Text: unknown(key)}
	}
	dialect.Append(c, dialect.Native+".inputs", t.in)
	t.notes = append(t.notes, dialect.Note{
		Key: section, Now: t.now,
		Text: "became an input of type journald; its events have the fields type and beat.* of version 5 beside those of version 7, and messages that Docker had cut are joined",
	})
	return dialect.Result{Config: c, Notes: t.notes}, nil
}

func inputs(c map[string]any) any {
	v, _ := dialect.Get(c, dialect.Native+".inputs")
	return v
}

func (t *translation) note(key, now, text string) {
	n := dialect.Note{Key: section, Text: text}
	if key != "" {
		n.Key += "." + key
	}
	if now != "" {
		n.Now = t.now + "." + now
	}
	t.notes = append(t.notes, n)
}

// is puts the value under another key of the input.
func is(to string) func(*translation, string, any) error {
	return func(t *translation, key string, v any) error {
		dialect.Put(t.in, to, v)
		t.note(key, to, "is "+to+" now")
		return nil
	}
}

// oneOf is is for some words; a variable may be one of them.
func oneOf(to string, words ...string) func(*translation, string, any) error {
	return func(t *translation, key string, v any) error {
		if text := dialect.Text(v); !slices.Contains(words, text) && !strings.Contains(text, "${") {
			return fmt.Errorf("%q is none of %s", text, strings.Join(words, ", "))
		}
		return is(to)(t, key, v)
	}
}

// list is is for lists; an empty one is as good as none.
func list(to string) func(*translation, string, any) error {
	return func(t *translation, key string, v any) error {
		l := dialect.List(v)
		if len(l) == 0 {
			return nil
		}
		return is(to)(t, key, l)
	}
}

// patterns makes every match an alternative, as Journalbeat did. matches is a name that some of its guides give the key.
func patterns(t *translation, key string, v any) error {
	var or []any
	for _, p := range dialect.List(v) {
		text := dialect.Text(p)
		if field, _, ok := strings.Cut(text, "="); (!ok || field == "") && !strings.Contains(text, "${") {
			return fmt.Errorf("%q is no match: write FIELD=value", text)
		}
		or = append(or, map[string]any{"match": []any{text}})
	}
	if len(or) == 0 {
		return nil
	}
	dialect.Append(t.in, "include_matches.or", or...)
	t.note(key, "include_matches", "is include_matches now: every match is an alternative")
	return nil
}

// leaves are the dotted keys of what is left, in order.
func leaves(c map[string]any, prefix string) (all []string) {
	for _, key := range slices.Sorted(maps.Keys(c)) {
		if m, ok := c[key].(map[string]any); ok {
			all = append(all, leaves(m, prefix+key+".")...)
			continue
		}
		all = append(all, prefix+key)
	}
	return all
}

// replaced names what takes the place of keys that are sometimes looked for here.
var replaced = map[string]string{
	"paths": "journal_paths", "seek": "seek_position", "include_matches": "match_patterns", "registry_file": "cursor_state_file",
	"syslog_identifiers": "identifiers", "queue_size": "queue.mem.events at the top", "processors": "processors at the top", "fields": "fields at the top", "tags": "tags at the top",
}

func unknown(key string) string {
	if r, ok := replaced[key]; ok {
		return fmt.Sprintf("%s is no key of Journalbeat 5: %s is", key, r)
	}
	return key + " is no key of Journalbeat 5, which has " + strings.Join(slices.Sorted(maps.Keys(keys)), ", ")
}
