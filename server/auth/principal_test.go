package auth

import (
	"testing"

	"pgregory.net/rapid"
)

func TestLoopback(t *testing.T) {
	p := Loopback()
	if p.Name != "lumberjack" || p.Tenant != "default" || p.TenantID != 0 || !p.Allows(Push) || p.Allows(Read) || p.Allows(Manage) {
		t.Errorf("%+v", p)
	}
}

func TestZeroAllowsNothing(t *testing.T) {
	for a := Action(-1); a <= Manage+1; a++ {
		if (Principal{}).Allows(a) {
			t.Errorf("the zero principal may do %d", a)
		}
	}
	for _, r := range []Role{RoleAdmin, RoleOperator, RoleReader, RolePush} {
		if p := (Principal{Role: r}); p.Allows(0) || p.Allows(Manage+1) {
			t.Errorf("%s may do what is no action", r)
		}
	}
}

func TestWithin(t *testing.T) {
	f := func(patterns []string, ns string, want bool) {
		t.Helper()
		p := Principal{Namespaces: patterns}
		if got := p.AllowsNamespace(ns); got != want {
			t.Errorf("%q on %q: %t, want %t", patterns, ns, got, want)
		}
		if !p.AllowsCluster(ns) {
			t.Errorf("a scope on namespaces keeps cluster %q out", ns)
		}
		p = Principal{Clusters: patterns}
		if got := p.AllowsCluster(ns); got != want {
			t.Errorf("%q on cluster %q: %t, want %t", patterns, ns, got, want)
		}
		if !p.AllowsNamespace(ns) {
			t.Errorf("a scope on clusters keeps namespace %q out", ns)
		}
	}
	f(nil, "a", true)
	f(nil, "", true)
	f([]string{"a"}, "a", true)
	f([]string{"a"}, "ab", false)
	f([]string{"a"}, "A", false)
	f([]string{"a"}, "", false)
	f([]string{"*"}, "", false)
	f([]string{"*"}, "x", true)
	f([]string{"a", "b"}, "b", true)
	f([]string{"team-*"}, "team-", true)
	f([]string{"team-*"}, "team-a", true)
	f([]string{"team-*"}, "my-team-a", false)
	f([]string{"*-prod"}, "a-prod", true)
	f([]string{"*-prod"}, "a-prod-b", false)
	f([]string{"a*b*c"}, "aXbbYcc", true)
	f([]string{"a*b*c"}, "aXYc", false)
	f([]string{"a.b"}, "axb", false)
}

// TestCovers checks covers against what it means: whatever an inner pattern lets in, the outer ones do; and for single
// patterns, where it says no, there is a namespace that shows why.
func TestCovers(t *testing.T) {
	pattern := rapid.StringMatching(`[ab*]{1,5}`)
	rapid.Check(t, func(t *rapid.T) {
		outer := rapid.SliceOfN(pattern, 1, 3).Draw(t, "outer")
		inner := rapid.SliceOfN(pattern, 1, 3).Draw(t, "inner")
		ns := rapid.StringMatching(`[abc]{1,7}`).Draw(t, "ns")
		out, in := Principal{Namespaces: outer}, Principal{Namespaces: inner}
		if covers(outer, inner) && in.AllowsNamespace(ns) && !out.AllowsNamespace(ns) {
			t.Fatalf("%q does not let %q in, but is said to cover %q", outer, ns, inner)
		}
		one, other := outer[:1], inner[:1]
		if !covers(one, other) {
			witness := ""
			for _, c := range other[0] {
				if c == '*' {
					witness += "c" // of which no pattern speaks
				} else {
					witness += string(c)
				}
			}
			if (Principal{Namespaces: one}).AllowsNamespace(witness) {
				t.Fatalf("%q covers %q, but it is said not to", one, other)
			}
		}
	})
	if !covers(nil, nil) || !covers(nil, []string{"a"}) || covers([]string{"*"}, nil) {
		t.Error("no patterns mean all of the tenant")
	}
}
