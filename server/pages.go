package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/tallylog/tally/server/answer"
)

// A list of several servers goes on where each of them was: its cursor is "ID:CURSOR,…", with the servers and their own cursors, of which
// an empty one means from the beginning.

// atEnd is the cursor behind the last entry of every list.
const atEnd = "1"

var placesForm = regexp.MustCompile(`^[0-9a-f]{16}:[0-9]*(,[0-9a-f]{16}:[0-9]*)*$`)

// places reads such a cursor; without one it is nil.
func places(q url.Values, name string) (map[string]string, error) {
	if name == "" || q.Get(name) == "" {
		return nil, nil
	}
	if !placesForm.MatchString(q.Get(name)) {
		return nil, answer.Errorf(http.StatusBadRequest, "parameter", "%s %.60q is none that a list gave out", name, q.Get(name))
	}
	all := map[string]string{}
	for _, x := range strings.Split(q.Get(name), ",") {
		id, cursor, _ := strings.Cut(x, ":")
		all[id] = cursor
	}
	return all, nil
}

// page is a part of a list of one server.
type page[E any] struct {
	server  string // id
	cursor  string // that it was asked with
	entries []E
	more    bool
}

// merge joins parts of lists that are each in order, up to a limit, and returns the cursor for the rest, "" where there is none. less tells
// which of two entries comes first, place is the cursor of the list of its server behind an entry.
func merge[E any](pages []page[E], limit int, less func(a, b *E) bool, place func(*E) string) (out []E, next string) {
	at := make([]int, len(pages))
	out = []E{}
	for len(out) < limit {
		best := -1
		for i := range pages {
			if at[i] < len(pages[i].entries) && (best < 0 || less(&pages[i].entries[at[i]], &pages[best].entries[at[best]])) {
				best = i
			}
		}
		if best < 0 {
			break
		}
		out = append(out, pages[best].entries[at[best]])
		at[best]++
	}
	var rest []string
	more := false
	for i, p := range pages {
		cursor := p.cursor
		switch {
		case at[i] == len(p.entries) && !p.more:
			cursor = atEnd // it is asked all the same: an answer tells of more than the list
		case at[i] > 0:
			cursor = place(&p.entries[at[i]-1])
			more = true
		default:
			more = true
		}
		rest = append(rest, p.server+":"+cursor)
	}
	if !more {
		return out, ""
	}
	return out, strings.Join(rest, ",")
}

// limitOf is the parameter limit of a request that a server has found right, by default 100.
func limitOf(q url.Values) int {
	n, err := strconv.Atoi(q.Get("limit"))
	if err != nil {
		return 100
	}
	return n
}

func decodeReply(r reply, v any) error {
	if err := json.Unmarshal(r.Body, v); err != nil {
		return fmt.Errorf("cannot understand the answer of the server %s: %w", r.Name, err)
	}
	return nil
}
