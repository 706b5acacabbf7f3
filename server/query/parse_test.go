package query

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logstorage"
)

func TestParse(t *testing.T) {
	f := func(text string, want Expr, canonical string) {
		t.Helper()
		got, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %s", text, err)
			return
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %#v, want %#v", text, got, want)
		}
		if s := Format(got); s != canonical {
			t.Errorf("%s: formatted as %s, want %s", text, s, canonical)
		}
		if again, err := Parse(canonical); err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%s parses as %#v, %v", canonical, again, err)
		}
	}
	word := func(s string) Expr { return Phrase{Field: "message", Text: s} }
	in := func(field, s string) Expr { return Phrase{Field: field, Text: s} }
	f("", All{}, "*")
	f(" \n\t", All{}, "*")
	f("*", All{}, "*")
	f("error", word("error"), "error")
	f("a b AND c", And{[]Expr{word("a"), word("b"), word("c")}}, "a b c")
	f("a b OR c", Or{[]Expr{And{[]Expr{word("a"), word("b")}}, word("c")}}, "a b OR c")
	f("a (b OR c)", And{[]Expr{word("a"), Or{[]Expr{word("b"), word("c")}}}}, "a (b OR c)")
	f("(a b) c", And{[]Expr{And{[]Expr{word("a"), word("b")}}, word("c")}}, "(a b) c")
	f("a OR (b OR c)", Or{[]Expr{word("a"), Or{[]Expr{word("b"), word("c")}}}}, "a OR (b OR c)")
	f("NOT a b", And{[]Expr{Not{word("a")}, word("b")}}, "NOT a b")
	f("-a -f:x", And{[]Expr{Not{word("a")}, Not{in("f", "x")}}}, "NOT a NOT f:x")
	f("-(a OR b)", Not{Or{[]Expr{word("a"), word("b")}}}, "NOT (a OR b)")
	f("NOT NOT a", Not{Not{word("a")}}, "NOT NOT a")
	f("a or b", And{[]Expr{word("a"), word("or"), word("b")}}, "a or b")
	f(`"OR" ANDROID`, And{[]Expr{word("OR"), word("ANDROID")}}, `"OR" ANDROID`)
	f("status=404", word("status=404"), "status=404")
	f("10.0.0.1 user@host /api/v1 a-b k8s.io/x 50% c++ issue#7 don't $HOME", And{[]Expr{word("10.0.0.1"), word("user@host"), word("/api/v1"),
		word("a-b"), word("k8s.io/x"), word("50%"), word("c++"), word("issue#7"), word("don't"), word("$HOME")}},
		"10.0.0.1 user@host /api/v1 a-b k8s.io/x 50% c++ issue#7 don't $HOME")
	f(`"a \"b\" \\ \u00e9"`, word(`a "b" \ é`), `"a \"b\" \\ é"`)
	f("`a\\d`", word(`a\d`), `"a\\d"`)
	f(`"x|y {z}"`, word("x|y {z}"), `"x|y {z}"`)
	f("失败", word("失败"), "失败")
	f("err*", Prefix{Field: "message", Text: "err"}, "err*")
	f(`"out of"*`, Prefix{Field: "message", Text: "out of"}, `"out of"*`)
	f("i(Error)", Phrase{"message", "Error", true}, "i(Error)")
	f(`f:i("a b")`, Phrase{"f", "a b", true}, `f:i("a b")`)
	f("f:i(err*)", Prefix{"f", "err", true}, "f:i(err*)")
	f(`f:="a b"`, Exact{"f", "a b"}, `f:="a b"`)
	f(`f:=a`, Exact{"f", "a"}, `f:="a"`)
	f(`="whole"`, Exact{"message", "whole"}, `="whole"`)
	f(`f:=""`, Empty{"f"}, `f:""`)
	f(`f:""`, Empty{"f"}, `f:""`)
	f(`""`, Empty{"message"}, `""`)
	f(`f:*`, Present{"f"}, `f:*`)
	f(`f:""*`, Present{"f"}, `f:*`)
	f(`message:*`, Present{"message"}, `message:*`)
	f(`message:x`, word("x"), "x")
	f(`f:~"^a\d+\.b\"$"`, Regexp{"f", `^a\d+\.b"$`}, `f:~"^a\\d+\\.b\"$"`)
	f(`f:~"a\\d\u00e9"`, Regexp{"f", `a\dé`}, `f:~"a\\dé"`)
	f("~`\\bx`", Regexp{"message", `\bx`}, `~"\\bx"`)
	f(`f:>=500`, Compare{"f", GreaterEqual, "500"}, `f:>=500`)
	f(`f:>-0.5`, Compare{"f", Greater, "-0.5"}, `f:>-0.5`)
	f(`f:<"5"`, Compare{"f", Less, "5"}, `f:<5`)
	f(`f:<=5`, Compare{"f", LessEqual, "5"}, `f:<=5`)
	f(`@timestamp:>=2024-05-01T00:00:00Z`, Compare{"@timestamp", GreaterEqual, "2024-05-01T00:00:00Z"}, `@timestamp:>="2024-05-01T00:00:00Z"`)
	f(`@timestamp:<1714521600000`, Compare{"@timestamp", Less, "1714521600000"}, `@timestamp:<1714521600000`)
	f(`f:range[1,2]`, Range{"f", "1", "2", false, false}, `f:range[1,2]`)
	f(`f:range( -1 , 2.5 ]`, Range{"f", "-1", "2.5", true, false}, `f:range(-1,2.5]`)
	f(`f:range[1,2)`, Range{"f", "1", "2", false, true}, `f:range[1,2)`)
	f(`f:in(a, -5,"c d")`, In{"f", []string{"a", "-5", "c d"}}, `f:in(a,"-5","c d")`)
	f(`f:-5`, in("f", "-5"), `f:"-5"`)
	f(`-5`, Not{word("5")}, `NOT 5`)
	f(`f:(a OR -b c* ="d")`, Or{[]Expr{in("f", "a"), And{[]Expr{Not{in("f", "b")}, Prefix{Field: "f", Text: "c"}, Exact{"f", "d"}}}}}, `f:a OR NOT f:b f:c* f:="d"`)
	f(`f:(>5 <10)`, And{[]Expr{Compare{"f", Greater, "5"}, Compare{"f", Less, "10"}}}, `f:>5 f:<10`)
	f(`"a b":x "404":y`, And{[]Expr{in("a b", "x"), in("404", "y")}}, `"a b":x "404":y`)
	f(`kubernetes.labels.app/name:x`, in("kubernetes.labels.app/name", "x"), `kubernetes.labels.app/name:x`)
	f(`in range i`, And{[]Expr{word("in"), word("range"), word("i")}}, "in range i")
	f(`_stream:x _msg:y`, And{[]Expr{in("_stream", "x"), in("_msg", "y")}}, "_stream:x _msg:y")
	f(`f:in`, in("f", "in"), "f:in")
}

