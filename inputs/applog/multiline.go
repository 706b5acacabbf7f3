package applog

import (
	"slices"

	"github.com/tallylog/tally/inputs/multiline"
)

// joinSpans makes events of lines, which are spans of b; at is the offset of b in the file. open is the first line of an event at the end
// that may go on, len(lines) if there is none.
func joinSpans(m *multiline.Config, f *format, b []byte, at int64, cuts []int64, lines, out []span) (events []span, open int) {
	var e multiline.Event
	first := 0
	for i, sp := range lines {
		begins, ends := m.Next(&e, f.decode(b[sp.from:sp.text]), slices.Contains(cuts, at+int64(sp.to)))
		if begins && i > first {
			out = append(out, over(lines[first:i]))
			first = i
		}
		if ends {
			out = append(out, over(lines[first:i+1]))
			first = i + 1
		}
	}
	return out, first
}

// over spans lines that follow each other.
func over(lines []span) span {
	last := lines[len(lines)-1]
	return span{lines[0].from, last.text, last.to}
}
