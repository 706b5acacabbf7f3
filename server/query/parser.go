package query

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds on a query.
const (
	maxText    = 64 << 10 // bytes
	maxNesting = 100      // parentheses and negations inside one another
	maxNodes   = 5_000
	maxTexts   = 1_000 // words, phrases and prefixes: each costs the embedded store about 1.5 ms to prepare
)

// Parse reads a query. Empty text, or only spaces, is All. An error is a *SyntaxError.
//
//	query = or
//	or    = and { "OR" and }
//	and   = not { ["AND"] not }
//	not   = ("NOT" | "-") not | "(" or ")" | [ name ":" ] value | name ":" "(" or ")"
//	value = word | phrase | (word | phrase) "*" | "i(" (word | phrase) ["*"] ")" | "*" | "=" text | "~" phrase
//	      | (">=" | ">" | "<" | "<=") number | "range" ("[" | "(") number "," number ("]" | ")") | "in(" text { "," text } ")"
func Parse(text string) (Expr, error) {
	p := parser{lexer: lexer{text: text}}
	if len(text) > maxText {
		return nil, &SyntaxError{1, "the query is longer than 64 KiB"}
	}
	if !utf8.ValidString(text) {
		valid := strings.ToValidUTF8(text, Mark)
		return nil, p.fail(strings.Index(valid, Mark), "the query is not valid UTF-8")
	}
	if i := strings.Index(text, Mark); i >= 0 {
		return nil, p.fail(i, "U+FDD1 is no character")
	}
	p.skipSpace()
	if p.at == len(text) {
		return All{}, nil
	}
	e, err := p.or("")
	if err != nil {
		return nil, err
	}
	if p.at < len(text) {
		return nil, p.fail(p.at, "there is no ( that this ) closes")
	}
	return e, nil
}

// parser is the recursive descent. Each method leaves the lexer behind spaces.
type parser struct {
	lexer
	depth, nodes, texts int
	patternSize         int
}

// node counts a node that begins at the byte offset at.
func (p *parser) node(at int) error {
	if p.nodes++; p.nodes > maxNodes {
		return p.fail(at, "the query has more than %d parts", maxNodes)
	}
	return nil
}

// keyword takes an upper-case word that stands alone.
func (p *parser) keyword(word string) bool {
	if !strings.HasPrefix(p.rest(), word) {
		return false
	}
	after := p.rest()[len(word):]
	if r, _ := utf8.DecodeRuneInString(after); after != "" && (inWord(r) || r == ':' || r == '*') {
		return false
	}
	p.at += len(word)
	p.skipSpace()
	return true
}

// or reads alternatives. group is the field that a group is applied to, empty outside of groups.
func (p *parser) or(group string) (Expr, error) {
	start := p.at
	var terms []Expr
	for {
		t, err := p.and(group)
		if err != nil {
			return nil, err
		}
		terms = append(terms, t)
		if !p.keyword("OR") {
			break
		}
	}
	if len(terms) == 1 {
		return terms[0], nil
	}
	return Or{terms}, p.node(start)
}

func (p *parser) and(group string) (Expr, error) {
	start := p.at
	var terms []Expr
	for {
		t, err := p.not(group)
		if err != nil {
			return nil, err
		}
		terms = append(terms, t)
		if p.keyword("AND") {
			continue
		}
		if ahead := p.lexer; p.at == len(p.text) || p.peek() == ')' || p.keyword("OR") {
			p.lexer = ahead
			break
		}
	}
	if len(terms) == 1 {
		return terms[0], nil
	}
	return And{terms}, p.node(start)
}

