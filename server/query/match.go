package query

import (
	"regexp"

	"github.com/tallylog/tally/event"
)

// Matcher tells whether events match an expression. It is safe for concurrent use.
type Matcher struct{ match predicate }

type predicate func(ev *event.Event) bool

// Match reads the event and keeps nothing of it.
func (m Matcher) Match(ev *event.Event) bool { return m.match(ev) }

// Compile prepares an expression for matching events in this process.
func Compile(e Expr) Matcher { return Matcher{compile(e)} }

func always(*event.Event) bool { return true }
func never(*event.Event) bool  { return false }

func compile(e Expr) predicate {
	switch e := e.(type) {
	case All:
		return always
	case And:
		terms := compileTerms(e.Terms)
		return func(ev *event.Event) bool {
			for _, t := range terms {
				if !t(ev) {
					return false
				}
			}
			return true
		}
	case Or:
		terms := compileTerms(e.Terms)
		return func(ev *event.Event) bool {
			for _, t := range terms {
				if t(ev) {
					return true
				}
			}
			return false
		}
	case Not:
		term := compile(e.Term)
		return func(ev *event.Event) bool { return !term(ev) }
	}
	if field(e) == event.Timestamp {
		return compileTime(e)
	}
	return onValue(field(e), compileLeaf(e))
}

func compileTerms(terms []Expr) []predicate {
	out := make([]predicate, len(terms))
	for i, t := range terms {
		out[i] = compile(t)
	}
	return out
}

// onValue applies test to the value of a field; to the empty text when it is missing.
func onValue(field string, test func(v string) bool) predicate {
	if field == ID {
		return func(ev *event.Event) bool { return test(ev.ID) }
	}
	return func(ev *event.Event) bool {
		v, _ := ev.Get(field)
		return test(cleanValue(v))
	}
}

func compileTime(e Expr) predicate {
	if _, ok := e.(Present); ok {
		return always
	}
	first, last, ok := timeRange(e)
	if !ok {
		return never
	}
	return func(ev *event.Event) bool { return first <= ev.Time && ev.Time <= last }
}

func compileLeaf(e Expr) func(v string) bool {
	switch e := e.(type) {
	case Phrase:
		before, behind := edges(e.Text)
		if e.Text == "" {
			return func(v string) bool { return v == "" }
		}
		return finder(e.Text, e.IgnoreCase, before, behind)
	case Prefix:
		before, _ := edges(e.Text)
		if e.Text == "" {
			return func(v string) bool { return v != "" }
		}
		return finder(e.Text, e.IgnoreCase, before, false)
	case Exact:
		want := cleanValue(e.Value)
		return func(v string) bool { return v == want }
	case In:
		want := make(map[string]bool, len(e.Values))
		for _, v := range e.Values {
			want[cleanValue(v)] = true
		}
		return func(v string) bool { return want[v] }
	case Regexp:
		if rewritten, _, err := rewritePattern(e.Pattern); err == nil {
			if re, err := regexp.Compile(rewritten); err == nil {
				return re.MatchString
			}
		}
	case Compare:
		return comparison(e.Op, e.Value)
	case Range:
		low, high := bounds(e)
		above, below := comparison(low, e.Low), comparison(high, e.High)
		return func(v string) bool { return above(v) && below(v) }
	case Empty:
		return func(v string) bool { return v == "" }
	case Present:
		return func(v string) bool { return v != "" }
	}
	return func(string) bool { return false }
}

func finder(text string, ignoreCase, before, behind bool) func(v string) bool {
	if ignoreCase && hasCase(text) {
		folded := foldText(text)
		return func(v string) bool { return hasFolded(v, folded, before, behind) }
	}
	return func(v string) bool { return hasPhrase(v, text, before, behind) }
}

func comparison(op Op, value string) func(v string) bool {
	bound, ok := parseDecimal(value)
	if !ok {
		return func(string) bool { return false }
	}
	return func(v string) bool {
		n, ok := parseValue(v)
		return ok && n.holds(op, bound)
	}
}
