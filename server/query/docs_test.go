package query

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/valyala/fastjson"

	"github.com/tallylog/tally/event"
)

// TestDocumentation runs the examples of docs/query.md, each in a fenced block: events as JSON, queries with the ids
// that they find, and errors with their columns.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/query.md")
	if err != nil {
		t.Fatal(err)
	}
	var events []event.Event
	var decoder event.Decoder
	var stored *store
	kind, queries, failures := "", 0, 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if fence, ok := strings.CutPrefix(line, "```"); ok {
			kind = fence
			continue
		}
		query, want, _ := strings.Cut(line, "=> ")
		query = strings.TrimRight(strings.TrimSuffix(query, "=>"), " ")
		switch kind {
		case "events":
			ev, err := decoder.Decode([]byte(line))
			if err != nil {
				t.Fatalf("%s: %s", line, err)
			}
			ev.ID = fastjson.GetString([]byte(line), "_id")
			ev.Delete(ID)
			events = append(events, ev)
		case "queries":
			queries++
			if stored == nil {
				stored = openStore(t)
				stored.add(0, events)
			}
			e, err := Parse(query)
			if err != nil {
				t.Errorf("%s: %s", query, err)
				continue
			}
			if got := stored.check(0, e, events); !slices.Equal(got, strings.Fields(want)) {
				t.Errorf("%s finds %v, not %s", query, got, want)
			}
		case "errors":
			failures++
			column, _ := strconv.Atoi(want)
			_, err := Parse(query)
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Column != column {
				t.Errorf("%s gives %v, not column %d", query, err, column)
			}
		}
	}
	if len(events) == 0 || queries < 40 || failures < 5 {
		t.Errorf("read %d events, %d queries and %d errors", len(events), queries, failures)
	}
}
