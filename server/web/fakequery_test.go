package web

import (
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tallylog/tally/server/answer"
)

// parse understands what the browser test asks of the query language: words and phrases, field:word, field:="value", NOT, and
// AND by juxtaposition. Anything else is refused with its column, as the real parser does.
func parse(query string) (func(map[string]any) bool, error) {
	var terms []func(map[string]any) bool
	not := false
	for i := 0; i < len(query); {
		switch c := query[i]; {
		case c == ' ':
			i++
			continue
		case strings.ContainsRune("|{}()#", rune(c)):
			return nil, refused(query, i, "unexpected %q", string(c))
		}
		token, err := scan(query, i)
		if err != nil {
			return nil, err
		}
		i += len(token)
		if token == "NOT" {
			not = true
			continue
		}
		term, negated := compile(token), not
		not = false
		terms = append(terms, func(e map[string]any) bool { return term(e) != negated })
	}
	return func(e map[string]any) bool {
		for _, term := range terms {
			if !term(e) {
				return false
			}
		}
		return true
	}, nil
}

// scan returns the term that begins at i: up to a blank outside quotes.
func scan(query string, i int) (string, error) {
	quoted := -1
	for j := i; j < len(query); j++ {
		switch {
		case query[j] == '\\' && quoted >= 0:
			j++
		case query[j] == '"' && quoted >= 0:
			quoted = -1
		case query[j] == '"':
			quoted = j
		case quoted < 0 && query[j] == '|':
			return "", refused(query, j, "unexpected %q", "|")
		case quoted < 0 && query[j] == ' ':
			return query[i:j], nil
		}
	}
	if quoted >= 0 {
		return "", refused(query, quoted, "the quotation is not closed")
	}
	return query[i:], nil
}

func compile(token string) func(map[string]any) bool {
	if token == "*" {
		return func(map[string]any) bool { return true }
	}
	field, value := "message", token
	if name, err := strconv.QuotedPrefix(token); err == nil {
		if rest, ok := strings.CutPrefix(token[len(name):], ":"); ok {
			field, value = unquote(name), rest
		}
	} else if name, rest, ok := strings.Cut(token, ":"); ok {
		field, value = name, rest
	}
	if exact, ok := strings.CutPrefix(value, "="); ok {
		exact = unquote(exact)
		return func(e map[string]any) bool { return text(e[field]) == exact }
	}
	value = unquote(value)
	return func(e map[string]any) bool { return strings.Contains(text(e[field]), value) }
}

func unquote(s string) string {
	if u, err := strconv.Unquote(s); err == nil {
		return u
	}
	return s
}

func refused(query string, at int, format string, args ...any) error {
	column := utf8.RuneCountInString(query[:at]) + 1
	e := answer.Errorf(http.StatusBadRequest, "bad_query", format, args...)
	e.Message = "column " + strconv.Itoa(column) + ": " + e.Message
	return e
}
