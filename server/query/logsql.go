package query

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tallylog/tally/event"
)

// LogsQL returns a filter of LogsQL, without pipes, that selects what e selects among rows stored with StoreName and
// StoreValue. What users wrote stands in it only between double quotes, in ASCII.
//
// The filters of logstorage mean something else than this language in many corners: they look for words by their own
// boundaries, compare typed columns as numbers, and read durations, sizes and addresses as numbers. So a text is found by
// an exact test on the text of the value, a regular expression, behind cheaper filters that let too much through.
func LogsQL(e Expr) string { return string(compiler{}.expr(nil, e)) }

// LogsQLIndexed is LogsQL for rows that also have GlueField. It lets the store skip blocks by its index of words, which
// plain LogsQL cannot, as any word might stand unseparated beside a Han character.
func LogsQLIndexed(e Expr) string { return string(compiler{indexed: true}.expr(nil, e)) }

type compiler struct{ indexed bool }

const nothing = "(!*)"

// expr appends one filter that binds tighter than any operator.
func (c compiler) expr(b []byte, e Expr) []byte {
	switch e := e.(type) {
	case All:
		return append(b, '*')
	case And:
		return c.terms(b, e.Terms, " ", "*")
	case Or:
		return c.terms(b, e.Terms, " or ", nothing)
	case Not:
		b = c.expr(append(b, "(!"...), e.Term)
		return append(b, ')')
	}
	if field(e) == event.Timestamp {
		return timeFilter(b, e)
	}
	f := quote(StoreName(field(e))) + ":"
	switch e := e.(type) {
	case Phrase:
		return c.phrase(b, f, e)
	case Prefix:
		return prefix(b, f, e)
	case Exact:
		return in(b, f, []string{e.Value})
	case In:
		return in(b, f, e.Values)
	case Regexp:
		return regexpFilter(b, f, e.Pattern)
	case Compare:
		return compareFilter(b, f, e.Op, e.Value)
	case Range:
		low, high := bounds(e)
		b = compareFilter(append(b, '('), f, low, e.Low)
		b = compareFilter(append(b, ' '), f, high, e.High)
		return append(b, ')')
	case Empty:
		return append(append(b, f...), `""`...)
	case Present:
		return append(append(append(b, "(!"...), f...), `"")`...)
	}
	return append(b, nothing...)
}

func (c compiler) terms(b []byte, terms []Expr, sep, none string) []byte {
	if len(terms) == 0 {
		return append(b, none...)
	}
	b = append(b, '(')
	for i, t := range terms {
		if i > 0 {
			b = append(b, sep...)
		}
		b = c.expr(b, t)
	}
	return append(b, ')')
}

// phrase makes two filters where it can: the one of logstorage, which knows the index of words but misses words beside
// Han and in columns of negative or fractional numbers, and the exact one for the rows where it may have missed.
func (c compiler) phrase(b []byte, f string, e Phrase) []byte {
	if e.Text == "" {
		return append(append(b, f...), `""`...)
	}
	before, behind := edges(e.Text)
	ignoreCase := e.IgnoreCase && hasCase(e.Text)
	exact := exactly(f, phraseRegexp(e.Text, ignoreCase, before, behind))
	sieve := contains(f, certain(e.Text))
	comparable := !strings.ContainsFunc(e.Text, func(r rune) bool { return r == utf8.RuneError || ownWord(r) })
	switch {
	case ignoreCase && (!c.indexed || !ascii(e.Text)): // boundaries are dear to search for, so the text alone comes first
		return append(b, all(exactly(f, phraseRegexp(e.Text, true, false, false)), exact)...)
	case ignoreCase:
		return append(b, all(either(f+"i("+quote(e.Text)+")", c.elsewhere(f, e.Text, true)), exact)...)
	case !before && !behind && !strings.Contains(e.Text, "\uFFFD"):
		return append(b, sieve...)
	case !comparable:
		return append(b, all(sieve, exact)...)
	case !c.indexed:
		return append(b, all(sieve, either(f+quote(e.Text), exact))...)
	}
	found := either(f+quote(e.Text), all(c.elsewhere(f, e.Text, false), exact))
	if changes(e.Text) { // columns of numbers compare it as a number
		found = all(found, exact)
	}
	return append(b, found...)
}

// elsewhere returns a filter for the rows where the phrase filter of logstorage may miss the text: its first or last word
// is glued to Han, or the column is of a type where parts of a number are not found, or case is more than lower case.
func (c compiler) elsewhere(f, text string, ignoreCase bool) string {
	glue := quote(GlueField) + ":"
	places := []string{glue + "=" + quote(gluedTooMuch)}
	words := strings.FieldsFunc(text, func(r rune) bool { return !wordRune(r) })
	for i, w := range words {
		if i != 0 && i != len(words)-1 {
			continue
		}
		if ignoreCase {
			places = append(places, glue+"i("+quote(w)+")")
		} else {
			places = append(places, glue+quote(w))
		}
	}
	if strings.Trim(text, "-.0123456789") == "" {
		places = append(places, f+`value_type("int64")`, f+`value_type("float64")`)
	}
	if ignoreCase { // logstorage leaves ſ as it is, which is an s to simple folding
		places = append(places, contains(f, []string{"ſ"}))
	}
	return either(places...)
}

func prefix(b []byte, f string, e Prefix) []byte {
	if e.Text == "" {
		return append(append(append(b, "(!"...), f...), `"")`...)
	}
	before, _ := edges(e.Text)
	if e.IgnoreCase && hasCase(e.Text) {
		return append(b, all(exactly(f, phraseRegexp(e.Text, true, false, false)), exactly(f, phraseRegexp(e.Text, true, before, false)))...)
	}
	return append(b, all(contains(f, certain(e.Text)), exactly(f, phraseRegexp(e.Text, false, before, false)))...)
}

