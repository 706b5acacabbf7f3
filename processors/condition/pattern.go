package condition

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// Pattern is a regular expression (RE2, as package regexp has it) of which nobody asks more than whether it matches. The common
// forms that look only at how a text begins ("^.+", "^k8s_[a-z].*") are answered without the machine of package regexp.
type Pattern struct {
	re     *regexp.Regexp
	prefix bool    // what follows suffices, and re is not needed
	starts []oneOf // what the text must begin with, rune by rune
	text   string  // or that it must begin with
}

// oneOf is what one place of a text may hold: pairs of first and last rune, as syntax.Regexp has them.
type oneOf []rune

// CompilePattern reads an expression.
func CompilePattern(s string) (*Pattern, error) {
	re, err := regexp.Compile(s)
	if err != nil {
		return nil, err
	}
	p := &Pattern{re: re}
	if tree, err := syntax.Parse(s, syntax.Perl); err == nil {
		p.prefix = p.beginning(tree.Simplify())
	}
	return p, nil
}

// MatchString tells whether the expression matches anywhere in s.
func (p *Pattern) MatchString(s string) bool {
	if !p.prefix {
		return p.re.MatchString(s)
	}
	if p.text != "" {
		return strings.HasPrefix(s, p.text)
	}
	for _, set := range p.starts {
		r, n := utf8.DecodeRuneInString(s)
		if n == 0 || !set.has(r) {
			return false
		}
		s = s[n:]
	}
	return true
}

// Quick tells whether the answer is found without package regexp.
func (p *Pattern) Quick() bool { return p.prefix }

func (p *Pattern) String() string { return p.re.String() }

func (o oneOf) has(r rune) bool {
	for i := 0; i+1 < len(o); i += 2 {
		if o[i] <= r && r <= o[i+1] {
			return true
		}
	}
	return false
}

// beginning fills starts or text where the expression asks for nothing but a beginning.
func (p *Pattern) beginning(t *syntax.Regexp) bool {
	parts := []*syntax.Regexp{t}
	if t.Op == syntax.OpConcat {
		parts = t.Sub
	}
	if len(parts) == 0 || parts[0].Op != syntax.OpBeginText {
		return false
	}
	parts = parts[1:]
	// At the end, one of many is as good as many, and what may be missing asks for nothing.
	for len(parts) > 0 {
		last := parts[len(parts)-1]
		if last.Op == syntax.OpStar || last.Op == syntax.OpQuest || last.Op == syntax.OpEmptyMatch {
			parts = parts[:len(parts)-1]
			continue
		}
		if last.Op == syntax.OpPlus {
			parts = append(parts[:len(parts)-1:len(parts)-1], last.Sub[0])
		}
		break
	}
	if len(parts) == 1 && parts[0].Op == syntax.OpLiteral && parts[0].Flags&syntax.FoldCase == 0 {
		p.text = string(parts[0].Rune)
		return !strings.ContainsRune(p.text, utf8.RuneError) // which stands for bytes that are no UTF-8, too
	}
	for _, x := range parts {
		switch {
		case x.Op == syntax.OpLiteral && x.Flags&syntax.FoldCase == 0:
			for _, r := range x.Rune {
				p.starts = append(p.starts, oneOf{r, r})
			}
		case x.Op == syntax.OpCharClass:
			p.starts = append(p.starts, x.Rune)
		case x.Op == syntax.OpAnyCharNotNL:
			p.starts = append(p.starts, oneOf{0, '\n' - 1, '\n' + 1, utf8.MaxRune})
		case x.Op == syntax.OpAnyChar:
			p.starts = append(p.starts, oneOf{0, utf8.MaxRune})
		default:
			return false
		}
	}
	return true
}
