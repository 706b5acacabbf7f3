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

// maxExpanded bounds the expanded pattern, which references that contain each other would make endless.
const maxExpanded = 1 << 20

// expand replaces all references. types are the types wanted, by group name. Only named references become groups with names.
func expand(pattern string, own map[string]string) (expr string, types map[string]string, err error) {
	types = map[string]string{}
	for {
		refs := reference.FindAllStringSubmatch(pattern, -1)
		if len(refs) == 0 {
			return pattern, types, nil
		}
		seen := map[string]bool{}
		for _, ref := range refs {
			if seen[ref[0]] {
				continue // ReplaceAll has done them all
			}
			seen[ref[0]] = true
			part := strings.Split(ref[1], ":")
			def, ok := own[part[0]]
			if !ok {
				def, ok = library()[part[0]]
			}
			if !ok {
				names := slices.Collect(maps.Keys(own))
				_, near, found := strings.Cut(strictyaml.Known(part[0], append(names, slices.Sorted(maps.Keys(library()))...)), "; did")
				if found {
					near = "; did" + near
				}
				return "", nil, fmt.Errorf("the pattern %s is not known%s", part[0], near)
			}
			group := "("
			if len(part) > 1 {
				group = "(?P<" + strings.ReplaceAll(part[1], ".", dot) + ">"
			}
			if len(part) == 3 {
				if !slices.Contains(typeNames, part[2]) {
					return "", nil, fmt.Errorf("the type %s is not known; %s", part[2], strictyaml.Known(part[2], typeNames))
				}
				types[strings.ReplaceAll(part[1], ".", dot)] = part[2]
			}
			pattern = strings.ReplaceAll(pattern, ref[0], group+def+")")
			if len(pattern) > maxExpanded {
				return "", nil, fmt.Errorf("the pattern %s is too long when expanded, or contains itself", part[0])
			}
		}
	}
}
