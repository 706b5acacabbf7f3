package query

import (
	"fmt"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Regular expressions of Lucene: they match whole terms, know no anchors and no classes with a name, and read more punctuation as
// operators than RE2. Every ASCII character that is no letter and no digit is therefore escaped, and classes are written out.

// maxLucene is the length of the longest expression that is sent; the index template allows it.
const maxLucene = 5000

// mostRanges is the largest class of characters that is sent, for the same reason.
const mostRanges = 40

func luceneText(b *strings.Builder, s string) {
	for _, r := range s {
		luceneRune(b, r)
	}
}

func luceneRune(b *strings.Builder, r rune) {
	if r < utf8.RuneSelf && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r > ' ' && r != 0x7F {
		b.WriteByte('\\')
	}
	b.WriteRune(r)
}

// luceneFolded writes an expression for s in any case (simple folding).
func luceneFolded(b *strings.Builder, s string) {
	for _, r := range s {
		if unicode.SimpleFold(r) == r {
			luceneRune(b, r)
			continue
		}
		b.WriteByte('[')
		luceneRune(b, r)
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			luceneRune(b, f)
		}
		b.WriteByte(']')
	}
}

// luceneClass writes ranges, given as pairs. Halves of surrogate pairs, which no text has, are left out.
func luceneClass(b *strings.Builder, ranges []rune) bool {
	empty := true
	for i := 0; i < len(ranges); i += 2 {
		for _, r := range [][2]rune{{ranges[i], min(ranges[i+1], 0xD7FF)}, {max(ranges[i], 0xE000), ranges[i+1]}} {
			if r[0] > r[1] {
				continue
			}
			if empty {
				b.WriteByte('[')
				empty = false
			}
			luceneRune(b, r[0])
			if r[1] > r[0] {
				b.WriteByte('-')
				luceneRune(b, r[1])
			}
		}
	}
	if !empty {
		b.WriteByte(']')
	}
	return !empty
}

// certainBoundary is a class of characters that are no part of a word: those of ASCII, and the large blocks of others. It is not the whole
// complement of wordRune, whose hundreds of ranges make automatons that cost Elasticsearch its memory. possibleBoundary has besides all
// characters beyond ASCII, and what it finds has to be looked at.
var certainBoundary, possibleBoundary = func() (string, string) {
	const large = 200
	var certain, possible []rune
	from := rune(-1)
	for r := rune(0); r <= unicode.MaxRune+1; r++ {
		if r <= unicode.MaxRune && !wordRune(r) && r != utf8.RuneSelf {
			if from < 0 {
				from = r
			}
			continue
		}
		if from >= 0 {
			if last := r - 1; last < utf8.RuneSelf {
				certain, possible = append(certain, from, last), append(possible, from, last)
			} else if last-from >= large {
				certain = append(certain, from, last)
			}
		}
		from = -1
	}
	possible = append(possible, utf8.RuneSelf, unicode.MaxRune)
	var c, p strings.Builder
	luceneClass(&c, certain)
	luceneClass(&p, possible)
	return c.String(), p.String()
}()

// lucenePhrase is an expression for values that hold text between the boundaries asked for, where boundary is the class of these.
func lucenePhrase(text string, ignoreCase, before, behind bool, boundary string) string {
	var b strings.Builder
	if before {
		b.WriteString("(.*" + boundary + ")?")
	} else {
		b.WriteString(".*")
	}
	if ignoreCase {
		luceneFolded(&b, text)
	} else {
		luceneText(&b, text)
	}
	if behind {
		b.WriteString("(" + boundary + ".*)?")
	} else {
		b.WriteString(".*")
	}
	return b.String()
}

// luceneNumber is numberRegexp for Lucene. Numbers so large that they are none to parseValue are bounded away.
func luceneNumber(d decimal, op Op) string {
	return "(" + strings.NewReplacer(`(?:`, `(`, `\d`, `[0-9]`, `,}`, `,307}`).Replace(d.numberRegexp(op)) + ")"
}

