package embedded

import (
	"fmt"
	"testing"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logstorage"
)

func TestColumnOrder(t *testing.T) {
	row := func(names ...string) []logstorage.Field {
		var f []logstorage.Field
		for _, n := range names {
			f = append(f, logstorage.Field{Name: n, Value: "value of " + n})
		}
		return f
	}
	var o columnOrder
	for _, r := range [][]logstorage.Field{row("b", "_msg", "a"), row("b", "_msg", "a"), row("b", "_msg", "c"), row("z"), row(), row("_id", "_msg", "A")} {
		got := o.sorted(r)
		if len(got) != len(r) {
			t.Fatalf("%d fields of %d", len(got), len(r))
		}
		for i, f := range got {
			if f.Value != "value of "+f.Name || i > 0 && canonical(got[i-1].Name) >= canonical(f.Name) {
				t.Errorf("%s became %s", fmt.Sprint(r), fmt.Sprint(got))
			}
		}
	}
}
