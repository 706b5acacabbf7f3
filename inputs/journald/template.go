package journald

import (
	"bytes"
	"hash/maphash"
	"maps"
	"slices"

	"github.com/elastic/beats/v7/libbeat/common"
)

const (
	// maxTemplates bounds what a converter keeps of events; a template is about 6 KiB.
	maxTemplates = 256
	// maxRaw is how long the fields of an entry are for which there is a template.
	maxRaw = 8 << 10
	// enoughUses is how often a template must be of use, on average, for making it to be worth while.
	enoughUses = 4
	// giveUpAfter is after how many templates that is looked at.
	giveUpAfter = 1024
)

// templates keeps the fields that entries have in common but for their messages: on most machines few processes write nearly all. To copy
// the maps of such an event is several times cheaper than to make them.
type templates struct {
	all        map[uint64]*template
	seed       maphash.Seed
	raw        []byte
	used, made int
	off        bool // the entries of this journal have too little in common
	shared     bool // events share the maps of templates: nobody changes them
}

// template is what an event is copied from.
type template struct {
	raw    []byte // the entry's fields, to be certain
	fields node
	text   bool // the entry has a message
}

// node is a map of an event with the values in it that are not to be shared.
type node struct {
	fields common.MapStr
	maps   []child
	lists  []string // keys of []string and []any
}

type child struct {
	key string
	node
}

func newNode(m common.MapStr) node {
	n := node{fields: m}
	for k, v := range m {
		switch v := v.(type) {
		case common.MapStr:
			n.maps = append(n.maps, child{k, newNode(v)})
		case []string, []any:
			n.lists = append(n.lists, k)
		}
	}
	return n
}

// share copies the map, and of the maps in it those alone that libbeat itself changes.
func (n *node) share() common.MapStr {
	m := maps.Clone(n.fields)
	for i := range n.maps {
		if n.maps[i].key == "host" {
			m["host"] = n.maps[i].copy()
		}
	}
	return m
}

func (n *node) copy() common.MapStr {
	m := maps.Clone(n.fields)
	for i := range n.maps {
		m[n.maps[i].key] = n.maps[i].copy()
	}
	for _, k := range n.lists {
		switch v := m[k].(type) {
		case []string:
			m[k] = slices.Clone(v)
		case []any:
			m[k] = slices.Clone(v)
		}
	}
	return m
}

// copy returns the fields of the entry's event; message and event are there and are to be set. ok is false where no template is of use.
func (t *templates) copy(c *converter, e *entry) (fields common.MapStr, ok bool) {
	if t.off || e.cut {
		return nil, false
	}
	t.raw = t.raw[:0]
	text := false
	for i := range e.fields {
		f := &e.fields[i]
		if conv := c.known[string(f.name)]; conv != nil && (conv.role == isMessage || conv.paths == nil) {
			text = text || conv.role == isMessage
			continue
		}
		if len(f.name)+len(f.value)+len(t.raw) > maxRaw {
			return nil, false
		}
		t.raw = append(append(append(append(t.raw, f.name...), '='), f.value...), 0)
	}
	if t.all == nil {
		t.all, t.seed = map[uint64]*template{}, maphash.MakeSeed()
	}
	key := maphash.Bytes(t.seed, t.raw)
	at := t.all[key]
	if at == nil || at.text != text || !bytes.Equal(at.raw, t.raw) {
		if t.made++; t.made%giveUpAfter == 0 && t.used < enoughUses*t.made {
			t.off, t.all, t.raw = true, nil, nil
			return nil, false
		}
		if len(t.all) >= maxTemplates {
			clear(t.all)
		}
		m := c.fields(e, false)
		if m["event"] = nil; text {
			m["message"] = nil
		}
		at = &template{raw: bytes.Clone(t.raw), text: text, fields: newNode(m)}
		t.all[key] = at
	}
	if t.used++; t.shared {
		return at.fields.share(), true
	}
	return at.fields.copy(), true
}