func (p *parser) not(group string) (Expr, error) {
	start := p.at
	if p.depth++; p.depth > maxNesting {
		return nil, p.fail(start, "the query is nested deeper than %d", maxNesting)
	}
	defer func() { p.depth-- }()
	switch {
	case p.keyword("NOT"):
	case p.take("-"):
		if r := p.peek(); r == '-' || !startsWord(r) && !strings.ContainsRune("\"`(*=~", r) {
			return nil, p.fail(start, "a minus means NOT and stands right before what it negates; quote a text that begins with one")
		}
	case p.peek() == '(':
		return p.parens(group)
	default:
		e, err := p.leaf(group)
		if err != nil {
			return nil, err
		}
		return e, p.node(start)
	}
	t, err := p.not(group)
	if err != nil {
		return nil, err
	}
	return Not{t}, p.node(start)
}

func (p *parser) parens(group string) (Expr, error) {
	open := p.at
	p.at++
	p.skipSpace()
	if p.peek() == ')' {
		return nil, p.fail(p.at, "there is nothing between the parentheses")
	}
	e, err := p.or(group)
	if err != nil {
		return nil, err
	}
	if !p.take(")") {
		return nil, p.fail(open, "this ( is never closed")
	}
	return e, p.separated(open)
}

// separated checks that what was read is not glued to what follows, and skips the spaces.
func (p *parser) separated(start int) error {
	at := p.at
	p.skipSpace()
	r := p.peek()
	if at != p.at || r == end || r == ')' {
		return nil
	}
	what := p.text[start:at]
	switch hint, bad := refused[r]; {
	case r == '(' && what == "in", r == '(' && what == "range":
		return p.fail(start, "%s(…) needs a field before it, as in status:%s(…)", what, what)
	case r == ':' && strings.HasPrefix(p.rest(), "://"):
		return p.fail(at, `quote an address: "http://host/path"`)
	case r == '"' && strings.HasSuffix(what, "="):
		return p.fail(at, `write field:="value" to compare a field, or quote the whole text`)
	case strings.ContainsRune("<>~", r) && startsWord([]rune(what)[0]):
		return p.fail(at, "write a colon between a field and %c, or quote the whole text", r)
	case strings.HasSuffix(what, "*"):
		return p.fail(at-1, "%s", refused['*'])
	case bad:
		return p.fail(at, "%s", hint)
	default:
		return p.fail(at, "a space is missing here, or quotes around the whole text")
	}
}

// leaf reads a value with or without a field before it.
func (p *parser) leaf(group string) (Expr, error) {
	start := p.at
	name, err := p.name()
	if err != nil {
		return nil, err
	}
	if name == "" {
		return p.value(start, group)
	}
	if group != "" {
		return nil, p.fail(start, "a field cannot stand inside the parentheses of another field")
	}
	if p.peek() == '(' {
		return p.parens(name)
	}
	return p.value(p.at, name)
}

// name reads "name:" and returns the name; empty, with nothing read, when something else stands here.
func (p *parser) name() (string, error) {
	before := p.lexer
	start := p.at
	var name string
	var err error
	isQuoted := false
	switch r := p.peek(); {
	case r == '"' || r == '`':
		isQuoted = true
		if name, err = p.quoted(false); err != nil {
			return "", err
		}
	case startsWord(r):
		name = p.bare()
	}
	if p.peek() != ':' || p.at == start {
		p.lexer = before
		return "", nil
	}
	switch {
	case strings.HasPrefix(p.rest(), "://"):
		return "", p.fail(start, `quote an address: "%s://…"`, name)
	case name == "":
		return "", p.fail(start, "the name of a field is empty")
	case strings.Contains(name, Mark):
		return "", p.fail(start, "U+FDD1 is no character")
	case !isQuoted && '0' <= name[0] && name[0] <= '9':
		return "", p.fail(start, `quote a text that has a colon in it, such as a time or an address; and so a field whose name begins with a digit`)
	case !isQuoted && (name == "AND" || name == "OR" || name == "NOT"):
		return "", p.fail(start, "%s is a keyword; quote it to use it as a field", name)
	}
	p.at++
	if r := p.peek(); r == end || unicode.IsSpace(r) {
		return "", p.fail(p.at, `a value must follow the colon at once, as in %s:error; quote a text that has a colon in it`, name)
	}
	return name, nil
}
