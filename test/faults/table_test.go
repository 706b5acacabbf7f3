package faults

import (
	"fmt"
	"io"
	"os"
	"sync"
	"testing"
	"text/tabwriter"
)

// row is one line of the table that a run of this room ends with.
type row struct {
	name                   string
	written, lost, doubled int
	note                   string
}

// results has the rows in the order in which their tests ended.
var results struct {
	sync.Mutex
	rows []row
}

// report adds a row, and fails the test when anything was lost or doubled.
func report(t *testing.T, r row) {
	t.Helper()
	results.Lock()
	results.rows = append(results.rows, r)
	results.Unlock()
	if r.lost != 0 || r.doubled != 0 {
		t.Errorf("%s: %d of %d lines lost, %d doubled", r.name, r.lost, r.written, r.doubled)
	}
}

func printTable(out io.Writer) {
	results.Lock()
	defer results.Unlock()
	if len(results.rows) == 0 {
		return
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "case\tlines written\tlost\tdoubled\t")
	for _, r := range results.rows {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\n", r.name, r.written, r.lost, r.doubled, r.note)
	}
	w.Flush()
}

func TestMain(m *testing.M) {
	code := m.Run()
	printTable(os.Stdout)
	os.Exit(code)
}
