package query

import (
	"strings"
	"unicode/utf8"

	"github.com/tallylog/tally/event"
)

// Format returns the canonical text of e: Parse gives e back for any e that Parse made.
func Format(e Expr) string { return string(appendExpr(nil, e)) }

func appendExpr(b []byte, e Expr) []byte {
	switch e := e.(type) {
	case And:
		return appendTerms(b, e.Terms, " ", Expr(All{}))
	case Or:
		return appendTerms(b, e.Terms, " OR ", Expr(Not{All{}}))
	case Not:
		return appendOperand(append(b, "NOT "...), e.Term)
	case All:
		return append(b, '*')
	}
	if f := field(e); f != event.Message || !impliesMessage(e) {
		b = append(appendName(b, f), ':')
	}
	return appendValue(b, e)
}

// impliesMessage tells whether a leaf that looks at message can be written without the name.
func impliesMessage(e Expr) bool {
	switch e.(type) {
	case Phrase, Prefix, Exact, Regexp, Empty:
		return true
	}
	return false
}

func appendTerms(b []byte, terms []Expr, sep string, none Expr) []byte {
	switch len(terms) {
	case 0:
		return appendExpr(b, none)
	case 1:
		return appendExpr(b, terms[0])
	}
	for i, t := range terms {
		if i > 0 {
			b = append(b, sep...)
		}
		if _, ok := t.(And); ok && sep == " OR " {
			b = appendExpr(b, t)
			continue
		}
		b = appendOperand(b, t)
	}
	return b
}

// appendOperand puts a compound term in parentheses.
func appendOperand(b []byte, e Expr) []byte {
	switch e.(type) {
	case And, Or:
		return append(appendExpr(append(b, '('), e), ')')
	}
	return appendExpr(b, e)
}

func appendValue(b []byte, e Expr) []byte {
	switch e := e.(type) {
	case Phrase:
		return appendWords(b, e.Text, "", e.IgnoreCase)
	case Prefix:
		return appendWords(b, e.Text, "*", e.IgnoreCase)
	case Exact:
		return appendQuoted(append(b, '='), e.Value)
	case Regexp:
		return appendQuoted(append(b, '~'), e.Pattern)
	case Compare:
		return appendBound(append(b, e.Op...), e.Value)
	case Range:
		b = append(append(b, "range"...), "[("[index(e.LowOpen)])
		b = append(appendBound(b, e.Low), ',')
		return append(appendBound(b, e.High), "])"[index(e.HighOpen)])
	case In:
		b = append(b, "in("...)
		for i, v := range e.Values {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendText(b, v)
		}
		return append(b, ')')
	case Empty:
		return append(b, `""`...)
	case Present:
		return append(b, '*')
	}
	return b
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

func appendWords(b []byte, text, star string, ignoreCase bool) []byte {
	if ignoreCase {
		b = append(b, "i("...)
	}
	b = append(appendText(b, text), star...)
	if ignoreCase {
		b = append(b, ')')
	}
	return b
}

// appendText writes a word as it is where that reads back as the same, else in quotes.
func appendText(b []byte, s string) []byte {
	first, _ := utf8.DecodeRuneInString(s)
	if s != "" && startsWord(first) && strings.IndexFunc(s, func(r rune) bool { return !inWord(r) }) < 0 && s != "AND" && s != "OR" && s != "NOT" && s != "/" && !strings.HasPrefix(s, "//") {
		return append(b, s...)
	}
	return appendQuoted(b, s)
}

// appendName is appendText for names, which cannot begin with a digit outside of quotes.
func appendName(b []byte, s string) []byte {
	if s != "" && '0' <= s[0] && s[0] <= '9' {
		return appendQuoted(b, s)
	}
	return appendText(b, s)
}

// appendBound writes a number as it is, and a time in quotes if it has other characters.
func appendBound(b []byte, s string) []byte {
	if _, ok := parseDecimal(s); ok {
		return append(b, s...)
	}
	return appendQuoted(b, s)
}

func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\':
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
