package query

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// The embedded store does not run a regular expression as it stands: it cuts off literal beginnings (after which \b and
// ^ look at the wrong place), drops (?s) and (?m) in its printed form, reads "." in two ways, and panics when a large
// {0,n} has been expanded. So a pattern is rewritten into one that has nothing left to be optimised, with the same
// meaning, and both compilers use the rewritten one. On the way the mark of StoreValue is made invisible to it.

// Bounds on the regular expressions of one query: the sum of their sizes, about in instructions, and the nesting of each.
const (
	maxPatternSize  = 20_000
	maxPatternDepth = 60
)

// rewritePattern returns the RE2 expression that both compilers use in place of pattern, and its size.
func rewritePattern(pattern string) (rewritten string, size int, err error) {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "", 0, err
	}
	if size, err = patternSize(tree, 1); err != nil {
		return "", 0, err
	}
	rewritten = rewriteTree(tree).String()
	if _, err := syntax.Parse(rewritten, syntax.Perl); err != nil {
		return "", 0, fmt.Errorf("cannot rewrite the pattern: %w", err)
	}
	return rewritten, size, nil
}

func patternSize(re *syntax.Regexp, depth int) (int, error) {
	if depth > maxPatternDepth {
		return 0, fmt.Errorf("nested deeper than %d", maxPatternDepth)
	}
	size := max(1, len(re.Rune)/8)
	for _, sub := range re.Sub {
		n, err := patternSize(sub, depth+1)
		if err != nil {
			return 0, err
		}
		size += n
	}
	if re.Op == syntax.OpRepeat {
		size *= max(1, re.Min, re.Max)
	}
	if size > maxPatternSize {
		return 0, fmt.Errorf("larger than %d instructions", maxPatternSize)
	}
	return size, nil
}

// mark, as RE2 writes it.
var (
	markLiteral  = &syntax.Regexp{Op: syntax.OpLiteral, Rune: []rune{markRune}}
	optionalMark = &syntax.Regexp{Op: syntax.OpQuest, Sub: []*syntax.Regexp{markLiteral}}
	endOfText    = &syntax.Regexp{Op: syntax.OpConcat, Sub: []*syntax.Regexp{optionalMark, {Op: syntax.OpEndText}}}
	// The store takes (?m:$) alone for $; doubled it goes through.
	endOfLine    = &syntax.Regexp{Op: syntax.OpConcat, Sub: []*syntax.Regexp{{Op: syntax.OpEndLine}, {Op: syntax.OpEndLine}}}
	anywhere     = &syntax.Regexp{Op: syntax.OpQuest, Sub: []*syntax.Regexp{{Op: syntax.OpBeginText}}}
	impossible   = &syntax.Regexp{Op: syntax.OpNoMatch}
	allButMark   = []rune{0, markRune - 1, markRune + 1, utf8.MaxRune}
	allButMarkNL = []rune{0, '\n' - 1, '\n' + 1, markRune - 1, markRune + 1, utf8.MaxRune}
)

func rewriteTree(re *syntax.Regexp) *syntax.Regexp {
	out := &syntax.Regexp{Op: re.Op, Flags: re.Flags &^ syntax.WasDollar, Rune: re.Rune, Min: re.Min, Max: re.Max}
	for _, sub := range re.Sub {
		out.Sub = append(out.Sub, rewriteTree(sub))
	}
	switch re.Op {
	case syntax.OpCapture:
		return out.Sub[0]
	case syntax.OpEmptyMatch:
		return anywhere
	case syntax.OpAnyChar:
		return &syntax.Regexp{Op: syntax.OpCharClass, Rune: allButMark}
	case syntax.OpAnyCharNotNL:
		return &syntax.Regexp{Op: syntax.OpCharClass, Rune: allButMarkNL}
	case syntax.OpCharClass:
		out.Rune = withoutMark(re.Rune)
		if len(out.Rune) == 0 {
			return impossible
		}
	case syntax.OpLiteral:
		if strings.ContainsRune(string(re.Rune), markRune) {
			return impossible
		}
	case syntax.OpEndText:
		return endOfText
	case syntax.OpEndLine:
		return &syntax.Regexp{Op: syntax.OpAlternate, Sub: []*syntax.Regexp{endOfText, endOfLine}}
	case syntax.OpRepeat:
		if re.Max > re.Min { // expanded it would nest as deep as Max; optional copies in a row do not
			rest := &syntax.Regexp{Op: syntax.OpQuest, Flags: out.Flags, Sub: out.Sub}
			copies := repeat(rest, re.Max-re.Min, out.Flags)
			if re.Min == 0 {
				return copies
			}
			return &syntax.Regexp{Op: syntax.OpConcat, Sub: []*syntax.Regexp{repeat(out.Sub[0], re.Min, out.Flags), copies}}
		}
		if re.Max == 0 {
			return anywhere
		}
	}
	return out
}

func repeat(re *syntax.Regexp, n int, flags syntax.Flags) *syntax.Regexp {
	if n == 1 {
		return re
	}
	return &syntax.Regexp{Op: syntax.OpRepeat, Flags: flags, Min: n, Max: n, Sub: []*syntax.Regexp{re}}
}

func withoutMark(class []rune) []rune {
	out := make([]rune, 0, len(class)+2)
	for i := 0; i < len(class); i += 2 {
		low, high := class[i], class[i+1]
		if low > markRune || high < markRune {
			out = append(out, low, high)
			continue
		}
		if low < markRune {
			out = append(out, low, markRune-1)
		}
		if high > markRune {
			out = append(out, markRune+1, high)
		}
	}
	return out
}

// literals returns texts that every match of the pattern contains; at most four.
func literals(pattern string) (out []string) {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	for tree.Op == syntax.OpCapture {
		tree = tree.Sub[0]
	}
	parts := []*syntax.Regexp{tree}
	if tree.Op == syntax.OpConcat {
		parts = tree.Sub
	}
	for _, p := range parts {
		for p.Op == syntax.OpCapture {
			p = p.Sub[0]
		}
		if p.Op == syntax.OpLiteral && p.Flags&syntax.FoldCase == 0 {
			out = append(out, certain(string(p.Rune))...)
		}
	}
	return out[:min(len(out), 4)]
}

// certain splits a text at U+FFFD, which stands for broken bytes as well and so cannot be searched byte by byte.
func certain(text string) (out []string) {
	for part := range strings.SplitSeq(text, "\uFFFD") {
		if part != "" {
			out = append(out, part)
		}
	}
	return out
}

// phraseRegexp returns the RE2 expression for a text between boundaries.
func phraseRegexp(text string, ignoreCase, before, behind bool) string {
	quoted := regexp.QuoteMeta(text)
	if ignoreCase {
		quoted = `(?i:` + quoted + `)`
	}
	if before {
		quoted = `(?:\A|` + boundaryClass + `)` + quoted
	}
	if behind {
		quoted += `(?:\z|` + boundaryClass + `)`
	}
	return quoted
}
