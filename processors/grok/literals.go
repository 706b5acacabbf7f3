package grok

import (
	"regexp/syntax"
	"strings"
)

// literals appends the texts that every match of re contains, one after the other, without overlap.
func literals(to []string, re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			to = append(to, string(re.Rune))
		}
	case syntax.OpConcat:
		for _, s := range re.Sub {
			to = literals(to, s)
		}
	case syntax.OpCapture, syntax.OpPlus:
		to = literals(to, re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			to = literals(to, re.Sub[0])
		}
	}
	return to
}

// hasAll tells whether text has all of must in their order. Most texts that do not match are told by this alone.
func hasAll(text string, must []string) bool {
	for _, lit := range must {
		i := strings.Index(text, lit)
		if i < 0 {
			return false
		}
		text = text[i+len(lit):]
	}
	return true
}
