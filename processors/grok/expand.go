package grok

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/elastic/go-grok/patterns"

	"github.com/tallylog/tally/strictyaml"
)

// library is every pattern of go-grok, as its NewComplete has them.
var library = sync.OnceValue(func() map[string]string {
	all := map[string]string{}
	for _, set := range []map[string]string{
		patterns.Default, patterns.AWS, patterns.Bind9, patterns.Bro, patterns.Exim, patterns.HAProxy, patterns.Httpd, patterns.Firewalls, patterns.Java,
		patterns.Junos, patterns.Maven, patterns.MCollective, patterns.MongoDB, patterns.PostgreSQL, patterns.Rails, patterns.Redis, patterns.Ruby,
		patterns.Squid, patterns.Syslog,
	} {
		maps.Copy(all, set)
	}
	return all
})

// reference is %{NAME}, %{NAME:field} or %{NAME:field:type}.
var reference = regexp.MustCompile(`%{(\w+(?::[\w+.]+(?::\w+)?)?)}`)

// dot stands for the dots of a field name in the name of a group, which may have none.
const dot = "___"

// maxExpanded bounds the expanded pattern: references in references can double its length at each step.
const maxExpanded = 1 << 20

// expand replaces all references. types are the types wanted, by group name. Only named references become groups with names.
func expand(pattern string, own map[string]string) (expr string, types map[string]string, err error) {
	x := expansion{own: own, types: map[string]string{}}
	if err := x.add(pattern); err != nil {
		return "", nil, err
	}
	return x.out.String(), x.types, nil
}

// expansion is the work on one pattern.
type expansion struct {
	own, types map[string]string
	out        strings.Builder
	open       []string // the names of the definitions that are being written, outermost first
}

// add writes a pattern, and the definitions that it refers to in the place of the references.
func (x *expansion) add(pattern string) error {
	for {
		at := reference.FindStringSubmatchIndex(pattern)
		if at == nil {
			break
		}
		if err := x.write(pattern[:at[0]]); err != nil {
			return err
		}
		if err := x.refer(strings.Split(pattern[at[2]:at[3]], ":")); err != nil {
			return err
		}
		pattern = pattern[at[1]:]
	}
	return x.write(pattern)
}

func (x *expansion) write(s string) error {
	if x.out.Len()+len(s) > maxExpanded {
		if len(x.open) > 0 {
			return fmt.Errorf("the pattern %s is too long when expanded: more than %d bytes", x.open[0], maxExpanded)
		}
		return fmt.Errorf("the pattern is too long when expanded: more than %d bytes", maxExpanded)
	}
	x.out.WriteString(s)
	return nil
}

// refer writes the definition of NAME, NAME:field or NAME:field:type.
func (x *expansion) refer(part []string) error {
	name := part[0]
	def, ok := x.own[name]
	if !ok {
		def, ok = library()[name]
	}
	if !ok {
		names := slices.Collect(maps.Keys(x.own))
		_, near, found := strings.Cut(strictyaml.Known(name, append(names, slices.Sorted(maps.Keys(library()))...)), "; did")
		if found {
			near = "; did" + near
		}
		return fmt.Errorf("the pattern %s is not known%s", name, near)
	}
	if slices.Contains(x.open, name) {
		return fmt.Errorf("the pattern %s contains itself: %s", name, strings.Join(append(x.open, name), " > "))
	}
	group := "("
	if len(part) > 1 {
		field := strings.ReplaceAll(part[1], ".", dot)
		group = "(?P<" + field + ">"
		if len(part) == 3 {
			if !slices.Contains(typeNames, part[2]) {
				return fmt.Errorf("the type %s is not known; %s", part[2], strictyaml.Known(part[2], typeNames))
			}
			x.types[field] = part[2]
		}
	}
	x.open = append(x.open, name)
	if err := x.write(group); err != nil {
		return err
	}
	if err := x.add(def); err != nil {
		return err
	}
	x.open = x.open[:len(x.open)-1]
	return x.write(")")
}
