package grok

import (
	"regexp/syntax"
	"unicode/utf8"
)

// program is the compiled form of a regular expression: the instructions of syntax.Prog under their own numbers, with what can be
// said beforehand about each.
type program struct {
	start  int32
	ops    []op
	slots  int
	first  *[256]bool // bytes that a match can begin with; nil where it can be empty
	must   []string   // literals that every match has, one after the other
	anchor bool       // a match can only begin at the start of the text
}

type kind uint8

const (
	kFail kind = iota
	kMatch
	kByte    // one byte
	kLiteral // several
	kSet     // one character of a class
	kSplit   // out, else arg
	kSpan    // as many characters of a class as possible, then arg; gives back one after the other
	kLazy    // arg, else one character of a class and again
	kSave
	kEmpty // an assertion such as \b
)

type op struct {
	kind kind
	free bool // kSpan: what follows can never begin inside, so nothing is given back
	c    byte
	out  int32
	arg  int32
	slot int32
	cond syntax.EmptyOp
	lit  string
	set  *class
	// first and second are the bytes that the ways out and arg can begin with; nil where they may take none. They are looked at
	// before a way is tried.
	first, second *[256]bool
}

// class is a set of characters.
type class struct {
	ascii [256]bool // for bytes below utf8.RuneSelf
	wide  bool      // some character beyond ASCII may be in it
	all   bool      // every character beyond ASCII is
	inst  *syntax.Inst
}

func (c *class) has(r rune) bool { return c.all || c.wide && c.inst.MatchRune(r) }

// compile translates the program. named tells which groups to record.
func compile(p *syntax.Prog, named func(group int) bool) *program {
	g := &program{ops: make([]op, len(p.Inst)), slots: 2}
	t := &translator{p: p, named: named, sets: map[int]*class{}, firsts: map[int32]*[256]bool{}}
	for i := range p.Inst {
		g.ops[i] = t.op(i)
		g.slots = max(g.slots, int(g.ops[i].slot)+1)
	}
	for i := range g.ops {
		t.literal(g.ops, i)
	}
	g.start = t.skip(uint32(p.Start))
	g.first = t.first(g.start)
	g.anchor = p.StartCond()&syntax.EmptyBeginText != 0
	return g
}

type translator struct {
	p      *syntax.Prog
	named  func(int) bool
	sets   map[int]*class
	firsts map[int32]*[256]bool
}

// skip follows instructions that do nothing.
func (t *translator) skip(pc uint32) int32 {
	for {
		in := &t.p.Inst[pc]
		if in.Op != syntax.InstNop && (in.Op != syntax.InstCapture || t.named(int(in.Arg)/2)) {
			return int32(pc)
		}
		pc = in.Out
	}
}

func (t *translator) op(pc int) op {
	in := &t.p.Inst[pc]
	o := op{out: t.skip(in.Out)}
	switch in.Op {
	case syntax.InstMatch:
		o.kind = kMatch
	case syntax.InstCapture:
		o.kind, o.slot = kSave, int32(in.Arg)
	case syntax.InstEmptyWidth:
		o.kind, o.cond = kEmpty, syntax.EmptyOp(in.Arg)
	case syntax.InstRune1:
		if syntax.Flags(in.Arg)&syntax.FoldCase == 0 && in.Rune[0] < utf8.RuneSelf {
			o.kind, o.c = kByte, byte(in.Rune[0])
			return o
		}
		o.kind, o.set = kSet, t.class(pc)
	case syntax.InstRune, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		o.kind, o.set = kSet, t.class(pc)
	case syntax.InstAlt, syntax.InstAltMatch:
		t.split(pc, &o)
	}
	return o
}

