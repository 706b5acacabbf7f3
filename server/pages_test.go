package server

import (
	"fmt"
	"math/rand"
	"net/url"
	"slices"
	"strconv"
	"testing"
)

// Whatever lies where, going through a list of several servers page by page gives all of it once, in order.
func TestPagesOfSeveralServers(t *testing.T) {
	rnd := rand.New(rand.NewSource(7))
	type entry struct{ at, seq int }
	for round := range 200 {
		lists := map[string][]entry{} // newest first, as each server has them
		var want []int
		for s := range 1 + rnd.Intn(4) {
			id := fmt.Sprintf("%016x", s)
			n := rnd.Intn(12)
			for i := range n {
				lists[id] = append(lists[id], entry{(n-i)*100 + rnd.Intn(100), n - i})
			}
			for _, e := range lists[id] {
				want = append(want, e.at)
			}
		}
		slices.Sort(want)
		slices.Reverse(want)
		limit := 1 + rnd.Intn(5)
		var got []int
		cursor := ""
		for range 100 {
			at, err := places(url.Values{"cursor": {cursor}}, "cursor")
			if err != nil {
				t.Fatal(err)
			}
			var pages []page[entry]
			for id, list := range lists {
				behind, there := at[id]
				if at != nil && !there {
					continue
				}
				p := page[entry]{server: id, cursor: behind}
				for _, e := range list {
					if n, err := strconv.Atoi(behind); err == nil && e.seq >= n {
						continue
					}
					if p.more = len(p.entries) == limit; p.more {
						break
					}
					p.entries = append(p.entries, e)
				}
				pages = append(pages, p)
			}
			var out []entry
			out, cursor = merge(pages, limit, func(a, b *entry) bool { return a.at > b.at }, func(e *entry) string { return strconv.Itoa(e.seq) })
			if len(out) > limit {
				t.Fatalf("a page has %d entries, more than %d", len(out), limit)
			}
			for _, e := range out {
				got = append(got, e.at)
			}
			if cursor == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("round %d: pages of %d give\n%v, want\n%v", round, limit, got, want)
		}
	}
	for _, bad := range []string{"1", "x:1", "0000000000000000:1;", "0000000000000000:-1", "0000000000000000:1,"} {
		if _, err := places(url.Values{"cursor": {bad}}, "cursor"); err == nil {
			t.Errorf("%q is taken for a cursor", bad)
		}
	}
}
