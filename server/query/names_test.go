package query

import (
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tallylog/tally/event"
)

func TestStoreName(t *testing.T) {
	f := func(name, stored string) {
		t.Helper()
		if got := StoreName(name); got != stored {
			t.Errorf("%q is stored as %q, want %q", name, got, stored)
		}
		if got := FieldName(stored); got != name {
			t.Errorf("%q comes back as %q, want %q", stored, got, name)
		}
	}
	f("message", "_msg")
	f("@timestamp", "_time")
	f("_id", "_id")
	f("level", "level")
	f("a.b", "a.b")
	f("_msg", "__msg")
	f("_time", "__time")
	f("_stream", "__stream")
	f("_stream_id", "__stream_id")
	f("_b", "__b")
	f("__id", "___id")
	f("_", "__")
	f("", "_")
}

func TestStoreNameIsReversible(t *testing.T) {
	seen := map[string]string{}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.StringMatching(`_{0,3}(id|msg|time|stream|b|x)?`)).Draw(t, "name")
		stored := StoreName(name)
		if FieldName(stored) != name || len(stored) > len(name)+1 {
			t.Fatalf("%q is stored as %q, which comes back as %q", name, stored, FieldName(stored))
		}
		if other, ok := seen[stored]; ok && other != name {
			t.Fatalf("%q and %q are both stored as %q", name, other, stored)
		}
		seen[stored] = name
		if name != event.Message && name != event.Timestamp && name != ID && name != "" && strings.HasPrefix(stored, "_") && stored[1] != '_' {
			t.Fatalf("%q is stored under the hidden name %q", name, stored)
		}
	})
}

// TestStoreValue stores values of all sorts in one column, and wants each back as it was.
func TestStoreValue(t *testing.T) {
	s := openStore(t)
	tenant := uint32(0)
	rapid.Check(t, func(rt *rapid.T) {
		s.t = rt
		tenant++
		events := drawEvents(rt)
		s.add(tenant, events)
		for i := range events {
			for _, f := range events[i].Fields {
				if got := FieldValue(StoreValue(f.Value)); got != f.Value {
					rt.Fatalf("%q comes back as %q", f.Value, got)
				}
				if f.Value == "" {
					continue
				}
				whole := fmt.Sprintf("_id:=%q %q:in(%[3]q,%[3]q)", events[i].ID, StoreName(f.Name), StoreValue(f.Value))
				pattern := fmt.Sprintf("_id:=%q ", events[i].ID) + exactly(quote(StoreName(f.Name))+":", `\A`+regexp.QuoteMeta(StoreValue(f.Value))+`\z`)
				if len(s.ids(tenant, whole)) != 1 || len(s.ids(tenant, pattern)) != 1 {
					rt.Fatalf("%q was changed by the store", f.Value)
				}
			}
		}
	})
	if StoreValue("a\uFDD1b") != "a\uFFFDb" {
		t.Error("a mark inside a value stays")
	}
}

func TestGlue(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		ev := event.Event{}
		ev.Put("message", text)
		if got := Glue(&ev); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	f("", "")
	f("plain words, 404", "")
	f("失败 abc 登录", "")
	f("错误abc", " abc")
	f("用户abc登录 x_1失 b", " abc x_1")
	f("a\uFFFDb", " a b")
	f("サーバー2 é한", " 2 é")
	f(strings.Repeat("误a", 10_000), "*")
	ev := event.Event{}
	ev.Put("a", "x失")
	ev.Put("b", "败y")
	if got := Glue(&ev); got != " x y" {
		t.Errorf("of two fields: %q", got)
	}
}

// TestNumberRegexp compares the comparison, its regular expression, and exact rational arithmetic.
func TestNumberRegexp(t *testing.T) {
	number := rapid.StringMatching(`-?0{0,2}[0-9]{1,4}(\.[0-9]{1,3})?`)
	rapid.Check(t, func(t *rapid.T) {
		bound, value := number.Draw(t, "bound"), number.Draw(t, "value")
		if rapid.IntRange(0, 3).Draw(t, "near") == 0 {
			value = bound + rapid.SampledFrom([]string{"", "0", ".0", ".00", ".01", "1"}).Draw(t, "more")
		}
		b, _ := parseDecimal(bound)
		v, ok := parseValue(value)
		if !ok {
			if strings.Count(value, ".") < 2 {
				t.Fatalf("%s is no number", value)
			}
			return
		}
		x, _ := new(big.Rat).SetString(value)
		y, _ := new(big.Rat).SetString(bound)
		for op, want := range map[Op]bool{GreaterEqual: x.Cmp(y) >= 0, Greater: x.Cmp(y) > 0, Less: x.Cmp(y) < 0, LessEqual: x.Cmp(y) <= 0} {
			if got := v.holds(op, b); got != want {
				t.Fatalf("%s %s %s is %v", value, op, bound, got)
			}
			re := regexp.MustCompile(`\A(?:` + b.numberRegexp(op) + `)\z`)
			if got := re.MatchString(value); got != want {
				t.Fatalf("%s %s %s is %v by %s", value, op, bound, got, re)
			}
		}
	})
}

func TestNumbersThatAreNone(t *testing.T) {
	e := Not{Or{[]Expr{Compare{"n", GreaterEqual, "0"}, Compare{"n", Less, "0"}}}}
	s := openStore(t)
	var events []event.Event
	for i, v := range []string{"", "x", "1e5", "+5", ".5", "5.", "1_0", "0x10", "5s", "10KB", "10.0.0.1", "2024-01-01T00:00:00Z", "--5", "1.2.3", "٣", "NaN", "inf",
		"1" + strings.Repeat("0", 400), " 5"} {
		ev := event.Event{ID: fmt.Sprint(i), Time: base}
		ev.Put("n", v)
		events = append(events, ev)
	}
	s.add(0, events)
	if got := s.check(0, e, events); len(got) != len(events) {
		t.Errorf("only %v are no numbers", got)
	}
	if got := s.check(0, Compare{"n", Greater, "5"}, events); len(got) > 0 {
		t.Errorf("%v are larger than 5", got)
	}
}
