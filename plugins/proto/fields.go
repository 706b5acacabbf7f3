package proto

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/processors/processor"
)

// Fields is what a plugin declares in reads or in writes.
type Fields struct {
	all   bool
	time  bool
	names map[string]bool
}

// NewFields reads a declaration: dotted names, each of which stands for the leaf or the whole object of that name, and "*" for everything.
// Names that are the server's own cannot be declared to be written.
func NewFields(list []string, writes bool) (*Fields, error) {
	f := &Fields{names: map[string]bool{}}
	for _, s := range list {
		switch {
		case s == "*":
			f.all, f.time = true, true
		case s == event.Timestamp:
			f.time = true
		case s == "" || !utf8.ValidString(s) || len(s) > event.MaxName || strings.Contains(s, "*") || strings.HasPrefix(s, "@metadata"):
			return nil, fmt.Errorf("%.140q is no name of a field, and not *", s)
		case writes && processor.Reserved(s):
			return nil, fmt.Errorf("the field %q belongs to the server: a plugin cannot write it", s)
		default:
			f.names[s] = true
		}
	}
	return f, nil
}

// Has tells whether a field, or an object around it, is declared.
func (f *Fields) Has(name string) bool {
	if f.all || f.names[name] {
		return true
	}
	for i := 0; i < len(name); i++ {
		if name[i] == '.' && f.names[name[:i]] {
			return true
		}
	}
	return false
}