func TestParseErrors(t *testing.T) {
	f := func(text string, column int, hint string) {
		t.Helper()
		e, err := Parse(text)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%s: got %#v, %v; want a SyntaxError", text, e, err)
			return
		}
		if syntax.Column != column || !strings.Contains(syntax.Message, hint) {
			t.Errorf("%s: got %s; want column %d and %q", text, err, column, hint)
		}
	}
	f("error | limit 5", 7, "pipes are not part of the language; use the parameters of the API")
	f("a|b", 2, "pipes")
	f("失败 | x", 4, "pipes")
	f("a # b", 3, "comments")
	f(`{app="x"}`, 1, "braces")
	f(`_stream:{app="x"}`, 9, "braces")
	f(`a}`, 2, "braces")
	f("(a b", 1, "never closed")
	f("f:(a b", 3, "never closed")
	f("a b)", 4, "no ( that this ) closes")
	f("()", 2, "nothing between")
	f(`x "abc`, 3, "never closed")
	f("x `abc", 3, "never closed")
	f(`"a\qb"`, 3, "escapes")
	f(`"a\ud800"`, 3, "hexadecimal")
	f(`"a\`, 3, "closes no quote")
	f("!a", 1, "NOT or -")
	f("f:!a", 3, "NOT or -")
	f("f!=a", 2, "NOT or -")
	f("- a", 1, "minus")
	f("--verbose", 1, "minus")
	f("f:-x", 3, "before the field")
	f("a OR", 5, "missing at the end")
	f("OR a", 1, "keyword")
	f("a AND OR b", 7, "keyword")
	f("f:AND", 3, "keyword")
	f("NOT", 4, "missing at the end")
	f("NOT)", 4, "missing before")
	f("AND:x", 1, "keyword")
	f("http://x/y", 1, `quote an address: "http://…"`)
	f("12:30:45", 1, "colon")
	f("10.0.0.1:80", 1, "colon")
	f("f:a:b", 4, "colon")
	f("error: timeout", 7, "at once")
	f("error:", 7, "at once")
	f(`"":x`, 1, "empty")
	f("f:(g:x)", 4, "inside the parentheses of another field")
	f("a*b", 2, "asterisk")
	f("*abc", 1, "asterisk")
	f("f:*x", 3, "asterisk")
	f(`f:="x"*`, 7, "asterisk")
	f("i(x)*", 5, "inside")
	f("i(a b)", 5, "one word")
	f("i(a", 1, "never closed")
	f("f(x)", 2, "space is missing")
	f(`"a""b"`, 4, "space is missing")
	f(`level="x"`, 7, `field:="value"`)
	f("status>500", 7, "colon")
	f(">500", 1, "needs a field")
	f("f:>x", 4, "decimal number")
	f("f:>5s", 4, "decimal number")
	f("f:>1e5", 4, "decimal number")
	f("f:>= 5", 5, "decimal number")
	f("f:>"+strings.Repeat("1", 41), 4, "longer than 40")
	f("range[1,2]", 6, "brackets")
	f("in(a,b)", 1, "needs a field")
	f("f:range[1,2", 3, "never closed")
	f("f:range[1 2]", 11, "comma")
	f("f:range[1,2}", 12, "ends with")
	f("f:in(a b)", 8, "comma")
	f("f:in()", 6, "missing")
	f("f:in(a,)", 8, "missing")
	f("f:in(a,b", 3, "never closed")
	f("a, b", 2, "comma")
	f("[x]", 1, "range")
	f("f:~x", 4, "quotes")
	f(`f:~"(x"`, 4, "missing closing )")
	f(`f:~"(?=x)"`, 4, "valid regular expression")
	f(`f:~"((a{1000}){10}){10}"`, 4, "regular expression")
	f(`f:~"[a-z]{1000}" f:~"`+strings.Repeat("x{900}", 11)+`"`, 21, "too large together")
	f("@timestamp:x", 12, "compared only")
	f("@timestamp:>=yesterday", 14, "a time is missing")
	f("a\xffb", 2, "UTF-8")
	f("a\uFDD1", 2, "U+FDD1")
	f(`"\ufdd1"`, 2, "character")
	f("'a b'", 1, "double quotes")
	f(`C:\x`, 3, "backslash")
	f("a\x00", 2, "space is missing")
	f(strings.Repeat("a", 64<<10+1), 1, "64 KiB")
	f(strings.Repeat("(", 101)+"a"+strings.Repeat(")", 101), 101, "nested deeper")
	f(strings.Repeat("-(", 60)+"a", 101, "nested deeper")
	f(strings.Repeat("a ", 1001), 2001, "more than 1000 words")
	f(strings.Repeat("* ", 5001), 10001, "more than 5000 parts")
}

func TestErrorText(t *testing.T) {
	_, err := Parse("error | limit 5")
	if want := "column 7: pipes are not part of the language; use the parameters of the API"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Fatalf("got %v, want %s…", err, want)
	}
}

func TestBoundsAreGenerous(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("(", 99) + "a" + strings.Repeat(")", 99),
		strings.Repeat("a ", 1000),
		strings.Repeat("* ", 4999),
		`f:in(` + strings.Repeat("0123456789abcdef,", 3800) + `x)`,
	} {
		if _, err := Parse(text); err != nil {
			t.Errorf("%.20s… is refused: %s", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "a b OR NOT f:c", `"x y"* i(Z)`, `f:range(1,2] g:>=-0.5 h:in(a,"b c")`, "f:~`\\b(a|b){2,5}$` -(x OR \"\\u00e9\")",
		`@timestamp:>=2024-05-01T00:00:00Z`, `f:(="" OR * -b)`, `a | b`, `_stream:{x}`, `f:~"(?ims)a.$"`, "1.50 错误abc i(ſ)"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Parse(text)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Column < 1 || syntax.Column > len([]rune(text))+1 {
				t.Fatalf("%q: the error is %#v", text, err)
			}
			return
		}
		again, err := Parse(Format(e))
		if err != nil || !reflect.DeepEqual(e, again) {
			t.Fatalf("%q is formatted as %s, which is %#v, %v; want %#v", text, Format(e), again, err, e)
		}
		for _, filter := range []string{LogsQL(e), LogsQLIndexed(e)} {
			if _, err := logstorage.ParseFilter(filter); err != nil {
				t.Fatalf("%q: logstorage does not take %s: %s", text, filter, err)
			}
		}
		Compile(e)
	})
}
