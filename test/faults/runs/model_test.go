package runs

import (
	"fmt"
	"math/rand"
)

// stream is one source: numbered lines, some of which its sender leaves out. It is what the model knows of it.
type stream struct {
	kind  string // lumberjack, push or bulk
	name  string
	lines int
}

// leftOut tells whether the sender filters line i: its range is told as skipped.
func (s *stream) leftOut(i int) bool { return s.kind == "lumberjack" && i%17 == 5 && i < s.lines-1 }

// sent is how many lines are sent.
func (s *stream) sent() (n int) {
	for i := range s.lines {
		if !s.leftOut(i) {
			n++
		}
	}
	return n
}

// width is what a line takes of its source's units.
func (s *stream) width() int {
	if s.kind == "lumberjack" {
		return 100 // bytes, as of a file
	}
	return 1
}

func (s *stream) message(i int) string { return fmt.Sprintf("line %d of %s", i, s.name) }

// model is all that is sent in a run.
type model struct {
	seed    int64
	streams []*stream
}

func newModel(seed int64, rnd *rand.Rand) *model {
	m := &model{seed: seed}
	for i := range 1 + rnd.Intn(4) {
		kind := []string{"lumberjack", "lumberjack", "push", "bulk"}[rnd.Intn(4)]
		m.streams = append(m.streams, &stream{kind: kind, name: fmt.Sprintf("r%d-%s-%d", seed, kind, i), lines: 50 + rnd.Intn(600)})
	}
	return m
}

func (m *model) total() (n int) {
	for _, s := range m.streams {
		n += s.sent()
	}
	return n
}
