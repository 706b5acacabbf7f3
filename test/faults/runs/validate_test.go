package runs

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

// validate compares what the server has with the model, and says what is wrong.
func (g *ground) validate(m *model) (wrong []string) {
	query := fmt.Sprintf(`run:="%d"`, m.seed)
	total := m.total()
	deadline := time.Now().Add(2 * time.Minute)
	for time.Now().Before(deadline) { // rows become searchable within a second or two
		var ans struct{ Count int }
		if err := g.s.Get("/api/v1/count", url.Values{"query": {query}}, &ans); err == nil && ans.Count >= total {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	seen := map[string]int{}
	for _, e := range g.s.Events(query, "message,stream") {
		seen[e["message"]]++
	}
	for _, s := range m.streams {
		lost, doubled, first := 0, 0, -1
		for i := range s.lines {
			n := seen[s.message(i)]
			delete(seen, s.message(i))
			if s.leftOut(i) {
				n++
			}
			if n == 0 {
				lost++
			} else if n > 1 {
				doubled += n - 1
			}
			if n != 1 && first < 0 {
				first = i
			}
		}
		if lost > 0 || doubled > 0 {
			wrong = append(wrong, fmt.Sprintf("%s: %d lost, %d doubled of %d; the first is line %d", s.name, lost, doubled, s.lines, first))
		}
		if s.kind != "bulk" { // whose ids have no account
			wrong = append(wrong, g.account(s)...)
		}
	}
	for message, n := range seen {
		wrong = append(wrong, fmt.Sprintf("%d times %q, which nobody sent", n, message))
	}
	return wrong
}

// account compares the server's account of a stream with the model. Sets of different tests do not meet, as their names differ.
func (g *ground) account(s *stream) (wrong []string) {
	want := fmt.Sprintf("[[0 %d]]", s.lines*s.width())
	for _, src := range g.s.Sources("") {
		if !strings.Contains(src.Name+" "+src.Source, s.name) {
			continue
		}
		if got := fmt.Sprint(src.Ranges); got != want || len(src.Gaps) > 0 {
			wrong = append(wrong, fmt.Sprintf("account of %s: %s, gaps %v, want %s", s.name, got, src.Gaps, want))
		}
		if src.Conflicts > 0 {
			wrong = append(wrong, fmt.Sprintf("account of %s: %d conflicts", s.name, src.Conflicts))
		}
		return wrong
	}
	return []string{"no account of " + s.name}
}
