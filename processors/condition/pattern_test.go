package condition

import (
	"regexp"
	"testing"
)

var patterns = []string{"^.+", "^.*", "^", "^k8s_", "^k8s_.+", "^[a-c]x*", "^[^a]b?", "(?i)^ab", "^a$", "^a|b", "^(a|b)c", "(?s)^.+", "(?m)^a", "a", "", "^\\d+", "^世.", "^a{2,3}", "^\uFFFD", "^(?:ab)+", "^.{3}", "\\Aab"}

var texts = []string{"", "a", "b", "\n", "\na", "ab", "k8s_", "k8s_x", "xk8s_", "世界", "\xff", "\uFFFD", "aa", "aab", "AB", "1x", "abc", "cxx", "bb"}

func TestPattern(t *testing.T) {
	fast := 0
	for _, s := range patterns {
		p, err := CompilePattern(s)
		if err != nil {
			t.Fatal(err)
		}
		if p.prefix {
			fast++
		}
		for _, x := range texts {
			if got, want := p.MatchString(x), regexp.MustCompile(s).MatchString(x); got != want {
				t.Errorf("%q on %q: %t, want %t", s, x, got, want)
			}
		}
	}
	if fast < 10 {
		t.Errorf("only %d of the expressions are answered without package regexp", fast)
	}
	if _, err := CompilePattern("("); err == nil {
		t.Error("( is no expression")
	}
}

func FuzzPattern(f *testing.F) {
	for _, s := range patterns {
		f.Add(s, "k8s_x\n")
	}
	f.Fuzz(func(t *testing.T, s, x string) {
		p, err := CompilePattern(s)
		if err != nil {
			return
		}
		if got, want := p.MatchString(x), regexp.MustCompile(s).MatchString(x); got != want {
			t.Errorf("%q on %q: %t, want %t", s, x, got, want)
		}
	})
}
