package query

import (
	"slices"
	"testing"

	"github.com/tallylog/tally/server/query/querytest"
)

// TestTable runs the cases of querytest through the matcher and a real store.
func TestTable(t *testing.T) {
	s := openStore(t)
	events := querytest.Events(base)
	s.add(0, events)
	cases := querytest.Cases()
	for _, c := range cases {
		e, err := Parse(c.Query)
		if err != nil {
			t.Errorf("%s: %s", c.Query, err)
			continue
		}
		if got := s.check(0, e, events); !slices.Equal(got, c.IDs) {
			t.Errorf("%s\ngot  %v\nwant %v", c.Query, got, c.IDs)
		}
	}
	if len(cases) < 150 {
		t.Errorf("only %d cases were read", len(cases))
	}
}
