package beatjson

import "sort"

// Bounds of what is remembered.
const (
	maxKeys  = 256
	maxDepth = 16
	maxMiss  = 32
	rest     = 10_000
)

// shape remembers the keys of the map that was last seen at one place of an event. Nearly all events of an agent have the
// same keys: looking them up one after the other costs no more than an iteration, needs no escaping, and gives them one order,
// which the compression likes.
type shape struct {
	keys   []key
	misses int // maps with other keys, less those with the same
	skip   int // maps for which nothing is remembered, as they differ too often
}

type key struct {
	name  string
	text  []byte // "name":
	child *shape // for a map below it
}

// object appends a map in braces. child, where a shape may be remembered, is nil within lists.
func (e *Encoder) object(dst []byte, m map[string]interface{}, child **shape, depth int) ([]byte, bool) {
	var s *shape
	if child != nil && depth < maxDepth {
		if *child == nil {
			*child = new(shape)
		}
		s = *child
	}
	dst = append(dst, '{')
	dst, ok := e.members(dst, m, s, false, depth+1)
	return append(dst, '}'), ok
}

// members appends the keys and values of a map. comma says that others stand before them.
func (e *Encoder) members(dst []byte, m map[string]interface{}, s *shape, comma bool, depth int) ([]byte, bool) {
	if s == nil || len(m) > maxKeys || s.skip > 0 {
		if s != nil && s.skip > 0 {
			s.skip--
		}
		for name, v := range m {
			if comma {
				dst = append(dst, ',')
			}
			comma = true
			dst = append(e.text(dst, name), ':')
			var ok bool
			if dst, ok = e.value(dst, v, nil, depth); !ok {
				return dst, false
			}
		}
		return dst, true
	}
	if len(s.keys) == len(m) {
		out, hit, ok := e.known(dst, m, s, comma, depth)
		if hit {
			if s.misses > 0 {
				s.misses--
			}
			return out, ok
		}
	}
	if s.misses++; s.misses > maxMiss {
		*s = shape{skip: rest}
		return e.members(dst, m, nil, comma, depth)
	}
	s.learn(e, m)
	dst, _, ok := e.known(dst, m, s, comma, depth)
	return dst, ok
}

// known appends a map in the order of s. hit is false where m has not the keys of s; dst is then to be cut.
func (e *Encoder) known(dst []byte, m map[string]interface{}, s *shape, comma bool, depth int) (out []byte, hit, ok bool) {
	for i := range s.keys {
		k := &s.keys[i]
		v, found := m[k.name]
		if !found {
			return dst, false, false
		}
		if comma {
			dst = append(dst, ',')
		}
		comma = true
		dst = append(dst, k.text...)
		if dst, ok = e.value(dst, v, &k.child, depth); !ok {
			return dst, true, false
		}
	}
	return dst, true, true
}

func (s *shape) learn(e *Encoder, m map[string]interface{}) {
	s.keys = make([]key, 0, len(m))
	for name := range m {
		s.keys = append(s.keys, key{name: name, text: append(e.text(nil, name), ':')})
	}
	sort.Slice(s.keys, func(i, j int) bool { return s.keys[i].name < s.keys[j].name })
}
