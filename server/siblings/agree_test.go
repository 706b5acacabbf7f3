package siblings

import (
	"slices"
	"testing"
	"time"
)

// Retention changes for all when all that live have it in their configurations, and not before.
func TestAgree(t *testing.T) {
	h := newHerd(t, 3)
	var told [3][]string
	for i, l := range h.all {
		l.self.Retention = "30d"
		l.agree = func(a Agreement) { told[i] = append(told[i], a.Retention+" of "+a.By) }
	}
	want := func(what string, each ...string) {
		t.Helper()
		for i := range h.all {
			if last := told[i][len(told[i])-1]; last != each[i] {
				t.Errorf("%s: server %d has %q in force, want %q", what, i, last, each[i])
			}
		}
	}
	h.round(3, 0, 1, 2)
	want("all alike", "30d of server-0", "30d of server-0", "30d of server-0")
	// Their configurations are changed one after the other.
	for i := range 2 {
		h.all[i].self.Retention = "20d"
		h.round(3, 0, 1, 2)
		want("some have another", "30d of server-0", "30d of server-0", "30d of server-0")
	}
	h.all[2].self.Retention = "20d"
	h.round(3, 0, 1, 2)
	want("all have another", "20d of server-2", "20d of server-2", "20d of server-2")
	// One that is silent has no say any more once it is taken out, and gets what is in force when it is back.
	for _, i := range []int{0, 1} {
		h.all[i].self.Retention = "10d"
	}
	h.round(5, 0, 1)
	want("one is silent", "20d of server-2", "20d of server-2", "20d of server-2")
	h.round(8, 0, 1)
	if last := told[0][len(told[0])-1]; last != "10d of server-1" && last != "10d of server-0" {
		t.Errorf("after the end of its lease: %q", last)
	}
	h.round(3, 0, 1, 2)
	if last := told[2][len(told[2])-1]; last != told[0][len(told[0])-1] {
		t.Errorf("a server that is back has %q in force, the others %q", last, told[0][len(told[0])-1])
	}
	for i, l := range told {
		if len(slices.Compact(slices.Clone(l))) != len(l) {
			t.Errorf("server %d is told the same twice: %q", i, l)
		}
	}
}

// One server leads, and after its end another does.
func TestLeads(t *testing.T) {
	h := newHerd(t, 3)
	leads := func() (list []int) {
		for i, l := range h.all {
			if (&Group{leases: l}).Leads() {
				list = append(list, i)
			}
		}
		return list
	}
	if l := leads(); len(l) != 0 {
		t.Errorf("%v lead before they have a lease", l)
	}
	h.round(5, 0, 1, 2)
	first := leads()
	if len(first) != 1 {
		t.Fatalf("%v lead", first)
	}
	rest := slices.DeleteFunc([]int{0, 1, 2}, func(i int) bool { return i == first[0] })
	h.round(20, rest...)
	if l := leads(); len(l) != 1 || l[0] == first[0] {
		t.Errorf("after server %v is gone %v lead", first, l)
	}
}

// Who went without a word is listed until it is back, and who left in good order is not.
func TestAbsent(t *testing.T) {
	h := newHerd(t, 3)
	h.round(5, 0, 1, 2)
	names := func() (list []string) {
		for _, a := range (&Group{leases: h.all[0]}).Absent() {
			list = append(list, a.Name)
		}
		slices.Sort(list)
		return list
	}
	h.round(15, 0, 2)
	if got := names(); !slices.Equal(got, []string{"server-1"}) {
		t.Errorf("absent are %v", got)
	}
	h.round(3, 0, 1, 2)
	if got := names(); got != nil {
		t.Errorf("%v are absent though they are back", got)
	}
	if err := h.all[1].leave(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if err := h.all[2].leave(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	h.round(1, 0)
	if got := names(); !slices.Equal(got, []string{"server-2"}) {
		t.Errorf("of one that left with all stored and one that did not, absent are %v", got)
	}
	h.clocks[0].pass(absentAge + 24*time.Hour)
	h.round(2, 0)
	if got := names(); got != nil {
		t.Errorf("%v are listed for ever", got)
	}
}

// Clocks that differ are told; that a beat is seen late is not taken for it, nor is one that was written long ago.
func TestClocks(t *testing.T) {
	h := newHerd(t, 2)
	h.clocks[1].pass(-time.Hour) // the kit sets it an hour ahead
	g := &Group{leases: h.all[0]}
	h.round(1, 1)
	for range 50 { // its first beat is old when it is seen
		h.clocks[0].pass(time.Minute)
		h.clocks[1].pass(time.Minute)
	}
	h.round(4, 0, 1)
	if c := g.Clocks(); len(c) != 0 {
		t.Errorf("clocks that agree differ by %v", c)
	}
	h.clocks[1].pass(3 * time.Hour)
	h.round(2, 1, 0)
	if c := g.Clocks(); len(c) != 1 || (c["server-1"]-3*time.Hour).Abs() > ttl {
		t.Errorf("a clock three hours ahead: %v", c)
	}
	h.clocks[1].pass(-5 * time.Hour)
	h.round(2, 1, 0)
	if c := g.Clocks(); len(c) != 1 || (c["server-1"]+2*time.Hour).Abs() > ttl {
		t.Errorf("a clock two hours behind: %v", c)
	}
}
