package processing

import (
	"maps"
	"reflect"
	"strings"

	"github.com/elastic/beats/v7/libbeat/common"

	"github.com/tallylog/tally/event"
)

// putBack gives the maps of an event with what has changed between before and after, the leaves that flatten made of m and what a
// processor made of those. The maps themselves are not touched, as other events may share them: those on the way to a change are
// copied.
func putBack(m common.MapStr, before, after []event.Field) common.MapStr {
	for len(before) > 0 && len(after) > 0 && before[0] == after[0] { // most leaves are where they were
		before, after = before[1:], after[1:]
	}
	if len(before) == 0 && len(after) == 0 {
		return m
	}
	gone := make(map[string]event.Field, len(before))
	for _, f := range before {
		gone[f.Name] = f
	}
	var put []event.Field
	for _, f := range after {
		was, ok := gone[f.Name]
		delete(gone, f.Name)
		if !ok || was != f {
			put = append(put, f)
		}
	}
	w := copies{}
	root := maps.Clone(m)
	if root == nil {
		root = common.MapStr{}
	}
	for name := range gone { // first, as what is put may take the place of what goes
		w.remove(root, name)
	}
	for _, f := range put {
		w.put(root, f)
	}
	return root
}

// copies are the objects of an event that have been copied already.
type copies map[uintptr]bool

func (w copies) note(m common.MapStr) common.MapStr {
	w[reflect.ValueOf(m).Pointer()] = true
	return m
}

// sub gives the copy of the object under k in m, itself a copy; nil where there is no object.
func (w copies) sub(m common.MapStr, k string) common.MapStr {
	var s common.MapStr
	switch v := m[k].(type) {
	case common.MapStr:
		s = v
	case map[string]any:
		s = v
	}
	if s != nil && !w[reflect.ValueOf(s).Pointer()] {
		s = w.note(maps.Clone(s))
		m[k] = s
	}
	return s
}

// remove takes a leaf out of m, and the objects that it leaves empty.
func (w copies) remove(m common.MapStr, name string) {
	delete(m, name)
	for i := range name {
		if name[i] != '.' {
			continue
		}
		k := name[:i]
		if s := w.sub(m, k); s != nil {
			w.remove(s, name[i+1:])
			if len(s) == 0 {
				delete(m, k)
			}
		}
	}
}

// put sets a leaf. Where a text stands in the way of an object, the leaf keeps its dotted name beside it, so that neither is lost.
func (w copies) put(m common.MapStr, f event.Field) {
	name := f.Name
	for {
		_, whole := m[name]
		k, rest, dotted := strings.Cut(name, ".")
		if whole || !dotted {
			m[name] = value(f)
			return
		}
		s := w.sub(m, k)
		if s == nil {
			if m[k] != nil {
				m[name] = value(f)
				return
			}
			s = w.note(common.MapStr{})
			m[k] = s
		}
		m, name = s, rest
	}
}
