package dialects

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tallylog/tally/beat/dialects/dialect"
	"github.com/tallylog/tally/beat/dialects/filebeat5"
	"github.com/tallylog/tally/beat/dialects/journalbeat5"
	"github.com/tallylog/tally/beat/dialects/journalbeat7"
	"github.com/tallylog/tally/beat/dialects/libbeat5"
)

// all are the adapters in the order in which they are asked. Those of one beat's section come before those of what all beats
// have in common.
var all = []dialect.Dialect{
	journalbeat5.Dialect{},
	journalbeat7.Dialect{},
	filebeat5.Dialect{},
	libbeat5.Dialect{},
}

// Translate makes of a configuration what libbeat reads when the program goes by the name beat. changed is false where c is
// native already; then the result's configuration is c. c may be changed. An error names the adapter; about one key it wraps a
// *dialect.KeyError.
func Translate(beat string, c map[string]any) (r dialect.Result, changed bool, err error) {
	r.Config = c
	var written []string // sections that the user wrote
	for _, name := range sections {
		if _, ok := c[name]; ok && name != beat {
			written = append(written, name)
		}
	}
	for _, d := range all {
		if !d.Speaks(beat, r.Config) {
			continue
		}
		next, err := d.Translate(r.Config)
		if err != nil {
			return r, true, fmt.Errorf("cannot translate configuration of %s: %w", d.Name(), err)
		}
		r.Config, r.Notes, changed = next.Config, append(r.Notes, next.Notes...), true
	}
	for _, name := range sections {
		moved, err := rename(r.Config, name, beat)
		if err != nil {
			return r, true, err
		}
		changed = changed || moved
		if moved && slices.Contains(written, name) {
			r.Notes = append(r.Notes, dialect.Note{Key: name, Now: beat, Text: "is read as " + beat + ", the name that this program goes by"})
		}
	}
	for i, n := range r.Notes {
		if head, tail, deeper := strings.Cut(n.Now, "."); deeper && slices.Contains(sections, head) {
			r.Notes[i].Now = beat + "." + tail
		}
	}
	return r, changed, nil
}

// sections are the names under which inputs may stand. libbeat hands to the agent only the section of the agent's own name.
var sections = []string{"filebeat", dialect.Native}

// rename moves what a section holds into another.
func rename(c map[string]any, name, to string) (moved bool, err error) {
	from, ok := c[name].(map[string]any)
	if !ok || name == to {
		return false, nil
	}
	target, _ := c[to].(map[string]any)
	if target == nil {
		target = map[string]any{}
	}
	for _, key := range slices.Sorted(maps.Keys(from)) {
		if _, ok := target[key]; ok {
			return true, &dialect.KeyError{Key: name + "." + key, Text: fmt.Sprintf("both %s.%s and %s.%s are set: write one of them", name, key, to, key)}
		}
		target[key] = from[key]
	}
	c[to] = target
	delete(c, name)
	return true, nil
}
