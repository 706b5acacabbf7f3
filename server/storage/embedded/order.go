package embedded

import (
	"slices"
	"strings"

	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logstorage"
)

// columnOrder puts the columns of a row into the order that logstorage sorts them into anyway, by name with the message first.
// Rows of one program have the same names in the same order, so the order found for one row serves the next: logstorage
// then finds the row sorted, and its names those of the row before, and does neither again.
type columnOrder struct {
	names []string // as they came in the row that perm was made for
	perm  []int
	out   []logstorage.Field
}

// sorted returns the fields in order, valid until the next call.
func (o *columnOrder) sorted(fields []logstorage.Field) []logstorage.Field {
	if !o.fits(fields) {
		o.learn(fields)
	}
	o.out = o.out[:0]
	for _, i := range o.perm {
		o.out = append(o.out, fields[i])
	}
	return o.out
}

func (o *columnOrder) fits(fields []logstorage.Field) bool {
	if len(fields) != len(o.names) {
		return false
	}
	for i := range fields {
		if fields[i].Name != o.names[i] {
			return false
		}
	}
	return true
}

func (o *columnOrder) learn(fields []logstorage.Field) {
	o.names, o.perm = o.names[:0], o.perm[:0]
	for i, f := range fields {
		o.names = append(o.names, strings.Clone(f.Name)) // the event's own memory is not kept
		o.perm = append(o.perm, i)
	}
	slices.SortFunc(o.perm, func(i, j int) int { return strings.Compare(canonical(o.names[i]), canonical(o.names[j])) })
}

// canonical is the name that logstorage sorts by: the message is the column without a name.
func canonical(name string) string {
	if name == colMsg {
		return ""
	}
	return name
}
