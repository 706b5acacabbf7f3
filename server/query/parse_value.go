package query

import (
	"regexp"
	"strings"

	"github.com/tallylog/tally/event"
)

// value reads what is looked for in a field; with field empty, in message. start is where the leaf begins.
func (p *parser) value(start int, field string) (Expr, error) {
	named := field != ""
	if !named {
		field = event.Message
	}
	isTime := field == event.Timestamp
	at := p.at
	var e Expr
	var err error
	switch r := p.peek(); {
	case named && (r == '>' || r == '<'):
		e, err = p.compare(field)
	case named && (strings.HasPrefix(p.rest(), "range[") || strings.HasPrefix(p.rest(), "range(")):
		e, err = p.interval(field)
	case p.take("*"):
		e = Present{field}
		if !named {
			e = All{}
		}
	case isTime && r != end:
		err = p.fail(at, `@timestamp can be compared only, as in @timestamp:>="2024-05-01T00:00:00Z"; see also start and end of the API`)
	case p.take("="):
		e, err = p.exact(field)
	case p.take("~"):
		e, err = p.regexp(field)
	case named && p.take("in("):
		e, err = p.in(at, field)
	case p.take("i("):
		e, err = p.ignoreCase(at, field)
	default:
		e, err = p.words(at, field, named)
	}
	if err != nil {
		return nil, err
	}
	return e, p.separated(start)
}

// textToken reads a word or a quoted text. value says that a field stands before it, where -5 is a word.
func (p *parser) textToken(value bool) (text string, err error) {
	at := p.at
	switch r := p.peek(); {
	case r == end:
		return "", p.fail(at, "a word or a phrase is missing at the end")
	case r == '"' || r == '`':
		text, err = p.quoted(false)
	case !value && (strings.HasPrefix(p.rest(), "//") || strings.HasPrefix(p.rest(), "/*")):
		err = p.fail(at, "comments are not part of the language; quote a text that begins with %s", p.rest()[:2])
	case startsWord(r) || value && r == '-' && startsNumber(p.rest()):
		text = p.bare()
		if text == "AND" || text == "OR" || text == "NOT" {
			err = p.fail(at, "%s is a keyword and wants something to connect; quote it to search for the word", text)
		}
	case r == '-':
		err = p.fail(at, "write the minus before the field, as in -field:value, or quote the text")
	case r == '(' || r == ')':
		err = p.fail(at, "a word or a phrase is missing before this %c", r)
	default:
		hint, ok := refused[r]
		if !ok {
			hint = "this character cannot stand here; quote the text"
		}
		err = p.fail(at, "%s", hint)
	}
	if err == nil && strings.Contains(text, Mark) {
		err = p.fail(at, "U+FDD1 is no character")
	}
	return text, err
}

func startsNumber(s string) bool { return len(s) > 1 && s[0] == '-' && '0' <= s[1] && s[1] <= '9' }

func (p *parser) words(at int, field string, named bool) (Expr, error) {
	text, err := p.textToken(named)
	if err != nil {
		return nil, err
	}
	if p.texts++; p.texts > maxTexts {
		return nil, p.fail(at, "the query looks for more than %d words and phrases; name whole values with in(…)", maxTexts)
	}
	star := p.take("*")
	switch {
	case star && text == "":
		return Present{field}, nil
	case star:
		return Prefix{Field: field, Text: text}, nil
	case text == "":
		return Empty{field}, nil
	}
	return Phrase{Field: field, Text: text}, nil
}

func (p *parser) ignoreCase(at int, field string) (Expr, error) {
	p.skipSpace()
	e, err := p.words(p.at, field, true)
	if err != nil {
		return nil, err
	}
	p.skipSpace()
	if !p.take(")") {
		if p.at == len(p.text) {
			return nil, p.fail(at, "this i( is never closed")
		}
		return nil, p.fail(p.at, "i(…) takes one word or one phrase; quote several words")
	}
	if p.peek() == '*' {
		return nil, p.fail(p.at, "put the asterisk inside the parentheses: i(word*)")
	}
	switch e := e.(type) {
	case Phrase:
		e.IgnoreCase = true
		return e, nil
	case Prefix:
		e.IgnoreCase = true
		return e, nil
	}
	return e, nil
}

