package grok

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"

	theirs "github.com/elastic/go-grok"

	"github.com/tallylog/tally/event"
)

// differ compares a pattern with go-grok's result on texts.
func differ(t testing.TB, pattern string) func(text string) {
	t.Helper()
	ref, err := theirs.NewComplete()
	if err != nil {
		t.Fatal(err)
	}
	refErr := ref.Compile(pattern, true)
	p, err := Compile(pattern, nil)
	if (err == nil) != (refErr == nil) {
		t.Fatalf("%s: go-grok says %v, we say %v", pattern, refErr, err)
	}
	if err != nil {
		return func(string) {}
	}
	return func(text string) {
		t.Helper()
		want, wantErr := ref.ParseTypedString(text)
		fields, ok, err := p.Match(nil, text)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%s\n%q: go-grok says %v, we say %v", pattern, text, wantErr, err)
		}
		if err != nil {
			return
		}
		if ok != ref.MatchString(text) {
			t.Fatalf("%s\n%q: match is %t", pattern, text, ok)
		}
		if got, want := values(fields), refValues(want); got != want {
			t.Fatalf("%s\n%q\n got %s\nwant %s", pattern, text, got, want)
		}
	}
}

func values(fields []event.Field) string {
	m := map[string]string{}
	for _, f := range fields {
		m[f.Name] = fmt.Sprint(f.Kind == event.String, " ", f.Value)
	}
	return fmt.Sprint(m)
}

func refValues(ref map[string]any) string {
	m := map[string]string{}
	for k, v := range ref {
		switch v := v.(type) {
		case float64:
			g := group{name: k, typ: "float"}
			f, _ := g.field(fmt.Sprint(v))
			m[k] = fmt.Sprint(f.Kind == event.String, " ", f.Value)
		case string:
			m[k] = fmt.Sprint(true, " ", v)
		default:
			m[k] = fmt.Sprint(false, " ", v)
		}
	}
	return fmt.Sprint(m)
}

// generate makes a text that the expression may match.
func generate(r *rand.Rand, re *syntax.Regexp, b *strings.Builder, depth int) {
	if b.Len() > 600 || depth > 60 {
		return
	}
	times := func(low, high int) {
		n := low
		if high < 0 {
			high = low + 4
		}
		if high > low {
			n += r.IntN(high - low + 1)
		}
		for range n {
			generate(r, re.Sub[0], b, depth+1)
		}
	}
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		i := 2 * r.IntN(max(1, len(re.Rune)/2))
		if len(re.Rune) > 1 {
			b.WriteRune(re.Rune[i] + rune(r.IntN(int(min(100, re.Rune[i+1]-re.Rune[i]+1)))))
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte("ab 1:-.\"[]x/é"[r.IntN(12)])
	case syntax.OpConcat:
		for _, s := range re.Sub {
			generate(r, s, b, depth+1)
		}
	case syntax.OpAlternate:
		generate(r, re.Sub[r.IntN(len(re.Sub))], b, depth+1)
	case syntax.OpCapture:
		generate(r, re.Sub[0], b, depth+1)
	case syntax.OpStar:
		times(0, -1)
	case syntax.OpPlus:
		times(1, -1)
	case syntax.OpQuest:
		times(0, 1)
	case syntax.OpRepeat:
		times(re.Min, re.Max)
	}
}

// spoil changes a text a little.
func spoil(r *rand.Rand, s string) string {
	if s == "" {
		return s
	}
	b := []byte(s)
	for range r.IntN(3) {
		i := r.IntN(len(b))
		switch r.IntN(3) {
		case 0:
			b[i] = "a1 :-.\"[\xff\n"[r.IntN(10)]
		case 1:
			b = append(b[:i], b[min(len(b), i+1):]...)
		default:
			b = slices.Insert(b, i, "x0 é"[r.IntN(5)])
		}
		if len(b) == 0 {
			break
		}
	}
	return string(b)
}

// TestDiffer compares every pattern of the library with go-grok, on texts made from the pattern and on spoiled ones.
func TestDiffer(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, name := range slices.Sorted(maps.Keys(library())) {
		pattern := "%{" + name + ":whole}"
		check := differ(t, pattern)
		expr, _, err := expand(pattern, nil)
		if err != nil {
			continue // go-grok refuses it too: differ has seen to that
		}
		re, err := syntax.Parse(expr, syntax.Perl)
		if err != nil {
			continue
		}
		n := 6
		if testing.Short() {
			n = 2
		}
		for range n {
			var b strings.Builder
			generate(r, re, &b, 0)
			check(b.String())
			check("x" + b.String() + " y")
			check(spoil(r, b.String()))
		}
		check("")
	}
}

// FuzzDiffer compares any pattern and any text.
func FuzzDiffer(f *testing.F) {
	f.Add(`%{IPORHOST:a} %{WORD:b}?`, "10.0.0.1 x")
	f.Add(`(?P<a>x*)*?(?P<b>y|)+z`, "xxyyz")
	f.Add(`(?i)(?P<a>[^é]+?)é(?P<b>\b|$)`, "abcÉ")
	f.Add(`(?P<a>a+)+$`, strings.Repeat("a", 40)+"!")
	f.Add(`(?P<a>x\x{FFFD})`, "x\xff")
	f.Add(`(?P<a>ab)+(?:cd){2}(?i:ef)(?P<b>g?)`, "ababcdcdEFg")
	f.Add(`(?sm)^(?P<a>.*?)\s*$(?P<b>.*)`, "a \nb")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 200 || len(text) > 500 || strings.Contains(pattern, "%{") && strings.Count(pattern, "%{") > 3 {
			return
		}
		ref := theirs.New()
		if ref.Compile(pattern, true) != nil {
			return
		}
		if _, err := Compile(pattern, nil); err != nil {
			return // unknown types, which go-grok finds only when it matches
		}
		differ(t, pattern)(text)
	})
}
