package query

import "slices"

// Expr is a node of the syntax tree, one of the types below (values, not pointers). Field is the name as users know it:
// message, @timestamp, _id, or a dotted name. Parse makes only trees that its comments allow; trees put together in code
// should keep to them as well.
type Expr interface{ isExpr() }

type (
	// All holds for every event.
	All struct{}

	// And holds when all Terms hold; with none it holds for every event.
	And struct{ Terms []Expr }

	// Or holds when one of Terms holds; with none it holds for no event.
	Or struct{ Terms []Expr }

	// Not holds when Term does not.
	Not struct{ Term Expr }

	// Phrase holds when Text, a word or several, occurs in the value between word boundaries (see words.go). Text is not
	// empty. IgnoreCase compares by simple Unicode case folding.
	Phrase struct {
		Field, Text string
		IgnoreCase  bool
	}

	// Prefix holds when Text occurs in the value behind a word boundary, whatever follows. Text is not empty.
	Prefix struct {
		Field, Text string
		IgnoreCase  bool
	}

	// Exact holds when the value is Value; not empty.
	Exact struct{ Field, Value string }

	// Regexp holds when Pattern (RE2 syntax) matches somewhere in the value; a missing field is matched as the empty text.
	Regexp struct{ Field, Pattern string }

	// Compare compares the value with a plain decimal number, exactly and not as floating point. A value that is no plain
	// decimal number never matches. For @timestamp Value is a time: RFC 3339 or milliseconds since 1970.
	Compare struct {
		Field string
		Op    Op
		Value string
	}

	// Range is two comparisons in one; an open end excludes its bound.
	Range struct {
		Field, Low, High  string
		LowOpen, HighOpen bool
	}

	// In holds when the value is one of Values, of which there is at least one. The empty text stands for a missing field.
	In struct {
		Field  string
		Values []string
	}

	// Empty holds when the field is missing or empty.
	Empty struct{ Field string }

	// Present holds when the field has a value that is not empty.
	Present struct{ Field string }
)

// Op is a comparison: one of ">=", ">", "<", "<=".
type Op string

// The comparisons there are.
const (
	GreaterEqual Op = ">="
	Greater      Op = ">"
	Less         Op = "<"
	LessEqual    Op = "<="
)

func (All) isExpr()     {}
func (And) isExpr()     {}
func (Or) isExpr()      {}
func (Not) isExpr()     {}
func (Phrase) isExpr()  {}
func (Prefix) isExpr()  {}
func (Exact) isExpr()   {}
func (Regexp) isExpr()  {}
func (Compare) isExpr() {}
func (Range) isExpr()   {}
func (In) isExpr()      {}
func (Empty) isExpr()   {}
func (Present) isExpr() {}

// Fields returns the names that e mentions, sorted, each once.
func Fields(e Expr) []string {
	names := appendFields(nil, e)
	slices.Sort(names)
	return slices.Compact(names)
}

func appendFields(names []string, e Expr) []string {
	switch e := e.(type) {
	case And:
		for _, t := range e.Terms {
			names = appendFields(names, t)
		}
	case Or:
		for _, t := range e.Terms {
			names = appendFields(names, t)
		}
	case Not:
		names = appendFields(names, e.Term)
	default:
		if f := field(e); f != "" {
			names = append(names, f)
		}
	}
	return names
}

// field returns the name that a leaf looks at; empty for all other nodes.
func field(e Expr) string {
	switch e := e.(type) {
	case Phrase:
		return e.Field
	case Prefix:
		return e.Field
	case Exact:
		return e.Field
	case Regexp:
		return e.Field
	case Compare:
		return e.Field
	case Range:
		return e.Field
	case In:
		return e.Field
	case Empty:
		return e.Field
	case Present:
		return e.Field
	}
	return ""
}
