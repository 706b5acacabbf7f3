package indices

import (
	"strings"
	"testing"
	"time"

	"github.com/tallylog/tally/event"
)

func TestIndexName(t *testing.T) {
	e := &event.Event{Time: time.Date(2026, 3, 1, 23, 59, 59, 999_999_999, time.UTC).UnixNano()}
	e.Put("host.name", "Node-1.Example")
	e.Put("odd", "a/b c~7-*用")
	e.Put("long", strings.Repeat("x", 300))
	f := func(template string, tenant uint32, class, want string) {
		t.Helper()
		n, err := Parse(template)
		if err != nil {
			t.Error(err)
			return
		}
		if got := Class(n.Of(tenant, class, e)); got != class {
			t.Errorf("%s: class %q, want %q", template, got, class)
		}
		if got := Tenant(n.Of(tenant, class, e)); got != tenant {
			t.Errorf("%s: tenant %d, want %d", template, got, tenant)
		}
		if got := n.Of(tenant, class, e); got != want || len(got) > maxIndexName {
			t.Errorf("%s: %s, want %s", template, got, want)
		}
	}
	f(Default, 0, "", "tally-node-1.example-2026.03.01")
	f(Default, 7, "", "tally-~7-node-1.example-2026.03.01")
	f("tally-all", 0, "", "tally-all")
	f("tally-all", 0, "7-a", "tally-all~7-a~-")
	f("tally-all", 7, "", "tally-all~7-")
	f("tally-all", 7, "7-a", "tally-all~7-~7-a~-")
	f("tally-%{+yyyy}", 0, "30", "tally-~30~-2026")
	f("tally-prod-%{+yyyy.MM.dd-HH}", 9, "short-1", "tally-prod-~9-~short-1~-2026.03.01-23")
	f("tally-%{[odd]}", 0, "", "tally-a_b_c_7-__")
	f("tally-%{[none]}-x", 0, "", "tally-unknown-x")
	f("tally-%{[none]:Other}", 0, "", "tally-other")
	if n, _ := Parse("tally-%{[long]}"); len(n.Of(0, "", e)) != maxIndexName {
		t.Errorf("a long name has %d bytes", len(n.Of(0, "", e)))
	}
	for _, bad := range []string{"", "logs-%{+yyyy}", "tally-%{", "tally-%{host}", "tally-%{[a}", "tally-%{+EEE}", "tally-%{+}", "tally-A", "tally-a b", "tally-~1"} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestUntil(t *testing.T) {
	at := time.Date(2024, 2, 3, 23, 0, 0, 0, time.UTC).UnixNano()
	f := func(template, want string) {
		t.Helper()
		n, err := Parse(template)
		if err != nil {
			t.Fatal(err)
		}
		if got := n.Until(at); got != want || n.Dated() != (want != "") {
			t.Errorf("%s: %q, want %q", template, got, want)
		}
	}
	f(Default, "2024-02-03")
	f("tally-%{+yyyy.MM.dd-HH}", "2024-02-03")
	f("tally-%{+yyyy}-x-%{+MM}", "2024-02-29")
	f("tally-%{+yyyy}", "2024-12-31")
	f("tally-%{+yyyy.dd}", "2024-12-31")
	f("tally-%{+MM.dd}", "")
	f("tally-all", "")
}
