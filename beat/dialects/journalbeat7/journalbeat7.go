package journalbeat7

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tallylog/tally/beat/dialects/dialect"
)

// Dialect translates the journalbeat section.
type Dialect struct{}

var _ dialect.Dialect = Dialect{}

// Name says which versions are meant.
func (Dialect) Name() string { return "journalbeat 6.5 to 7.15 (Elastic)" }

const section = "journalbeat"

// RegistryKey is the native key, below the section, that names the registry to take over and to keep up.
const RegistryKey = "journalbeat_registry"

// defaultRegistry is relative to the data path.
const defaultRegistry = "registry"

// Speaks is true where the section names the registry as Journalbeat does, or has inputs that name no type: Journalbeat has one
// kind only. Inputs under the program's own name that are native already name theirs.
func (Dialect) Speaks(_ string, c map[string]any) bool {
	s, ok := c[section].(map[string]any)
	if !ok {
		return false
	}
	if _, ok := s["registry_file"]; ok {
		return true
	}
	_, native := s[RegistryKey]
	v, ok := s["inputs"]
	inputs := dialect.List(v)
	for _, v := range inputs {
		if in, ok := v.(map[string]any); ok {
			if _, typed := in["type"]; !typed {
				return true
			}
		}
	}
	return ok && len(inputs) == 0 && !native
}

// Translate makes native inputs of the section.
func (Dialect) Translate(c map[string]any) (dialect.Result, error) {
	s := c[section].(map[string]any)
	delete(c, section)
	t := &translation{c: c, names: map[string]int{}}
	defaults := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(s)) {
		switch {
		case key == "inputs":
		case key == "registry_file":
		case key == "backoff_factor":
			t.note(section+"."+key, "", "has no effect any more: the input is woken by changes of the journal")
		case slices.Contains(sectionDefaults, key):
			defaults[key] = s[key]
			t.note(section+"."+key, "", "is set for each input that does not set it itself")
		default:
			return dialect.Result{}, &dialect.KeyError{Key: section + "." + key, Text: fmt.Sprintf("unknown key: Journalbeat has inputs and registry_file, and in 6.5 %s", strings.Join(sectionDefaults, ", "))}
		}
	}
	registry, ok := s["registry_file"]
	if !ok {
		registry = defaultRegistry
	}
	dialect.Put(c, dialect.Native+"."+RegistryKey, registry)
	// Journalbeat's registry is a file; the inputs of Filebeat keep theirs in a directory, which has the same name otherwise.
	dialect.Put(c, dialect.Native+".registry.path", "registry-inputs")
	t.note(section+".registry_file", dialect.Native+"."+RegistryKey, "is "+RegistryKey+" now: positions are taken over from it, and written to it so that Journalbeat could go on")
	if _, ok := dialect.Get(c, "setup.template.type"); !ok {
		dialect.Put(c, "setup.template.type", "legacy") // a template of the newer type would go before those that are loaded already
	}
	for i, v := range dialect.List(s["inputs"]) {
		key := fmt.Sprintf("%s.inputs.%d", section, i)
		in, ok := v.(map[string]any)
		if !ok {
			return dialect.Result{}, &dialect.KeyError{Key: key, Text: "an input is a mapping of options"}
		}
		for name, v := range defaults {
			if _, ok := in[name]; !ok {
				in[name] = v
			}
		}
		if err := t.input(key, in); err != nil {
			return dialect.Result{}, err
		}
	}
	dialect.Append(c, dialect.Native+".inputs") // there is a list, if an empty one: that tells this section from others
	return dialect.Result{Config: c, Notes: t.notes}, nil
}

// sectionDefaults are the options that 6.5 had for all inputs together.
var sectionDefaults = []string{"backoff", "max_backoff", "seek", "cursor_seek_fallback", "include_matches"}

// inputKeys are the options of an input that mean the same to ours.
var inputKeys = []string{
	"id", "paths", "backoff", "max_backoff", "seek", "cursor_seek_fallback", "save_remote_hostname",
	"fields", "fields_under_root", "tags", "processors", "index", "enabled",
}

type translation struct {
	c     map[string]any
	notes []dialect.Note
	names map[string]int // how many inputs read a path under an id
}

func (t *translation) note(key, now, text string) {
	t.notes = append(t.notes, dialect.Note{Key: key, Now: now, Text: text})
}

func (t *translation) input(key string, in map[string]any) error {
	native := map[string]any{"type": "journald", "journalbeat_fields": true, "join_partial": false}
	now := fmt.Sprintf("%s.inputs.%d", dialect.Native, len(dialect.List(section7(t.c)["inputs"])))
	t.note(key, now, "is an input of type journald; its events have Journalbeat's names of fields beside Filebeat's")
	for _, name := range slices.Sorted(maps.Keys(in)) {
		full := key + "." + name
		switch {
		case name == "include_matches":
			or, err := alternatives(full, in[name])
			if err != nil {
				return err
			}
			native[name] = map[string]any{"or": or}
			t.note(full, now+"."+name, "are alternatives, written as or")
		case name == "backoff_factor":
			t.note(full, "", "has no effect any more: the input is woken by changes of the journal")
		case name == "cursor_seek_fallback" && dialect.Text(in[name]) == "cursor":
			native[name] = "head" // as Journalbeat did, with an error in its log
			t.note(full, now+"."+name, "is head: cursor is no place to fall back to")
		case slices.Contains(inputKeys, name):
			native[name] = in[name]
		default:
			return &dialect.KeyError{Key: full, Text: fmt.Sprintf("unknown key: an input of Journalbeat has %s and include_matches", strings.Join(inputKeys, ", "))}
		}
	}
	// Journalbeat lets several inputs read one journal, and keeps one cursor for them all.
	paths := dialect.List(native["paths"])
	if len(paths) == 0 {
		paths = []any{""}
	}
	again := 0
	for _, p := range paths {
		name := dialect.Text(native["id"]) + "\x00" + dialect.Text(p)
		again = max(again, t.names[name])
		t.names[name]++
	}
	if again > 0 {
		id := strings.TrimPrefix(fmt.Sprintf("%s-%d", dialect.Text(native["id"]), again+1), "-")
		native["id"] = id
		t.note(key+".id", now+".id", fmt.Sprintf("is %s, as another input reads the same journal", id))
	}
	dialect.Append(t.c, dialect.Native+".inputs", native)
	return nil
}

func section7(c map[string]any) map[string]any {
	s, _ := c[dialect.Native].(map[string]any)
	return s
}

// alternatives writes Journalbeat's list of matches, of which one has to hold, in the nested form.
func alternatives(key string, v any) (or []any, err error) {
	for i, m := range dialect.List(v) {
		text := dialect.Text(m)
		if strings.Count(text, "=") != 1 || strings.HasPrefix(text, "=") {
			return nil, &dialect.KeyError{Key: fmt.Sprintf("%s.%d", key, i), Text: fmt.Sprintf("invalid match %q: want FIELD=value", text)}
		}
		or = append(or, map[string]any{"match": []any{text}})
	}
	return or, nil
}
