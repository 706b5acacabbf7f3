package ledger

import (
	"encoding/binary"
	"errors"
	"slices"
	"sort"
)

// chunkMax is the number of ranges a chunk holds before it is split. Small enough that an insertion in the middle moves
// little, large enough that a million ranges need few chunks.
const chunkMax = 512

// Set is a set of units kept as sorted, disjoint, non-adjacent ranges. The zero value is empty. Extending the last range
// costs a comparison and no allocation; an insertion anywhere costs a binary search and at most one chunk moved.
//
// A Set is not safe for concurrent use.
type Set struct {
	chunks [][]Range // none empty, sorted
	n      int       // ranges
	units  int64
}

// Len is the number of ranges, Units the number of units in them.
func (s *Set) Len() int     { return s.n }
func (s *Set) Units() int64 { return s.units }

// Add puts [r.From, r.To) into the set and returns how many of its units were not there before. An empty or inverted
// range adds nothing.
func (s *Set) Add(r Range) int64 {
	if r.To <= r.From {
		return 0
	}
	if k := len(s.chunks); k > 0 { // the usual case: right behind, or right after, the last range
		c := s.chunks[k-1]
		last := &c[len(c)-1]
		if r.From == last.To {
			last.To = r.To
			s.units += r.Len()
			return r.Len()
		}
		if r.From > last.To {
			s.appendLast(r)
			return r.Len()
		}
	} else {
		s.appendLast(r)
		return r.Len()
	}
	return s.merge(r)
}

func (s *Set) appendLast(r Range) {
	k := len(s.chunks)
	if k == 0 || len(s.chunks[k-1]) >= chunkMax {
		s.chunks = append(s.chunks, make([]Range, 0, 4))
		k++
	}
	s.chunks[k-1] = append(s.chunks[k-1], r)
	s.n++
	s.units += r.Len()
}

// merge inserts r where it belongs, swallowing what it touches.
func (s *Set) merge(r Range) int64 {
	before := s.units
	i, j := s.find(r.From)
	at := [2]int{i, j}
	// Swallow every range that touches r, chunk by chunk.
	for i < len(s.chunks) {
		c := s.chunks[i]
		from := j
		for j < len(c) && c[j].From <= r.To {
			r.From, r.To = min(r.From, c[j].From), max(r.To, c[j].To)
			s.units -= c[j].Len()
			s.n--
			j++
		}
		stop := j < len(c)
		c = slices.Delete(c, from, j)
		if len(c) == 0 {
			s.chunks = slices.Delete(s.chunks, i, i+1)
		} else {
			s.chunks[i] = c
			i++
		}
		if stop {
			break
		}
		j = 0
	}
	s.insert(at[0], at[1], r)
	return s.units - before
}

// insert puts r, which touches nothing, before range j of chunk i.
func (s *Set) insert(i, j int, r Range) {
	s.n++
	s.units += r.Len()
	if i == len(s.chunks) {
		if i == 0 {
			s.chunks = append(s.chunks, []Range{r})
			return
		}
		i, j = i-1, len(s.chunks[i-1])
	}
	c := slices.Insert(s.chunks[i], j, r)
	if len(c) > chunkMax {
		half := len(c) / 2
		s.chunks = slices.Insert(s.chunks, i+1, slices.Clone(c[half:]))
		c = slices.Clip(c[:half:half])
	}
	s.chunks[i] = c
}

// Remove takes [r.From, r.To) out of the set and returns how many of its units were there.
func (s *Set) Remove(r Range) (removed int64) {
	for r.From < r.To {
		i, j := s.find(r.From + 1)
		if i == len(s.chunks) || s.chunks[i][j].From >= r.To {
			return removed
		}
		o := s.chunks[i][j]
		if s.chunks[i] = slices.Delete(s.chunks[i], j, j+1); len(s.chunks[i]) == 0 {
			s.chunks = slices.Delete(s.chunks, i, i+1)
		}
		s.n--
		s.units -= o.Len()
		s.Add(Range{From: o.From, To: min(r.From, o.To)})
		s.Add(Range{From: max(r.To, o.From), To: o.To})
		removed += min(o.To, r.To) - max(o.From, r.From)
		r.From = min(o.To, r.To)
	}
	return removed
}