func (t *translator) split(pc int, o *op) {
	in := &t.p.Inst[pc]
	o.kind, o.arg = kSplit, t.skip(in.Arg)
	if body := &t.p.Inst[o.out]; single(body) && t.skip(body.Out) == int32(pc) {
		o.kind, o.set = kSpan, t.class(int(o.out))
	} else if body := &t.p.Inst[o.arg]; single(body) && t.skip(body.Out) == int32(pc) {
		o.kind, o.set = kLazy, t.class(int(o.arg))
		o.out, o.arg = o.arg, o.out
	}
	o.first, o.second = t.first(o.out), t.first(o.arg)
	if o.kind == kSpan && o.second != nil {
		o.free = true
		for b := range 256 {
			in := o.set.ascii[b]
			if b >= utf8.RuneSelf {
				in = o.set.wide
			}
			if in && o.second[b] {
				o.free = false
			}
		}
	}
}

// single tells whether an instruction takes exactly one character.
func single(in *syntax.Inst) bool {
	switch in.Op {
	case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		return true
	}
	return false
}

func (t *translator) class(pc int) *class {
	if c := t.sets[pc]; c != nil {
		return c
	}
	in := &t.p.Inst[pc]
	c := &class{inst: in}
	for b := range rune(utf8.RuneSelf) {
		c.ascii[b] = matchRune(in, b)
	}
	switch in.Op {
	case syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		c.all, c.wide = true, true
	default:
		c.wide = len(in.Rune) == 0 || in.Rune[len(in.Rune)-1] >= utf8.RuneSelf || syntax.Flags(in.Arg)&syntax.FoldCase != 0
		n := len(in.Rune)
		c.all = n > 1 && n%2 == 0 && in.Rune[n-1] == utf8.MaxRune && in.Rune[n-2] <= utf8.RuneSelf
	}
	t.sets[pc] = c
	return c
}

func matchRune(in *syntax.Inst, r rune) bool {
	switch in.Op {
	case syntax.InstRuneAny:
		return true
	case syntax.InstRuneAnyNotNL:
		return r != '\n'
	}
	return in.MatchRune(r)
}

// first gives the bytes that a match from pc on can begin with, or nil where it can go on without any.
func (t *translator) first(pc int32) *[256]bool {
	if f, ok := t.firsts[pc]; ok {
		return f
	}
	f := &[256]bool{}
	if !t.collect(pc, f, map[int32]bool{}) {
		f = nil
	}
	t.firsts[pc] = f
	return f
}

// collect adds to f; false means that the end can be reached without a byte.
func (t *translator) collect(pc int32, f *[256]bool, seen map[int32]bool) bool {
	if seen[pc] {
		return true
	}
	seen[pc] = true
	in := &t.p.Inst[pc]
	switch in.Op {
	case syntax.InstMatch:
		return false
	case syntax.InstFail:
		return true
	case syntax.InstAlt, syntax.InstAltMatch:
		return t.collect(int32(in.Out), f, seen) && t.collect(int32(in.Arg), f, seen)
	case syntax.InstCapture, syntax.InstNop, syntax.InstEmptyWidth:
		return t.collect(int32(in.Out), f, seen)
	}
	c := t.class(int(pc))
	for b := range 256 {
		if b < utf8.RuneSelf && c.ascii[b] || b >= utf8.RuneSelf && c.wide {
			f[b] = true
		}
	}
	return true
}

// literal joins the bytes that follow each other from op i on.
func (t *translator) literal(ops []op, i int) {
	if ops[i].kind != kByte {
		return
	}
	text := []byte{ops[i].c}
	at := ops[i].out
	for t.p.Inst[at].Op == syntax.InstRune1 && len(text) < 64 {
		in := &t.p.Inst[at]
		if syntax.Flags(in.Arg)&syntax.FoldCase != 0 || in.Rune[0] >= utf8.RuneSelf {
			break
		}
		text = append(text, byte(in.Rune[0]))
		at = t.skip(in.Out)
	}
	if len(text) > 1 {
		ops[i].kind, ops[i].lit, ops[i].out = kLiteral, string(text), at
	}
}