// lucenePattern translates an RE2 pattern, which matches somewhere in a value, to one for the whole value. It cannot where the
// pattern looks at boundaries, or at the edges of lines, or has anchors anywhere but at its own edges.
func lucenePattern(pattern string) (string, bool) {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "", false
	}
	var b strings.Builder
	if !luceneTop(&b, tree) || b.Len() > maxLucene {
		return "", false
	}
	return b.String(), true
}

func luceneTop(b *strings.Builder, re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpCapture:
		return luceneTop(b, re.Sub[0])
	case syntax.OpAlternate:
		return luceneEach(b, re.Sub, "|", luceneTop)
	}
	subs := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		subs = re.Sub
	}
	begin, end := ".*", ".*"
	for len(subs) > 0 && subs[0].Op == syntax.OpBeginText {
		begin, subs = "", subs[1:]
	}
	for len(subs) > 0 && subs[len(subs)-1].Op == syntax.OpEndText {
		end, subs = "", subs[:len(subs)-1]
	}
	b.WriteString(begin)
	if !luceneEach(b, subs, "", luceneTree) {
		return false
	}
	b.WriteString(end)
	return true
}

func luceneEach(b *strings.Builder, subs []*syntax.Regexp, sep string, write func(*strings.Builder, *syntax.Regexp) bool) bool {
	b.WriteByte('(')
	for i, sub := range subs {
		if i > 0 {
			b.WriteString(sep)
		}
		if !write(b, sub) || b.Len() > maxLucene {
			return false
		}
	}
	b.WriteByte(')')
	return true
}

func luceneTree(b *strings.Builder, re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpEmptyMatch:
		b.WriteString("()")
	case syntax.OpLiteral:
		b.WriteByte('(')
		if re.Flags&syntax.FoldCase != 0 {
			luceneFolded(b, string(re.Rune))
		} else {
			luceneText(b, string(re.Rune))
		}
		b.WriteByte(')')
	case syntax.OpCharClass:
		return len(re.Rune) <= 2*mostRanges && luceneClass(b, re.Rune)
	case syntax.OpAnyChar:
		b.WriteByte('.')
	case syntax.OpAnyCharNotNL:
		b.WriteString("[^\n]")
	case syntax.OpCapture, syntax.OpConcat:
		return luceneEach(b, re.Sub, "", luceneTree)
	case syntax.OpAlternate:
		return luceneEach(b, re.Sub, "|", luceneTree)
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest:
		if !luceneEach(b, re.Sub, "", luceneTree) {
			return false
		}
		b.WriteByte("*+?"[re.Op-syntax.OpStar])
	case syntax.OpRepeat:
		if !luceneEach(b, re.Sub, "", luceneTree) {
			return false
		}
		most := ""
		if re.Max >= 0 {
			most = strconv.Itoa(re.Max)
		}
		fmt.Fprintf(b, "{%d,%s}", re.Min, most)
	default:
		return false
	}
	return true
}

// wordsOnly tells whether every match of a part of a pattern consists of characters of words alone, and of at least one.
func wordsOnly(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			if !allWord(r, r) {
				return false
			}
		}
		return len(re.Rune) > 0
	case syntax.OpCharClass:
		for i := 0; i < len(re.Rune); i += 2 {
			if !allWord(re.Rune[i], re.Rune[i+1]) {
				return false
			}
		}
		return len(re.Rune) > 0
	case syntax.OpCapture, syntax.OpPlus:
		return wordsOnly(re.Sub[0])
	case syntax.OpRepeat:
		return re.Min > 0 && wordsOnly(re.Sub[0])
	case syntax.OpConcat, syntax.OpAlternate:
		for _, sub := range re.Sub {
			if !wordsOnly(sub) {
				return false
			}
		}
		return len(re.Sub) > 0
	}
	return false
}

// allWord tells whether every character of a range, in any case, is part of a word. Large ranges are not looked at.
func allWord(low, high rune) bool {
	if high-low > 200 {
		return false
	}
	for r := low; r <= high; r++ {
		if !wordRune(r) || foldsOut(r) {
			return false
		}
	}
	return true
}

// foldsOut tells whether r in another case is no part of a word: iota, which is also a mark below other letters.
func foldsOut(r rune) bool {
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		if wordRune(f) != wordRune(r) {
			return true
		}
	}
	return false
}
