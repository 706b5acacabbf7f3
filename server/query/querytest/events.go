package querytest

import (
	_ "embed"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tallylog/tally/event"
)

// text has an event on each line: an id, the block of the embedded store that it goes to, and its fields: name=value, separated by two
// spaces, with escapes for line ends and the Kelvin sign. Blocks num, neg, frac, ip, time and odd have enough different values that
// the embedded store keeps their column v in binary, or would like to.
//
//go:embed events.txt
var text string

//go:embed cases.txt
var cases string

// Events reads the events. Their times are one second apart, from base (nanoseconds); the block is a field of that name.
func Events(base int64) []event.Event {
	var events []event.Event
	for line := range strings.Lines(text) {
		id, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		block, rest, _ := strings.Cut(rest, " ")
		ev := event.Event{ID: id, Time: base + int64(len(events))*1e9}
		ev.Put("block", block)
		for _, pair := range strings.Split(strings.TrimLeft(rest, " "), "  ") {
			name, value, ok := strings.Cut(pair, "=")
			if !ok {
				panic(fmt.Sprintf("querytest: no field: %q", pair))
			}
			value = strings.ReplaceAll(value, `\n`, "\n")
			ev.Put(name, strings.ReplaceAll(value, `\u212A`, "\u212A"))
		}
		events = append(events, ev)
	}
	return events
}

// Base is the time of the first event in the queries of Cases.
var Base = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano()

var times = regexp.MustCompile(`20\d\d-\d\d-\d\dT[0-9:.]+(Z|\+\d\d:\d\d)|\b1\d{12}\b`)

// Moved returns a query that asks for times after base as the one given does for times after Base.
func Moved(query string, base int64) string {
	if !strings.Contains(query, event.Timestamp) {
		return query
	}
	return times.ReplaceAllStringFunc(query, func(text string) string {
		t, _ := event.ParseTime(text)
		return event.FormatTime(t - Base + base)
	})
}

// Case is a query and the ids of the events that it selects, in the order of Events.
type Case struct {
	Query string
	IDs   []string
}

// Cases reads the cases.
func Cases() []Case {
	var all []Case
	for line := range strings.Lines(cases) {
		if query, wanted, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ⇒"); ok {
			all = append(all, Case{query, ids(wanted)})
		}
	}
	return all
}

// ids reads "3 5-7" as e03 e05 e06 e07.
func ids(list string) []string {
	ids := []string{}
	for _, part := range strings.Fields(list) {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		from, err1 := strconv.Atoi(low)
		to, err2 := strconv.Atoi(high)
		if err1 != nil || err2 != nil {
			panic(fmt.Sprintf("querytest: cannot read the ids %q", list))
		}
		for i := from; i <= to; i++ {
			ids = append(ids, fmt.Sprintf("e%02d", i))
		}
	}
	return ids
}
