package query

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// SyntaxError tells what is wrong with a query, and where.
type SyntaxError struct {
	Column  int // of the first character that is wrong, from 1, in characters
	Message string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("column %d: %s", e.Column, e.Message) }

// lexer walks over the text of a query. The parser asks for what the grammar allows next; there is no list of tokens,
// because what a character means depends on where it stands (a colon in a time, brackets after "range").
type lexer struct {
	text string
	at   int // byte offset
}

// fail makes the error for the byte offset at.
func (l *lexer) fail(at int, format string, args ...any) error {
	return &SyntaxError{utf8.RuneCountInString(l.text[:at]) + 1, fmt.Sprintf(format, args...)}
}

func (l *lexer) rest() string { return l.text[l.at:] }

// end is what peek returns behind the last character.
const end = -1

// peek returns the character ahead.
func (l *lexer) peek() rune {
	if l.at >= len(l.text) {
		return end
	}
	r, _ := utf8.DecodeRuneInString(l.rest())
	return r
}

func (l *lexer) skipSpace() {
	l.at = len(l.text) - len(strings.TrimLeftFunc(l.rest(), unicode.IsSpace))
}

// take moves behind s if it is what comes next.
func (l *lexer) take(s string) bool {
	if !strings.HasPrefix(l.rest(), s) {
		return false
	}
	l.at += len(s)
	return true
}

// refused maps the characters that may not stand outside quotes to what to do about them.
var refused = map[rune]string{
	'|':  "pipes are not part of the language; use the parameters of the API (limit, fields, /stats, /hits), or quote the text",
	'{':  "braces are not part of the language; filter on fields, as in kubernetes.namespace:shop, or quote the text",
	'}':  "braces are not part of the language; filter on fields, as in kubernetes.namespace:shop, or quote the text",
	'#':  "comments are not part of the language; quote a text that begins with #",
	'!':  "write NOT or - for negation, or quote the text",
	'<':  "a comparison needs a field before it, as in status:<500; quote the text if it is one",
	'>':  "a comparison needs a field before it, as in status:>=500; quote the text if it is one",
	'~':  `a regular expression is written field:~"expression"; quote the text if it is one`,
	'=':  `an exact value is written field:="value"; quote the text if it is one`,
	'\\': "quote a text that has a backslash in it, and double the backslash",
	',':  "a comma separates values only inside in(…) and range; quote a text that has one in it",
	'[':  "brackets stand only behind range, as in status:range[400,499]; quote a text that has them in it",
	']':  "there is no [ that this ] closes; quote a text that has one in it",
	'\'': `use double quotes`,
	'*':  "an asterisk stands only at the end of a word or phrase, or alone; use ~\"expression\" for more",
	':':  "a colon separates a field from its value; quote a text that has one in it",
}

// inWord tells whether a character may stand inside an unquoted word.
func inWord(r rune) bool {
	switch r {
	case '(', ')', '[', ']', '{', '}', '|', ',', ':', '"', '`', '*', '<', '>', '~', '!', '\\':
		return false
	}
	return unicode.IsGraphic(r) && !unicode.IsSpace(r) || unicode.In(r, unicode.Cf, unicode.Co)
}

// startsWord tells whether an unquoted word may begin with r.
func startsWord(r rune) bool { return inWord(r) && r != '-' && r != '#' && r != '=' && r != '\'' }

// bare reads an unquoted word as far as it goes.
func (l *lexer) bare() string {
	start := l.at
	for l.at < len(l.text) {
		r, n := utf8.DecodeRuneInString(l.rest())
		if !inWord(r) {
			break
		}
		l.at += n
	}
	return l.text[start:l.at]
}

// quoted reads a text in double quotes or back-quotes. In double quotes \" \\ \n \r \t \uXXXX are escapes; any other
// backslash is an error. With raw, for regular expressions, only \" \\ and \uXXXX are escapes and any other backslash
// stands for itself. Back-quotes know no escapes.
func (l *lexer) quoted(raw bool) (string, error) {
	start := l.at
	quote := l.text[l.at]
	l.at++
	var b strings.Builder
	for {
		i := strings.IndexAny(l.rest(), string(quote)+`\`)
		if i < 0 {
			return "", l.fail(start, "this quote is never closed")
		}
		b.WriteString(l.text[l.at : l.at+i])
		l.at += i
		switch {
		case l.text[l.at] == quote:
			l.at++
			return b.String(), nil
		case quote == '`':
			b.WriteByte('\\')
			l.at++
		default:
			if err := l.escape(&b, raw); err != nil {
				return "", err
			}
		}
	}
}

func (l *lexer) escape(b *strings.Builder, raw bool) error {
	rest := l.rest()
	if len(rest) < 2 {
		return l.fail(l.at, "a backslash at the end closes no quote")
	}
	switch rest[1] {
	case '"', '\\':
		b.WriteByte(rest[1])
	case 'u':
		r, ok := hexRune(rest[2:])
		if !ok {
			return l.fail(l.at, `\u needs four hexadecimal digits of a character`)
		}
		b.WriteRune(r)
		l.at += 4
	default:
		if raw {
			b.WriteByte('\\')
			l.at++
			return nil
		}
		i := strings.IndexByte("nrt", rest[1])
		if i < 0 {
			return l.fail(l.at, `only \" \\ \n \r \t and \uXXXX are escapes; write \\ for a backslash`)
		}
		b.WriteByte("\n\r\t"[i])
	}
	l.at += 2
	return nil
}

// hexRune reads four hexadecimal digits.
func hexRune(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	var r rune
	for i := range 4 {
		d := strings.IndexByte("0123456789abcdef", s[i]|0x20)
		if d < 0 || s[i] < '0' {
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	return r, utf8.ValidRune(r) && r != markRune
}
