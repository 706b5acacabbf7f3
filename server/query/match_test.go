package query

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logstorage"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/server/query/querytest"
)

func mustParse(t testing.TB, text string) Expr {
	t.Helper()
	e, err := Parse(text)
	if err != nil {
		t.Fatalf("%s: %s", text, err)
	}
	return e
}

// busy has something of everything.
const busy = `(refused OR i(TIMEOUT)) level:in(error,warn) status:>=500 status:range[500,599] -host:"" app:="shop" pay* ` +
	`~"user=\d+" kubernetes.namespace:* @timestamp:>=2020-01-01T00:00:00Z _id:*`

func busyEvent() *event.Event {
	ev := &event.Event{ID: "x1", Time: base}
	ev.Put("message", "payment: connection refused for user=4711 after 30 ms")
	ev.Put("level", "error")
	ev.Put("status", "503")
	ev.Put("host", "n1")
	ev.Put("app", "shop")
	ev.Put("kubernetes.namespace", "shop")
	return ev
}

func TestMatchAllocatesNothing(t *testing.T) {
	m, ev := Compile(mustParse(t, busy)), busyEvent()
	if !m.Match(ev) {
		t.Fatal("the event does not match")
	}
	if n := testing.AllocsPerRun(100, func() { m.Match(ev) }); n != 0 {
		t.Errorf("Match allocates %v times", n)
	}
}

func BenchmarkMatch(b *testing.B) {
	m, ev := Compile(mustParse(b, busy)), busyEvent()
	b.ReportAllocs()
	for b.Loop() {
		m.Match(ev)
	}
}

func BenchmarkLogsQL(b *testing.B) {
	e := mustParse(b, busy)
	b.ReportAllocs()
	for b.Loop() {
		LogsQLIndexed(e)
	}
}

func BenchmarkStoreParses(b *testing.B) {
	for name, text := range map[string]string{"word": "refused", "busy": busy} {
		filter := LogsQLIndexed(mustParse(b, text))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := logstorage.ParseFilter(filter); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestFields(t *testing.T) {
	got := Fields(mustParse(t, `b:1 (x OR NOT a:>2) b:* @timestamp:* *`))
	if want := []string{"@timestamp", "a", "b", "message"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, leaf := range []Expr{Phrase{Field: "f"}, Prefix{Field: "f"}, Exact{"f", "x"}, Regexp{"f", "x"}, Compare{"f", Less, "1"},
		Range{Field: "f"}, In{"f", nil}, Empty{"f"}, Present{"f"}} {
		if got := Fields(leaf); !reflect.DeepEqual(got, []string{"f"}) {
			t.Errorf("%T: got %v", leaf, got)
		}
	}
}

// TestDegenerate wants both compilers to agree on trees that Parse does not make.
func TestDegenerate(t *testing.T) {
	s := openStore(t)
	events := querytest.Events(base)
	s.add(0, events)
	f := func(e Expr, want int) {
		t.Helper()
		if got := len(s.check(0, e, events)); got != want {
			t.Errorf("%#v selects %d, want %d", e, got, want)
		}
	}
	n := len(events)
	f(And{}, n)
	f(Or{}, 0)
	f(Not{Or{}}, n)
	f(And{[]Expr{Or{}, All{}}}, 0)
	f(Or{[]Expr{Or{}, All{}}}, n)
	f(Phrase{Field: "only"}, n-1)
	f(Prefix{Field: "only"}, 1)
	f(Exact{Field: "only"}, n-1)
	f(In{"only", []string{"", "here"}}, n)
	f(In{"only", nil}, 0)
	f(Regexp{"only", "("}, 0)
	f(Compare{"v", Less, "x"}, 0)
	f(Compare{event.Timestamp, Less, "x"}, 0)
	f(Phrase{Field: event.Timestamp, Text: "2026"}, 0)
	f(Empty{event.Timestamp}, 0)
	f(Phrase{Field: "only", Text: "here\uFDD1"}, 0)
}

// TestReplacementCharacter is about U+FFFD, which logstorage takes for part of a word in one place and not in another; in
// a column of one value, of few, and of many.
func TestReplacementCharacter(t *testing.T) {
	s := openStore(t)
	for rows, tenant := range map[int]uint32{1: 1, 3: 2, 20: 3} {
		var events []event.Event
		for i := range rows {
			ev := event.Event{ID: fmt.Sprint(i), Time: base}
			ev.Put("message", "\uFFFDerror x\uFFFDabc\uFFFDy "+strings.Repeat("z", i))
			ev.Put("level", "a")
			events = append(events, ev)
		}
		s.add(tenant, events)
		whole := Exact{event.Message, "\uFFFDerror x\uFFFDabc\uFFFDy "}
		for _, e := range []Expr{mustParse(t, "error"), mustParse(t, "abc"), mustParse(t, `"x\ufffdabc\ufffdy"`), mustParse(t, `~"x\ufffdabc\ufffdy"`), mustParse(t, `"\ufffd"`),
			mustParse(t, "i(ERROR)"), mustParse(t, "err*"), whole, In{event.Message, []string{whole.Value, "b"}}} {
			if got := s.check(tenant, And{[]Expr{e, Exact{"level", "a"}}}, events); len(got) == 0 {
				t.Errorf("%s finds nothing among %d", Format(e), rows)
			}
		}
	}
}

func TestScopes(t *testing.T) {
	t.Run(NamespaceField, func(t *testing.T) { testScope(t, NamespaceField, ClusterField, NamespaceScope) })
	t.Run(ClusterField, func(t *testing.T) {
		testScope(t, ClusterField, NamespaceField, func(patterns []string) Expr { return FieldScope(ClusterField, patterns) })
	})
}

// testScope tests a scope on field; what stands in other does not count.
func testScope(t *testing.T, field, other string, scopeOf func([]string) Expr) {
	s := openStore(t)
	var events []event.Event
	for _, ns := range []string{"", "team-a", "team-ab", "xteam-a", "prod", "a.b", "axb", "*", "a\nb"} {
		ev := event.Event{ID: "ns:" + ns, Time: base}
		ev.Put("message", "x")
		ev.Put(other, "team-a")
		if ns != "" {
			ev.Put(field, ns)
		}
		events = append(events, ev)
	}
	s.add(0, events)
	f := func(patterns string, want ...string) {
		t.Helper()
		scope := scopeOf(strings.Split(patterns, ","))
		got := s.check(0, And{[]Expr{mustParse(t, "x OR y"), scope}}, events)
		for i := range got {
			got[i] = strings.TrimPrefix(got[i], "ns:")
		}
		if !reflect.DeepEqual(got, append([]string{}, want...)) {
			t.Errorf("%s: got %q, want %q", patterns, got, want)
		}
	}
	f("team-a", "team-a")
	f("team-*", "team-a", "team-ab")
	f("*team-a", "team-a", "xteam-a")
	f("prod,team-a", "prod", "team-a")
	f("a.b", "a.b")
	f("a.b*", "a.b")
	f("a*b", "a\nb", "a.b", "axb")
	f("a", []string{}...)
	f("")
	f("*", "", "*", "a\nb", "a.b", "axb", "prod", "team-a", "team-ab", "xteam-a")
	if got := s.check(0, scopeOf(nil), events); len(got) > 0 {
		t.Errorf("no pattern admits %q", got)
	}
}