func (p *parser) exact(field string) (Expr, error) {
	value, err := p.textToken(true)
	if err != nil {
		return nil, err
	}
	if p.peek() == '*' {
		return nil, p.fail(p.at, `an exact value takes no asterisk; use ~"^beginning"`)
	}
	if value == "" {
		return Empty{field}, nil
	}
	return Exact{field, value}, nil
}

func (p *parser) regexp(field string) (Expr, error) {
	at := p.at
	if r := p.peek(); r != '"' && r != '`' {
		return nil, p.fail(at, `a regular expression stands in quotes: ~"expression"`)
	}
	pattern, err := p.quoted(true)
	if err != nil {
		return nil, err
	}
	rewritten, size, err := rewritePattern(pattern)
	if err == nil {
		_, err = regexp.Compile(`\A?(?:` + rewritten + `){1}`)
	}
	if err != nil {
		return nil, p.fail(at, "this is no valid regular expression: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	if p.patternSize += size; p.patternSize > maxPatternSize {
		return nil, p.fail(at, "the regular expressions of the query are too large together")
	}
	return Regexp{field, pattern}, nil
}

func (p *parser) in(at int, field string) (Expr, error) {
	var values []string
	for {
		p.skipSpace()
		v, err := p.textToken(true)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
		p.skipSpace()
		switch {
		case p.take(","):
		case p.take(")"):
			return In{field, values}, nil
		case p.at == len(p.text):
			return nil, p.fail(at, "this in( is never closed")
		default:
			return nil, p.fail(p.at, "a comma or ) must stand between values; quote a value that has other characters in it")
		}
	}
}

func (p *parser) compare(field string) (Expr, error) {
	var op Op
	for _, o := range []Op{GreaterEqual, LessEqual, Greater, Less} {
		if p.take(string(o)) {
			op = o
			break
		}
	}
	v, err := p.bound(field)
	return Compare{field, op, v}, err
}

func (p *parser) interval(field string) (Expr, error) {
	at := p.at
	p.at += len("range")
	e := Range{Field: field, LowOpen: p.peek() == '('}
	p.at++
	var err error
	p.skipSpace()
	if e.Low, err = p.bound(field); err != nil {
		return nil, err
	}
	p.skipSpace()
	if !p.take(",") {
		return nil, p.fail(p.at, "range needs two values with a comma between them, as in range[400,499]")
	}
	p.skipSpace()
	if e.High, err = p.bound(field); err != nil {
		return nil, err
	}
	p.skipSpace()
	switch {
	case p.take(")"):
		e.HighOpen = true
	case p.take("]"):
	case p.at == len(p.text):
		return nil, p.fail(at, "this range is never closed")
	default:
		return nil, p.fail(p.at, "range ends with ] or )")
	}
	return e, nil
}

// bound reads a number, or for @timestamp a time, in quotes or without.
func (p *parser) bound(field string) (v string, err error) {
	at := p.at
	if r := p.peek(); r == '"' || r == '`' {
		if v, err = p.quoted(false); err != nil {
			return "", err
		}
	} else {
		n := strings.IndexFunc(p.rest(), func(r rune) bool { return !inWord(r) && r != ':' })
		if n < 0 {
			n = len(p.rest())
		}
		v = p.rest()[:n]
		p.at += n
	}
	if field == event.Timestamp {
		if _, ok := event.ParseTime(v); !ok {
			return "", p.fail(at, "a time is missing here: RFC 3339, such as 2024-05-01T00:00:00Z, or milliseconds since 1970")
		}
		return v, nil
	}
	if _, ok := parseDecimal(v); !ok {
		return "", p.fail(at, "a plain decimal number, such as 500 or -0.5, is missing here")
	}
	if len(v) > maxNumber {
		return "", p.fail(at, "the number is longer than %d characters", maxNumber)
	}
	return v, nil
}
