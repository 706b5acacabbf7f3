package query

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestTable runs testdata/cases.txt through the matcher and a real store.
func TestTable(t *testing.T) {
	text, err := os.ReadFile("testdata/cases.txt")
	if err != nil {
		t.Fatal(err)
	}
	s := openStore(t)
	events := awkwardEvents()
	s.add(0, events)
	cases := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		query, wanted, ok := strings.Cut(line, " ⇒")
		if !ok {
			continue
		}
		cases++
		e, err := Parse(query)
		if err != nil {
			t.Errorf("%s: %s", query, err)
			continue
		}
		if want, got := eventIDs(t, wanted), s.check(0, e, events); !slices.Equal(got, want) {
			t.Errorf("%s\ngot  %v\nwant %v", query, got, want)
		}
	}
	if cases < 150 {
		t.Errorf("only %d cases were read", cases)
	}
}

// eventIDs reads "3 5-7" as e03 e05 e06 e07.
func eventIDs(t *testing.T, list string) []string {
	t.Helper()
	ids := []string{}
	for _, part := range strings.Fields(list) {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		from, err1 := strconv.Atoi(low)
		to, err2 := strconv.Atoi(high)
		if err1 != nil || err2 != nil {
			t.Fatalf("cannot read the ids %q", list)
		}
		for i := from; i <= to; i++ {
			ids = append(ids, fmt.Sprintf("e%02d", i))
		}
	}
	return ids
}