// find returns the first range (chunk, index) that ends at or after x, or (len(chunks), 0).
func (s *Set) find(x int64) (int, int) {
	i := sort.Search(len(s.chunks), func(i int) bool { c := s.chunks[i]; return c[len(c)-1].To >= x })
	if i == len(s.chunks) {
		return i, 0
	}
	c := s.chunks[i]
	return i, sort.Search(len(c), func(j int) bool { return c[j].To >= x })
}

// Contains tells whether all of r is in the set.
func (s *Set) Contains(r Range) bool {
	o, ok := s.at(r.From)
	return ok && o.From <= r.From && r.To <= o.To
}

// Overlaps tells whether any unit of r is in the set.
func (s *Set) Overlaps(r Range) bool {
	o, ok := s.at(r.From)
	return ok && o.From < r.To
}

// at returns the first range that ends after x.
func (s *Set) at(x int64) (Range, bool) {
	i, j := s.find(x + 1)
	if i == len(s.chunks) {
		return Range{}, false
	}
	return s.chunks[i][j], true
}

// Last returns the newest range; ok is false for an empty set.
func (s *Set) Last() (r Range, ok bool) {
	if s.n == 0 {
		return Range{}, false
	}
	c := s.chunks[len(s.chunks)-1]
	return c[len(c)-1], true
}

// All calls f with each range in ascending order until it returns false.
func (s *Set) All(f func(Range) bool) {
	for _, c := range s.chunks {
		for _, r := range c {
			if !f(r) {
				return
			}
		}
	}
}

// Ranges returns a copy of the ranges in ascending order.
func (s *Set) Ranges() []Range {
	out := make([]Range, 0, s.n)
	s.All(func(r Range) bool { out = append(out, r); return true })
	return out
}

// AddAll puts every range of o into s.
func (s *Set) AddAll(o *Set) {
	o.All(func(r Range) bool { s.Add(r); return true })
}

// Clone returns an independent copy.
func (s *Set) Clone() *Set {
	c := &Set{n: s.n, units: s.units, chunks: make([][]Range, len(s.chunks))}
	for i := range s.chunks {
		c.chunks[i] = slices.Clone(s.chunks[i])
	}
	return c
}

// AppendBinary appends the set: uvarint count, then for each range the uvarint distance from the end of the one before
// and its uvarint length.
func (s *Set) AppendBinary(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(s.n))
	var at int64
	s.All(func(r Range) bool {
		b = binary.AppendUvarint(b, uint64(r.From-at))
		b = binary.AppendUvarint(b, uint64(r.Len()))
		at = r.To
		return true
	})
	return b
}

var errSet = errors.New("not an encoded range set")

// DecodeSet reads what AppendBinary wrote and returns the rest of b.
func DecodeSet(b []byte) (*Set, []byte, error) {
	n, k := binary.Uvarint(b)
	if k <= 0 || n > uint64(len(b)) {
		return nil, nil, errSet
	}
	b = b[k:]
	s := &Set{}
	var at int64
	for i := uint64(0); i < n; i++ {
		d, k := binary.Uvarint(b)
		if k <= 0 {
			return nil, nil, errSet
		}
		l, m := binary.Uvarint(b[k:])
		if m <= 0 || d > uint64(MaxOffset-at) || l == 0 || l > uint64(MaxOffset-at)-d {
			return nil, nil, errSet
		}
		b = b[k+m:]
		r := Range{at + int64(d), at + int64(d) + int64(l)}
		s.Add(r)
		at = r.To
	}
	return s, b, nil
}
