package query

import (
	"strconv"
	"strings"
)

// Numbers are compared as decimal texts, not as floating point, so that both compilers give the same answer for every
// value: 9007199254740993 is larger than 9007199254740992, and 007.50 equals 7.5.

// maxNumber is the length of the longest number that a query may compare with.
const maxNumber = 40

// decimal is a plain decimal number. whole has no leading zeros and fraction no trailing ones, so zero is two empty texts.
type decimal struct {
	negative        bool
	whole, fraction string
}

// parseDecimal reads digits, with an optional minus before and an optional fraction behind. There are no exponents, no
// plus, no digit grouping, and no bare point.
func parseDecimal(s string) (d decimal, ok bool) {
	rest, negative := strings.CutPrefix(s, "-")
	whole, fraction, point := strings.Cut(rest, ".")
	if !digits(whole) || point && !digits(fraction) {
		return d, false
	}
	d = decimal{negative, strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")}
	if d.whole == "" && d.fraction == "" {
		d.negative = false
	}
	return d, true
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// parseValue is parseDecimal for the value of an event. What is larger than any float64 is no number to the embedded
// store, and so it is none here.
func parseValue(s string) (decimal, bool) {
	d, ok := parseDecimal(s)
	if ok && len(d.whole) > 300 {
		_, err := strconv.ParseFloat(s, 64)
		ok = err == nil
	}
	return d, ok
}

// compare returns a negative number, 0 or a positive number as d is less than, equal to or greater than other.
func (d decimal) compare(other decimal) int {
	if d.negative != other.negative {
		if d.negative {
			return -1
		}
		return 1
	}
	c := len(d.whole) - len(other.whole)
	if c == 0 {
		c = strings.Compare(d.whole, other.whole)
	}
	if c == 0 {
		c = strings.Compare(d.fraction, other.fraction)
	}
	if d.negative {
		return -c
	}
	return c
}

// holds tells whether "d op bound" is true.
func (d decimal) holds(op Op, bound decimal) bool {
	c := d.compare(bound)
	switch op {
	case GreaterEqual:
		return c >= 0
	case Greater:
		return c > 0
	case LessEqual:
		return c <= 0
	default:
		return c < 0
	}
}

const anyFraction = `(?:\.\d+)?`

// numberRegexp returns an RE2 expression, to be anchored at both ends, for the plain decimal numbers x with "x op d".
func (d decimal) numberRegexp(op Op) string {
	orEqual := op == GreaterEqual || op == LessEqual
	greater := op == Greater || op == GreaterEqual
	var alternatives []string
	if d.negative { // what holds for d among the negative numbers is the opposite among their magnitudes
		alternatives = prefixed(`-`, d.magnitudes(!greater, orEqual))
		if greater {
			alternatives = append(alternatives, `\d+`+anyFraction)
		}
		return strings.Join(alternatives, "|")
	}
	alternatives = d.magnitudes(greater, orEqual)
	zero := d.whole == "" && d.fraction == ""
	switch {
	case !greater && !zero:
		alternatives = append(alternatives, `-\d+`+anyFraction)
	case !greater: // below zero: a minus and something besides zeros
		alternatives = append(alternatives, `-\d*[1-9]\d*`+anyFraction, `-\d+\.\d*[1-9]\d*`)
	}
	if zero && orEqual {
		alternatives = append(alternatives, `-0+(?:\.0+)?`)
	}
	return strings.Join(alternatives, "|")
}

// magnitudes returns expressions for the numbers without sign that are greater, or less, than that of d.
func (d decimal) magnitudes(greater, orEqual bool) (out []string) {
	n := len(d.whole)
	if greater {
		out = append(out, `0*[1-9]\d{`+strconv.Itoa(n)+`,}`+anyFraction)
	} else if n > 1 {
		out = append(out, `\d{1,`+strconv.Itoa(n-1)+`}`+anyFraction)
	}
	for i := range n {
		if class := beyond(d.whole[i], greater); class != "" {
			out = append(out, `0*`+d.whole[:i]+class+`\d{`+strconv.Itoa(n-i-1)+`}`+anyFraction)
		}
	}
	equal := `0*` + d.whole
	if n == 0 {
		equal = `0+`
	}
	return append(out, prefixed(equal, fractions(d.fraction, greater, orEqual))...)
}

// fractions returns expressions for the fractions, with their point, that are greater or less than f.
func fractions(f string, greater, orEqual bool) (out []string) {
	for i := range len(f) {
		if class := beyond(f[i], greater); class != "" {
			out = append(out, `\.`+f[:i]+class+`\d*`)
		}
		if !greater && i > 0 {
			out = append(out, `\.`+f[:i])
		}
	}
	if !greater && f != "" {
		out = append(out, ``)
	}
	switch {
	case f == "" && greater && orEqual:
		return append(out, anyFraction)
	case f == "" && orEqual:
		return append(out, `(?:\.0+)?`)
	case f == "" && greater:
		return append(out, `\.\d*[1-9]\d*`)
	case orEqual && greater:
		return append(out, `\.`+f+`\d*`)
	case orEqual:
		return append(out, `\.`+f+`0*`)
	case greater:
		return append(out, `\.`+f+`\d*[1-9]\d*`)
	}
	return out
}

// beyond returns a class of the digits greater, or less, than c; empty when there is none.
func beyond(c byte, greater bool) string {
	switch {
	case greater && c < '9':
		return `[` + string(c+1) + `-9]`
	case !greater && c > '0':
		return `[0-` + string(c-1) + `]`
	}
	return ""
}

func prefixed(prefix string, list []string) []string {
	for i := range list {
		list[i] = prefix + list[i]
	}
	return list
}
