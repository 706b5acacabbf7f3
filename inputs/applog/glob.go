package applog

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// maxDepth is how many directories a ** stands for at most, as in Filebeat.
const maxDepth = 8

// pattern is an absolute glob, cut at the slashes. A segment ** stands for zero to maxDepth directories; at the end of the
// pattern it also stands for any file. Other segments are those of path/filepath.Match.
type pattern []string

func compile(abs string) (pattern, error) {
	p := pattern(strings.Split(strings.TrimPrefix(filepath.Clean(abs), "/"), "/"))
	stars := 0
	for _, s := range p {
		if s == "**" {
			stars++
		}
		if _, err := filepath.Match(s, ""); err != nil {
			return nil, fmt.Errorf("path %q: %w", abs, err)
		}
		if bare := strings.TrimRight(s, `\`); (len(s)-len(bare))%2 == 1 {
			return nil, fmt.Errorf("path %q has an escaped slash", abs)
		}
	}
	if stars > 1 {
		return nil, fmt.Errorf("path %q has more than one **", abs)
	}
	if p[len(p)-1] == "**" {
		p = append(p, "*")
	}
	return p, nil
}

// place says how far a directory's path has matched: the next segment of a pattern, and how many directories its ** has
// taken already.
type place struct {
	p     int // index of the pattern
	seg   int // the segment that the names in this directory are compared with
	depth int
}

// roots are the places of the directory "/".
func roots(ps []pattern) []place {
	var out []place
	for i := range ps {
		out = add(ps, out, place{i, 0, 0})
	}
	return out
}

// add puts a place into the set, and with a ** also what follows it, as that may stand for no directory at all.
func add(ps []pattern, set []place, pl place) []place {
	if !slices.Contains(set, pl) {
		set = append(set, pl)
	}
	if ps[pl.p][pl.seg] == "**" {
		set = add(ps, set, place{pl.p, pl.seg + 1, 0})
	}
	return set
}

// step compares a name in a directory: next are the places it has if it is a directory, file says whether it is wanted if
// it is a file.
func step(ps []pattern, at []place, name string) (next []place, file bool) {
	for _, pl := range at {
		seg := ps[pl.p][pl.seg]
		if seg == "**" {
			if pl.depth < maxDepth {
				next = add(ps, next, place{pl.p, pl.seg, pl.depth + 1})
			}
			continue
		}
		if ok, err := filepath.Match(seg, name); err != nil || !ok {
			continue
		}
		if pl.seg == len(ps[pl.p])-1 {
			file = true
		} else {
			next = add(ps, next, place{pl.p, pl.seg + 1, 0})
		}
	}
	return next, file
}

// matches says whether a file at an absolute path is listed by one of the patterns.
func matches(ps []pattern, path string) bool {
	at := roots(ps)
	segs := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, s := range segs {
		next, file := step(ps, at, s)
		if i == len(segs)-1 {
			return file
		}
		at = next
	}
	return false
}

// literal returns the names that a directory can have if all its places ask for names without wildcards: such a directory need
// not be listed.
func literal(ps []pattern, at []place) (names []string, ok bool) {
	for _, pl := range at {
		s := ps[pl.p][pl.seg]
		if strings.ContainsAny(s, `*?[\`) {
			return nil, false
		}
		if !slices.Contains(names, s) {
			names = append(names, s)
		}
	}
	return names, true
}

// hasFiles says whether files may be listed in a directory with these places.
func hasFiles(ps []pattern, at []place) bool {
	return slices.ContainsFunc(at, func(pl place) bool { return pl.seg == len(ps[pl.p])-1 })
}