// in compares whole values. Columns of numbers compare those that StoreValue marks as numbers, so what passes is looked at
// once more.
func in(b []byte, f string, values []string) []byte {
	if len(values) == 0 {
		return append(b, nothing...)
	}
	var plain, changed, patterns []string
	for _, v := range values {
		if v = cleanValue(v); changes(v) {
			changed = append(changed, v, v+Mark)
			patterns = append(patterns, regexp.QuoteMeta(v))
		} else {
			plain = append(plain, v)
		}
	}
	var again string
	if len(changed) > 0 {
		again = all(oneOf(f, changed), exactly(f, `\A(?:`+strings.Join(patterns, "|")+`)`+Mark+`?\z`))
	}
	return append(b, either(oneOf(f, plain), again)...)
}

func oneOf(f string, values []string) string {
	switch {
	case len(values) == 0:
		return ""
	case len(values) == 1 && !strings.Contains(values[0], "\uFFFD"): // in("*") is everything to logstorage, and = misses words at U+FFFD
		return f + "=" + quote(values[0])
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = quote(v)
	}
	return f + "in(" + strings.Join(quoted, ",") + ")"
}

func regexpFilter(b []byte, f, pattern string) []byte {
	rewritten, _, err := rewritePattern(pattern)
	if err != nil {
		return append(b, nothing...)
	}
	return append(b, all(contains(f, literals(pattern)), exactly(f, rewritten))...)
}

// compareFilter lets the range filter of logstorage, which calculates in floating point, preselect with room to spare. It
// does not see marked values; those are in columns of text only.
func compareFilter(b []byte, f string, op Op, value string) []byte {
	bound, ok := parseDecimal(value)
	if !ok {
		return append(b, nothing...)
	}
	n, _ := strconv.ParseFloat(value, 64)
	margin := math.Abs(n) * 1e-9
	near := f + ">=" + quote(strconv.FormatFloat(n-margin, 'f', -1, 64))
	if op == Less || op == LessEqual {
		near = f + "<=" + quote(strconv.FormatFloat(n+margin, 'f', -1, 64))
	}
	text := either(f+`value_type("string")`, f+`value_type("dict")`, f+`value_type("const")`)
	marked := all(text, contains(f, []string{Mark}))
	return append(b, all(either(near, marked), exactly(f, `\A(?:`+bound.numberRegexp(op)+`)`+Mark+`?\z`))...)
}

// bounds returns the two comparisons of a range.
func bounds(e Range) (low, high Op) {
	low, high = GreaterEqual, LessEqual
	if e.LowOpen {
		low = Greater
	}
	if e.HighOpen {
		high = Less
	}
	return low, high
}

// timeFilter compiles a leaf on @timestamp; what cannot be asked of a time holds for no event.
func timeFilter(b []byte, e Expr) []byte {
	if _, ok := e.(Present); ok {
		return append(b, '*')
	}
	first, last, ok := timeRange(e)
	if !ok {
		return append(b, nothing...)
	}
	b = append(b, "_time:["...)
	b = time.Unix(0, first).UTC().AppendFormat(b, nanoseconds)
	b = append(b, ',')
	b = time.Unix(0, last).UTC().AppendFormat(b, nanoseconds)
	return append(b, ']')
}

// nanoseconds is a layout with all nine digits: logstorage takes a time with fewer for an interval.
const nanoseconds = "2006-01-02T15:04:05.000000000Z"

// timeRange returns the first and the last nanosecond that a comparison of @timestamp holds for.
func timeRange(e Expr) (first, last int64, ok bool) {
	// What logstorage can write as a year: its own bounds, a year inside those of 64 bits.
	first, last = time.Date(1678, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano(), time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()-1
	narrow := func(op Op, value string) bool {
		t, ok := event.ParseTime(value)
		switch op {
		case GreaterEqual:
			first = max(first, t)
		case Greater:
			first = max(first, t+1)
		case LessEqual:
			last = min(last, t)
		default:
			last = min(last, t-1)
		}
		return ok
	}
	switch e := e.(type) {
	case Compare:
		ok = narrow(e.Op, e.Value)
	case Range:
		low, high := bounds(e)
		ok = narrow(low, e.Low) && narrow(high, e.High)
	}
	return first, last, ok && first <= last
}

// contains returns filters for values that hold all of texts, which are a plain search for bytes to logstorage; empty when
// there are none.
func contains(f string, texts []string) string {
	filters := make([]string, len(texts))
	for i, t := range texts {
		filters[i] = f + "~" + quote(regexp.QuoteMeta(t))
	}
	return all(filters...)
}

// exactly returns a filter for values in which an expression matches. \A? and {1} do not change what matches; they keep
// logstorage from cutting off a literal beginning, and from asking its index for literals.
func exactly(f, expression string) string { return f + "~" + quote(`\A?(?:`+expression+`){1}`) }

func all(filters ...string) string { return join(filters, " ") }

func either(filters ...string) string { return join(filters, " or ") }

func join(filters []string, sep string) string {
	filters = slices.DeleteFunc(filters, func(f string) bool { return f == "" })
	if len(filters) == 1 {
		return filters[0]
	}
	if len(filters) == 0 {
		return ""
	}
	return "(" + strings.Join(filters, sep) + ")"
}

// quote writes a text so that logstorage reads back the same, and nothing else.
func quote(s string) string { return strconv.QuoteToASCII(s) }
