package libbeat5

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tallylog/tally/beat/dialects/dialect"
)

// Dialect translates the keys that all beats of versions 1 to 6 have in common.
type Dialect struct{}

var _ dialect.Dialect = Dialect{}

// Name says which versions are meant.
func (Dialect) Name() string { return "libbeat 1 to 6" }

// Speaks is true where a key stands that libbeat 7 has not any more.
func (Dialect) Speaks(_ string, c map[string]any) bool {
	for key := range keys {
		if _, ok := dialect.Get(c, key); ok {
			return true
		}
	}
	for kind, o := range outputs(c) {
		if len(removedOf(kind, o)) > 0 {
			return true
		}
	}
	return needsTemplate(c) || len(bareConditions(c)) > 0
}

// Translate does one key after the other.
func (Dialect) Translate(c map[string]any) (dialect.Result, error) {
	t := &translation{c: c}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		v, ok := dialect.Take(c, key)
		if !ok {
			continue
		}
		if err := keys[key](t, key, v); err != nil {
			return dialect.Result{}, &dialect.KeyError{Key: key, Text: err.Error()}
		}
	}
	all := outputs(c)
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		for _, key := range removedOf(kind, all[kind]) {
			full := "output." + kind + "." + key
			if err := t.output(kind, all[kind], key); err != nil {
				return dialect.Result{}, &dialect.KeyError{Key: full, Text: err.Error()}
			}
		}
	}
	if needsTemplate(c) {
		t.template()
	}
	for _, b := range bareConditions(c) {
		b.mend()
		t.note(b.key, b.key+".when", "the condition stands below when now")
	}
	return dialect.Result{Config: c, Notes: t.notes}, nil
}

type translation struct {
	c     map[string]any
	notes []dialect.Note
}

func (t *translation) note(key, now, text string) {
	t.notes = append(t.notes, dialect.Note{Key: key, Now: now, Text: text})
}

// keys are those at fixed places. Each function gets the value, which has been taken away.
var keys = map[string]func(t *translation, key string, v any) error{
	"shipper.name":          rename("name"),
	"shipper.tags":          rename("tags"),
	"shipper.queue_size":    rename("queue.mem.events"),
	"queue_size":            rename("queue.mem.events"),
	"filters":               rename("processors"),
	"migration.enabled":     rename("migration.6_to_7.enabled"),
	"dashboards":            rename("setup.dashboards"),
	"bulk_queue_size":       gone("the queue has one size, queue.mem.events"),
	"geoip.paths":           refuse("geoip.paths was removed in 5.0: Elasticsearch's geoip processor, or the processor geoip of a server pipeline, replaces it"),
	"shipper.geoip.paths":   refuse("shipper.geoip.paths was removed in 5.0: Elasticsearch's geoip processor, or the processor geoip of a server pipeline, replaces it"),
	"refresh_topology_freq": gone("topology was a matter of Packetbeat"), "topology_expire": gone("topology was a matter of Packetbeat"),
	"shipper.refresh_topology_freq": gone("topology was a matter of Packetbeat"), "shipper.topology_expire": gone("topology was a matter of Packetbeat"),
	"shipper.ignore_outgoing": gone("it was a matter of Packetbeat"),
}

// rename moves a value to another place, unless something stands there.
func rename(to string) func(t *translation, key string, v any) error {
	return func(t *translation, key string, v any) error {
		if _, ok := dialect.Get(t.c, to); ok {
			return fmt.Errorf("%s replaces %s and is set as well: write %s alone", to, key, to)
		}
		dialect.Put(t.c, to, v)
		t.note(key, to, "is "+to+" now")
		return nil
	}
}

func gone(why string) func(t *translation, key string, v any) error {
	return func(t *translation, key string, _ any) error {
		t.note(key, "", "has no effect any more: "+why)
		return nil
	}
}

func refuse(text string) func(t *translation, key string, v any) error {
	return func(*translation, string, any) error { return errors.New(text) }
}

// outputs returns the outputs by kind.
func outputs(c map[string]any) map[string]map[string]any {
	all := map[string]map[string]any{}
	o, _ := c["output"].(map[string]any)
	for kind, v := range o {
		if m, ok := v.(map[string]any); ok {
			all[kind] = m
		}
	}
	return all
}

// bare is a processor whose condition stands beside its options, as before 5.0.
type bare struct {
	key string
	c   map[string]any
}

var conditions = []string{"equals", "contains", "regexp", "range", "has_fields", "and", "or", "not"}

func bareConditions(c map[string]any) (all []bare) {
	for i, v := range dialect.List(c["processors"]) {
		p, _ := v.(map[string]any)
		for _, name := range []string{"drop_event", "drop_fields", "include_fields"} {
			options, ok := p[name].(map[string]any)
			if _, when := options["when"]; !ok || when {
				continue
			}
			if slices.ContainsFunc(conditions, func(s string) bool { _, ok := options[s]; return ok }) {
				all = append(all, bare{fmt.Sprintf("processors.%d.%s", i, name), options})
			}
		}
	}
	return all
}

func (b bare) mend() {
	when := map[string]any{}
	for _, name := range conditions {
		if v, ok := b.c[name]; ok {
			when[name] = v
			delete(b.c, name)
		}
	}
	b.c["when"] = when
}

// needsTemplate tells whether events go to an index of the user's own without a template for it, which version 7 refuses to do
// and version 5 did.
func needsTemplate(c map[string]any) bool {
	index, ok := dialect.Get(c, "output.elasticsearch.index")
	if !ok || index == nil {
		return false
	}
	if v, ok := dialect.Get(c, "output.elasticsearch.enabled"); ok && dialect.Text(v) == "false" {
		return false
	}
	for _, key := range []string{"setup.template.name", "setup.template.pattern", "setup.ilm.rollover_alias"} {
		if _, ok := dialect.Get(c, key); ok {
			return false
		}
	}
	if v, ok := dialect.Get(c, "setup.template.enabled"); ok && dialect.Text(v) == "false" {
		return false
	}
	return true
}

// template names the template after the constant beginning of the index.
func (t *translation) template() {
	index, _ := dialect.Get(t.c, "output.elasticsearch.index")
	name, _, _ := strings.Cut(dialect.Text(index), "%{")
	name, _, _ = strings.Cut(name, "${")
	name = strings.TrimRight(name, "-_.")
	if name == "" {
		dialect.Put(t.c, "setup.template.enabled", false)
		dialect.Put(t.c, "setup.ilm.enabled", false)
		t.note("output.elasticsearch.index", "", "has no constant beginning, so no template is loaded: set setup.template.name and setup.template.pattern to have one")
		return
	}
	dialect.Put(t.c, "setup.template.name", name)
	dialect.Put(t.c, "setup.template.pattern", name+"-*")
	if _, ok := dialect.Get(t.c, "setup.ilm.enabled"); !ok {
		dialect.Put(t.c, "setup.ilm.enabled", false)
	}
	t.note("output.elasticsearch.index", "", fmt.Sprintf("is used as it is: setup.template.name is %s, setup.template.pattern %s-*, and index lifecycle management, which would ignore it, is off", name, name))
}
