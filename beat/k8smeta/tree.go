package k8smeta

import (
	"maps"
	"strings"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
)

// tree is a tree of fields of which every event gets a copy. Leaves and branches are apart, as a map of leaves is copied in one piece.
type tree struct {
	leaves   common.MapStr
	branches []branch
}

type branch struct {
	key string
	*tree
}

// put sets the field of a dotted name. A leaf gives way to a branch of its name.
func (t *tree) put(name, value string) {
	key, rest, nested := strings.Cut(name, ".")
	if !nested {
		if t.leaves == nil {
			t.leaves = common.MapStr{}
		}
		if t.branch(key) == nil {
			t.leaves[key] = value
		}
		return
	}
	b := t.branch(key)
	if b == nil {
		delete(t.leaves, key)
		b = &tree{}
		t.branches = append(t.branches, branch{key, b})
	}
	b.put(rest, value)
}

func (t *tree) branch(key string) *tree {
	for _, b := range t.branches {
		if b.key == key {
			return b.tree
		}
	}
	return nil
}

// copy makes maps of the tree that belong to the caller.
func (t *tree) copy() common.MapStr {
	m := maps.Clone(t.leaves)
	if m == nil {
		m = make(common.MapStr, len(t.branches))
	}
	for _, b := range t.branches {
		m[b.key] = b.copy()
	}
	return m
}

// give puts the fields into an event. over tells whether they replace what is there; an object is never replaced by a text, nor a
// text by an object. Only the topmost map is changed in place: those below may be shared with other events.
func (t *tree) give(e *beat.Event, over bool) {
	if e.Fields == nil {
		e.Fields = common.MapStr{}
	}
	t.merge(e.Fields, over)
}

func (t *tree) merge(to map[string]any, over bool) {
	for k, v := range t.leaves {
		switch to[k].(type) {
		case nil:
			to[k] = v
		case common.MapStr, map[string]any:
		default:
			if over {
				to[k] = v
			}
		}
	}
	for _, b := range t.branches {
		switch old := to[b.key].(type) {
		case nil:
			to[b.key] = b.copy()
		case common.MapStr:
			to[b.key] = b.merged(old, over)
		case map[string]any:
			to[b.key] = b.merged(old, over)
		}
	}
}

func (t *tree) merged(old map[string]any, over bool) common.MapStr {
	m := maps.Clone(old)
	t.merge(m, over)
	return m
}

// text is the text at a dotted name of an event; "" where there is none. It goes down object by object, as events have them.
func text(m common.MapStr, path []string) string {
	var v any = m
	for _, key := range path {
		switch m := v.(type) {
		case common.MapStr:
			v = m[key]
		case map[string]any:
			v = m[key]
		default:
			return ""
		}
	}
	s, _ := v.(string)
	return s
}
