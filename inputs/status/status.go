package status

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

// Source is one source that is read, or that cannot be.
type Source struct {
	Name     string `json:"name"`            // its path
	ID       string `json:"id,omitempty"`    // as in positions; empty for what is no source yet
	Position int64  `json:"position"`        // everything before it is acknowledged
	Lag      int64  `json:"lag"`             // units behind the position that are there already
	Error    string `json:"error,omitempty"` // why it cannot be read at present
}

// Summary is what inputs of one kind tell together.
type Summary struct {
	Kind    string   `json:"kind"`    // the inputs' type
	Unit    string   `json:"unit"`    // of positions and lag: bytes, entries
	Inputs  int      `json:"inputs"`  // running
	Open    int      `json:"open"`    // sources that are open
	Known   int      `json:"known"`   // sources that are followed, open or not
	Waiting int      `json:"waiting"` // sources that wait to be opened
	Lag     int64    `json:"lag"`     // of all sources
	Errors  int      `json:"errors"`  // sources that cannot be read at present
	Lost    int64    `json:"lost"`    // ranges reported as lost since the start
	Sources []Source `json:"sources,omitempty"`
}

// MaxSources is how many sources a summary names: those with an error first, then those that lag most.
const MaxSources = 20

// Add counts a source. Only the worst are kept by name.
func (s *Summary) Add(src Source) {
	s.Lag += src.Lag
	if src.Error != "" {
		s.Errors++
	}
	s.Sources = append(s.Sources, src)
	if len(s.Sources) >= 4*MaxSources {
		s.Trim()
	}
}

// Trim keeps the worst sources by name, in order.
func (s *Summary) Trim() {
	slices.SortFunc(s.Sources, func(a, b Source) int {
		if (a.Error != "") != (b.Error != "") {
			if a.Error != "" {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.Lag, a.Lag), strings.Compare(a.Name, b.Name))
	})
	s.Sources = slices.Clip(s.Sources[:min(len(s.Sources), MaxSources)])
}

// Board has the running inputs. Its zero value is ready; a nil Board takes no notice.
type Board struct {
	mu     sync.Mutex
	next   int
	inputs map[int]func() Summary
}

// Add puts an input on the board until remove is called.
func (b *Board) Add(f func() Summary) (remove func()) {
	if b == nil {
		return func() {}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.inputs == nil {
		b.inputs = map[int]func() Summary{}
	}
	id := b.next
	b.next++
	b.inputs[id] = f
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.inputs, id)
	}
}

// Summaries asks all inputs, and adds up those of one kind. The kinds are in alphabetical order.
func (b *Board) Summaries() []Summary {
	b.mu.Lock()
	var all []func() Summary
	for _, f := range b.inputs {
		all = append(all, f)
	}
	b.mu.Unlock()
	byKind := map[string]*Summary{}
	for _, f := range all {
		one := f()
		sum := byKind[one.Kind]
		if sum == nil {
			sum = &Summary{Kind: one.Kind, Unit: one.Unit}
			byKind[one.Kind] = sum
		}
		sum.Inputs++
		sum.Open += one.Open
		sum.Known += one.Known
		sum.Waiting += one.Waiting
		sum.Lag += one.Lag
		sum.Errors += one.Errors
		sum.Lost += one.Lost
		sum.Sources = append(sum.Sources, one.Sources...)
	}
	out := make([]Summary, 0, len(byKind))
	for _, s := range byKind {
		s.Trim()
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b Summary) int { return strings.Compare(a.Kind, b.Kind) })
	return out
}
