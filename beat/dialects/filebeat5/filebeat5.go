package filebeat5

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tallylog/tally/beat/dialects/dialect"
)

// Dialect translates the filebeat section of versions before 7.
type Dialect struct{}

var _ dialect.Dialect = Dialect{}

// Name says which versions are meant.
func (Dialect) Name() string { return "filebeat 1 to 6" }

const (
	section = "filebeat"
	oldList = "prospectors"
	newList = "inputs"
)

// Speaks is true where the section, or one of its inputs, has a key that 7.0 does not know any more.
func (Dialect) Speaks(_ string, c map[string]any) bool {
	s, ok := c[section].(map[string]any)
	if !ok {
		return false
	}
	for key := range sectionKeys {
		_, ok := s[key] // even without a value: version 7 refuses it
		if !ok {
			_, ok = dialect.Get(s, key)
		}
		if ok {
			return true
		}
	}
	for _, in := range everyInput(s) {
		for key := range inputKeys {
			if in.c[key] != nil {
				return true
			}
		}
	}
	return len(filesets(s)) > 0
}

// Translate makes the section one of version 7.
func (Dialect) Translate(c map[string]any) (dialect.Result, error) {
	r := dialect.Result{Config: c}
	s := c[section].(map[string]any)
	var old []any
	if v, ok := s[oldList]; ok {
		old = dialect.List(v)
	}
	for _, in := range everyInput(s) {
		notes, err := Input(in.c, in.key, in.now, strings.HasPrefix(in.key, section+"."+oldList+"."))
		if err != nil {
			return r, err
		}
		r.Notes = append(r.Notes, notes...)
	}
	if old != nil {
		dialect.Append(s, newList, old...)
		delete(s, oldList)
		withBeat(c)
		r.Notes = append(r.Notes,
			dialect.Note{Key: section + "." + oldList, Text: "became inputs; their events have the fields source, offset, type, input_type and beat.* of Filebeat 5 beside those of version 7"})
	}
	for _, key := range slices.Sorted(maps.Keys(sectionKeys)) {
		v, ok := dialect.Take(s, key)
		if !ok || key == oldList {
			continue
		}
		note, err := sectionKeys[key](c, s, v)
		if err != nil {
			return r, &dialect.KeyError{Key: section + "." + key, Text: err.Error()}
		}
		note.Key = section + "." + key
		r.Notes = append(r.Notes, note)
	}
	for _, f := range filesets(s) {
		dialect.Put(f.c, "input", f.c["prospector"])
		delete(f.c, "prospector")
		r.Notes = append(r.Notes, dialect.Note{Key: f.key + ".prospector", Now: f.key + ".input", Text: "is input now"})
	}
	return r, nil
}

// sectionKeys are the keys of the section that are gone. Each function puts what takes its place.
var sectionKeys = map[string]func(c, s map[string]any, v any) (dialect.Note, error){
	oldList: nil, // by Translate
	"config.prospectors": func(c, s map[string]any, v any) (dialect.Note, error) {
		if _, ok := dialect.Get(s, "config.inputs"); ok {
			return dialect.Note{}, fmt.Errorf("config.inputs is set as well: write config.inputs alone")
		}
		dialect.Put(s, "config.inputs", v)
		withBeat(c)
		return dialect.Note{Now: section + ".config.inputs", Text: "is config.inputs now: its files are translated as they are read, and their events have the fields of Filebeat 5, too"}, nil
	},
	"registry_file":             moved("registry.path", "is registry.path now: the file is taken over, and becomes a directory of that name"),
	"registry_file_permissions": moved("registry.file_permissions", "is registry.file_permissions now"),
	"registry_flush":            moved("registry.flush", "is registry.flush now"),
	"spool_size": func(c, _ map[string]any, v any) (dialect.Note, error) {
		n, ok := integer(v)
		if !ok || n < 1 {
			return dialect.Note{}, fmt.Errorf("spool_size is %v, want a number above 0; queue.mem.flush.min_events replaces it", v)
		}
		if has(c, "queue.mem.flush.min_events") {
			return dialect.Note{Text: "has no effect, as queue.mem.flush.min_events is set"}, nil
		}
		if n > 2048 && !has(c, "queue.mem.events") {
			dialect.Put(c, "queue.mem.events", 2*n) // min_events may be at most half of it to be of use
		}
		dialect.Put(c, "queue.mem.flush.min_events", n)
		return dialect.Note{Now: "queue.mem.flush.min_events", Text: "is queue.mem.flush.min_events now"}, nil
	},
	"idle_timeout": func(c, _ map[string]any, v any) (dialect.Note, error) {
		if has(c, "queue.mem.flush.timeout") {
			return dialect.Note{Text: "has no effect, as queue.mem.flush.timeout is set"}, nil
		}
		dialect.Put(c, "queue.mem.flush.timeout", v)
		return dialect.Note{Now: "queue.mem.flush.timeout", Text: "is queue.mem.flush.timeout now"}, nil
	},
	"publish_async": func(_, _ map[string]any, _ any) (dialect.Note, error) {
		return dialect.Note{Text: "has no effect any more: events are always published asynchronously"}, nil
	},
}

func moved(to, text string) func(c, s map[string]any, v any) (dialect.Note, error) {
	return func(_, s map[string]any, v any) (dialect.Note, error) {
		if has(s, to) {
			return dialect.Note{}, fmt.Errorf("%s is set as well: write %s alone", to, to)
		}
		dialect.Put(s, to, v)
		return dialect.Note{Now: section + "." + to, Text: text}, nil
	}
}

func has(c map[string]any, key string) bool {
	_, ok := dialect.Get(c, key)
	return ok
}

// integer reads a whole number, written as such or as text.
func integer(v any) (n int64, ok bool) {
	_, err := fmt.Sscan(dialect.Text(v), &n)
	return n, err == nil && fmt.Sprint(n) == strings.TrimSpace(dialect.Text(v))
}

// part is a mapping inside the section, with its key as written and as it will be.
type part struct {
	key, now string
	c        map[string]any
}

// everyInput returns the inputs of the section: prospectors, inputs, and the templates of autodiscover.
func everyInput(s map[string]any) (all []part) {
	add := func(key, now string, list any, offset int) {
		for i, v := range dialect.List(list) {
			if m, ok := v.(map[string]any); ok {
				all = append(all, part{fmt.Sprintf("%s.%s.%d", section, key, i), fmt.Sprintf("%s.%s.%d", section, now, i+offset), m})
			}
		}
	}
	add(newList, newList, s[newList], 0)
	add(oldList, newList, s[oldList], len(dialect.List(s[newList])))
	providers, _ := dialect.Get(s, "autodiscover.providers")
	for i, p := range dialect.List(providers) {
		provider, _ := p.(map[string]any)
		for j, t := range dialect.List(provider["templates"]) {
			if template, ok := t.(map[string]any); ok {
				key := fmt.Sprintf("autodiscover.providers.%d.templates.%d.config", i, j)
				add(key, key, template["config"], 0)
			}
		}
	}
	return all
}

// filesets returns the filesets of modules that set their input by its old name.
func filesets(s map[string]any) (all []part) {
	for i, v := range dialect.List(s["modules"]) {
		module, _ := v.(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(module)) {
			if f, ok := module[name].(map[string]any); ok && has(f, "prospector") {
				key := fmt.Sprintf("%s.modules.%d.%s", section, i, name)
				all = append(all, part{key, key, f})
			}
		}
	}
	return all
}
