package loki

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tallylog/tally/server/intake"
)

func TestLabels(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		var got []string
		err := parseLabels(text, func(name, value string) { got = append(got, fmt.Sprintf("%s=%q", name, value)) })
		if s := strings.Join(got, " "); err == nil != (want != "error") || err == nil && s != want {
			t.Errorf("%q: %s, %v; want %s", text, s, err, want)
		}
	}
	f(`{}`, "")
	f(` { } `, "")
	f(`{a="b"}`, `a="b"`)
	f(`{ a = "b" , c="d\"e,}" ,}`, `a="b" c="d\"e,}"`)
	f("{a=`b\\`, _x9=\"\\u00e9\"}", `a="b\\" _x9="é"`)
	f(`{"a.b c"="d"}`, `a.b c="d"`)
	f(`{a="b" c="d"}`, "error")
	f(`{a="b",,}`, "error")
	f(`{a='b'}`, "error")
	f(`{a=b}`, "error")
	f(`{a="b}`, "error")
	f(`{9a="b"}`, "error")
	f(`{""="b"}`, "error")
	f(`a="b"`, "error")
	f(`{a="b"} x`, "error")
	f(``, "error")
	f(`{a="`+strings.Repeat("x", maxLabels)+`"}`, "error")
}

// FuzzLabels holds that what is read can be written and read again.
func FuzzLabels(f *testing.F) {
	f.Add(`{a="b", c="d\"e"}`)
	f.Add("{\"a.b\"=`x`,}")
	f.Fuzz(func(t *testing.T, text string) {
		var again strings.Builder
		n := 0
		if parseLabels(text, func(name, value string) { n++; fmt.Fprintf(&again, "%q=%q,", name, value) }) != nil || again.Len() > maxLabels/2 {
			return
		}
		m := 0
		err := parseLabels("{"+again.String()+"}", func(string, string) { m++ })
		if err != nil || m != n {
			t.Fatalf("%q: %d labels, then %d of %q: %v", text, n, m, again.String(), err)
		}
	})
}

// FuzzWalk holds that a body that either walker has once gone through does not fail the second time, and gives the same: the first
// time nothing is stored, and the second relies on it.
func FuzzWalk(f *testing.F) {
	f.Add([]byte(`{"streams":[{"stream":{"a":"b"},"values":[["1","x\n"],["2","y",{"k":"v"}]]}]}`))
	f.Add([]byte(`{"streams":[{"entries":[{"ts":"2025-11-22T02:02:03Z","line":"a"}],"labels":"{}"}]}`))
	f.Add(stream(`{a="b"}`, true, line{at, "x", []string{"k", "v"}}))
	f.Fuzz(func(t *testing.T, body []byte) {
		once := func(walk walker) (got string, err error) {
			err = walk(body, func(labels string) error { got += "{" + labels; return nil }, func(en *entry) error {
				got += fmt.Sprint(en.time, en.line)
				return en.meta(func(name, value string) { got += name + "=" + value })
			})
			return got, err
		}
		walkers := []walker{walkProto}
		if intake.ValidJSON(body) {
			walkers = append(walkers, walkJSON)
		}
		for _, walk := range walkers {
			first, err := once(walk)
			second, again := once(walk)
			if first != second || fmt.Sprint(err) != fmt.Sprint(again) {
				t.Fatalf("%q: %q %v, then %q %v", body, first, err, second, again)
			}
		}
	})
}
