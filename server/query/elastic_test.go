package query

import (
	"fmt"
	"strings"
	"testing"
)

// TestClauses holds that long texts and lists become queries of no more clauses than Elasticsearch 7 takes in one.
func TestClauses(t *testing.T) {
	path, letters := strings.Repeat("/very/long", 1000), make([]string, 3000)
	for i := range letters {
		letters[i] = fmt.Sprintf("w%d", i)
	}
	row := strings.Join(letters, " ")
	f := func(e Expr, mostAll int) {
		t.Helper()
		sure, possible, _ := Elastic(e, nil, false)
		for _, q := range []DSL{sure, possible} {
			if one, all := clauses(q); one > mostClauses || all > mostAll {
				t.Errorf("%.60s: %d clauses in one query, %d in all", Format(e), one, all)
			}
		}
	}
	for _, text := range []string{path, row} {
		for _, folded := range []bool{false, true} {
			f(Phrase{Field: "message", Text: text, IgnoreCase: folded}, mostRequired+10)
			f(Prefix{Field: "message", Text: text, IgnoreCase: folded}, mostRequired+10)
		}
		f(Regexp{Field: "message", Pattern: text}, mostRequired+10)
	}
	var many []Expr
	for _, w := range letters {
		many = append(many, Phrase{Field: "message", Text: w})
	}
	f(In{Field: "message", Values: letters}, 3010)
	f(Or{Terms: many}, 3010)
	f(And{Terms: many}, 3010)
}

// clauses returns how many queries the largest bool of q has, and how many there are in all.
func clauses(q any) (one, all int) {
	list, _ := q.([]DSL)
	for _, x := range list {
		o, a := clauses(x)
		one, all = max(one, o), all+a
	}
	one = max(one, len(list))
	if m, ok := q.(DSL); ok {
		if len(m) == 1 && m["bool"] == nil {
			return 0, 1
		}
		for _, x := range m {
			o, a := clauses(x)
			one, all = max(one, o), all+a
		}
	}
	return one, all
}
