package grok

import (
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// frame is a place to come back to: a way not yet taken, the shorter stretches of a class, or a slot to set back.
type frame struct {
	pc   int32 // op to go on with; for an undo the slot
	what int8
	pos  int
	low  int // stretch: the shortest; undo: the old value
}

const (
	fWay     = iota
	fStretch // pos down to low
	fLazy    // from pos on, one character more; pc is the op
	fUndo
)

// machine is the memory of one match.
type machine struct {
	stack []frame
	slots []int
	work  int
}

type outcome uint8

const (
	no outcome = iota
	yes
	unsure // more work than allowed
)

// run looks for the leftmost match in text, which must be valid UTF-8. The bounds of the groups are then in m.slots, -1 for
// groups without part in the match.
func (m *machine) run(g *program, text string) outcome {
	if cap(m.slots) < g.slots {
		m.slots = make([]int, g.slots)
	}
	m.slots = m.slots[:g.slots]
	m.work = 64*len(text) + 20_000
	for at := 0; at <= len(text); at++ {
		if g.first != nil {
			for at < len(text) && !g.first[text[at]] {
				at++
			}
			if at == len(text) {
				return no
			}
		}
		if at > 0 && at < len(text) && !utf8.RuneStart(text[at]) {
			continue
		}
		if r := m.from(g, text, at); r != no {
			return r
		}
		if g.anchor {
			return no
		}
	}
	return no
}

// from tries to match at one place.
func (m *machine) from(g *program, text string, at int) outcome {
	for i := range m.slots {
		m.slots[i] = -1
	}
	m.stack = m.stack[:0]
	pos, pc := at, g.start
	for {
		m.work--
		o := &g.ops[pc]
		ok := false
		switch o.kind {
		case kMatch:
			m.slots[0], m.slots[1] = at, pos
			return yes
		case kByte:
			if ok = pos < len(text) && text[pos] == o.c; ok {
				pos, pc = pos+1, o.out
			}
		case kLiteral:
			if ok = strings.HasPrefix(text[pos:], o.lit); ok {
				pos, pc = pos+len(o.lit), o.out
			}
		case kSet:
			if n := o.set.width(text, pos); n > 0 {
				ok, pos, pc = true, pos+n, o.out
			}
		case kSave:
			m.stack = append(m.stack, frame{pc: o.slot, what: fUndo, low: m.slots[o.slot]})
			m.slots[o.slot] = pos
			ok, pc = true, o.out
		case kEmpty:
			ok, pc = o.cond&^assertions(text, pos) == 0, o.out
		case kSplit:
			first, second := can(o.first, text, pos), can(o.second, text, pos)
			switch {
			case first && second:
				m.stack = append(m.stack, frame{pc: o.arg, what: fWay, pos: pos})
				fallthrough
			case first:
				ok, pc = true, o.out
			case second:
				ok, pc = true, o.arg
			}
		case kSpan:
			end := o.set.run(text, pos)
			m.work -= (end - pos) >> 3
			if end > pos && !o.free {
				m.stack = append(m.stack, frame{pc: pc, what: fStretch, pos: end, low: pos})
				break // the frame tries the longest first
			}
			if ok = can(o.second, text, end); ok {
				pos, pc = end, o.arg
			}
		case kLazy:
			m.stack = append(m.stack, frame{pc: pc, what: fLazy, pos: pos, low: -1})
		}
		if m.work < 0 {
			return unsure
		}
		if ok {
			continue
		}
		if pos, pc, ok = m.back(g, text); !ok {
			return no
		}
	}
}

// back goes back to the newest way that was not taken.
func (m *machine) back(g *program, text string) (pos int, pc int32, ok bool) {
	for len(m.stack) > 0 {
		f := &m.stack[len(m.stack)-1]
		switch f.what {
		case fUndo:
			m.slots[f.pc] = f.low
		case fWay:
			pos, pc = f.pos, f.pc
			m.stack = m.stack[:len(m.stack)-1]
			return pos, pc, true
		case fStretch:
			if pos, pc, ok = m.shorter(g, text, f); ok {
				return pos, pc, true
			}
		case fLazy:
			if pos, pc, ok = m.longer(g, text, f); ok {
				return pos, pc, true
			}
		}
		m.stack = m.stack[:len(m.stack)-1]
	}
	return 0, 0, false
}

// shorter finds the longest stretch not yet tried after which the match can go on.
func (m *machine) shorter(g *program, text string, f *frame) (int, int32, bool) {
	o := &g.ops[f.pc]
	at := f.pos
	for at >= f.low {
		m.work--
		if can(o.second, text, at) && (at == len(text) || utf8.RuneStart(text[at])) {
			f.pos = at - 1
			return at, o.arg, true
		}
		at--
	}
	return 0, 0, false
}

// longer finds the shortest stretch not yet tried after which the match can go on. low is -1 before the first call, and then the
// place that was tried last.
func (m *machine) longer(g *program, text string, f *frame) (int, int32, bool) {
	o := &g.ops[f.pc]
	at := f.pos
	if f.low >= 0 {
		n := o.set.width(text, at)
		if n == 0 {
			return 0, 0, false
		}
		at += n
	}
	for !can(o.second, text, at) {
		m.work--
		n := o.set.width(text, at)
		if n == 0 {
			return 0, 0, false
		}
		at += n
	}
	f.pos, f.low = at, at
	return at, o.arg, true
}

// can tells whether a way that begins with the bytes of f may go on at pos.
func can(f *[256]bool, text string, pos int) bool {
	return f == nil || pos < len(text) && f[text[pos]]
}

// width is the number of bytes of the character at pos, 0 where it is not in the class.
func (c *class) width(text string, pos int) int {
	if pos >= len(text) {
		return 0
	}
	if b := text[pos]; b < utf8.RuneSelf {
		if c.ascii[b] {
			return 1
		}
		return 0
	}
	r, n := utf8.DecodeRuneInString(text[pos:])
	if c.has(r) {
		return n
	}
	return 0
}

// run is the end of the stretch of characters of the class from pos on.
func (c *class) run(text string, pos int) int {
	for pos < len(text) {
		if b := text[pos]; b < utf8.RuneSelf {
			if !c.ascii[b] {
				break
			}
			pos++
			continue
		}
		n := c.width(text, pos)
		if n == 0 {
			break
		}
		pos += n
	}
	return pos
}

// assertions are those that hold at pos.
func assertions(text string, pos int) syntax.EmptyOp {
	before, after := rune(-1), rune(-1)
	if pos > 0 {
		before, _ = utf8.DecodeLastRuneInString(text[:pos])
	}
	if pos < len(text) {
		after, _ = utf8.DecodeRuneInString(text[pos:])
	}
	return syntax.EmptyOpContext(before, after)
}
