package journald

import (
	"bytes"
	"cmp"
	"fmt"
	"path"
	"strings"
)

// matcher decides which entries are shipped. Filtering is done here and not by sd_journal_add_match(3), because libsystemd
// knows no patterns and does not tell which numbers it has passed over, which the ledger needs.
type matcher interface {
	match(e *entry) bool
}

type (
	allOf []matcher
	anyOf []matcher
)

func (m allOf) match(e *entry) bool {
	for _, x := range m {
		if !x.match(e) {
			return false
		}
	}
	return true
}

func (m anyOf) match(e *entry) bool {
	for _, x := range m {
		if x.match(e) {
			return true
		}
	}
	return false
}

// fieldMatch is true where one of the field's values is one of the texts, or fits one of the patterns.
type fieldMatch struct {
	name     string
	values   map[string]struct{}
	patterns [][]string // the texts between the asterisks
	globs    []string   // glob(7), for names of units
}

func (m *fieldMatch) match(e *entry) bool {
	for i := range e.fields {
		f := &e.fields[i]
		if string(f.name) != m.name {
			continue
		}
		if _, ok := m.values[string(f.value)]; ok {
			return true
		}
		for _, p := range m.patterns {
			if fits(p, f.value) {
				return true
			}
		}
		for _, g := range m.globs {
			if ok, err := path.Match(g, string(f.value)); ok && err == nil {
				return true
			}
		}
	}
	return false
}

// fits tells whether v is made of the parts in order, with anything between two of them.
func fits(parts []string, v []byte) bool {
	first, last := parts[0], parts[len(parts)-1]
	if len(v) < len(first)+len(last) || string(v[:len(first)]) != first || string(v[len(v)-len(last):]) != last {
		return false
	}
	v = v[len(first) : len(v)-len(last)]
	for _, p := range parts[1 : len(parts)-1] {
		i := bytes.Index(v, []byte(p))
		if i < 0 {
			return false
		}
		v = v[i+len(p):]
	}
	return true
}

// unit adds the name of a unit, in which * and ? and [a-z] stand for others.
func (m *fieldMatch) unit(name string) {
	if strings.ContainsAny(name, "?[") {
		m.globs = append(m.globs, name)
		return
	}
	m.add(name)
}

func (m *fieldMatch) add(value string) {
	if strings.Contains(value, "*") {
		m.patterns = append(m.patterns, strings.Split(value, "*"))
		return
	}
	if m.values == nil {
		m.values = map[string]struct{}{}
	}
	m.values[value] = struct{}{}
}

func equal(name string, values ...string) *fieldMatch {
	m := &fieldMatch{name: name}
	for _, v := range values {
		m.add(v)
	}
	return m
}

// parseMatch takes "FIELD=value" apart. FIELD is a name of the journal or, as in Filebeat, of the event
// ("systemd.unit=nginx.service"); the value may hold asterisks, each of which stands for any text.
func parseMatch(s string) (name, value string, err error) {
	name, value, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return "", "", fmt.Errorf("cannot parse match %q: want FIELD=value", s)
	}
	if journal, ok := journalNames[name]; ok {
		name = journal
	}
	return name, value, nil
}

// newMatches makes what journalctl makes of its arguments: matches of one field are alternatives, those of different fields
// must all hold. An empty list matches everything: nil.
func newMatches(list []string) (matcher, error) {
	var all allOf
	by := map[string]*fieldMatch{}
	for _, s := range list {
		name, value, err := parseMatch(s)
		if err != nil {
			return nil, err
		}
		if by[name] == nil {
			by[name] = &fieldMatch{name: name}
			all = append(all, by[name])
		}
		by[name].add(value)
	}
	switch len(all) {
	case 0:
		return nil, nil
	case 1:
		return all[0], nil
	}
	return all, nil
}

// newAlternatives makes what Filebeat 7.17 and Journalbeat make of the list: every match is an alternative to all others.
func newAlternatives(list []string) (matcher, error) {
	var or anyOf
	for _, s := range list {
		m, err := newMatches([]string{s})
		if err != nil {
			return nil, err
		}
		or = append(or, m)
	}
	if len(or) == 0 {
		return nil, nil
	}
	return or, nil
}

// newUnits matches the entries of units as journalctl --unit does: those of their processes, and what systemd, the kernel's
// core dumps and other authorised services say about them; of a slice, those of all in it.
func newUnits(units []string) matcher {
	const coredump = "fc2e22bc6ee647b6b90729ab34a250b1"
	about := func(field string) *fieldMatch {
		m := &fieldMatch{name: field}
		for _, u := range units {
			if u = unitName(u); field != "_SYSTEMD_SLICE" || strings.HasSuffix(u, ".slice") {
				m.unit(u)
			}
		}
		return m
	}
	return anyOf{
		about("_SYSTEMD_UNIT"),
		about("_SYSTEMD_SLICE"),
		allOf{equal("MESSAGE_ID", coredump), equal("_UID", "0"), about("COREDUMP_UNIT")},
		allOf{equal("_PID", "1"), about("UNIT")},
		allOf{equal("_UID", "0"), about("OBJECT_SYSTEMD_UNIT")},
	}
}

// unitName completes a name as systemctl(1) does: a device or a mount is named by its path, and what has no suffix is a service.
func unitName(u string) string {
	if !strings.HasPrefix(u, "/") {
		if strings.ContainsAny(u, ".*?[") {
			return u
		}
		return u + ".service"
	}
	name := strings.NewReplacer("-", `\x2d`, "/", "-").Replace(strings.Trim(path.Clean(u), "/"))
	if strings.HasPrefix(u, "/dev/") || strings.HasPrefix(u, "/sys/") {
		return name + ".device"
	}
	return cmp.Or(name, "-") + ".mount"
}
