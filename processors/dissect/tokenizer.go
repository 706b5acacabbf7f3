package dissect

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// tokenizer is a parsed pattern such as "%{a} [%{b}] %{+a}". See
// https://www.elastic.co/guide/en/beats/filebeat/7.17/dissect.html for the syntax.
type tokenizer struct {
	keys  []key // in the order in which they apply
	order []int // order[i] is the place in keys of the i-th key of the pattern
	delim []string
}

type kind uint8

const (
	normal   kind = iota
	skipped       // %{} and %{?name}
	pointer       // %{*name}: the name of another field
	indirect      // %{&name}: its value
	appended      // %{+name}
)

type key struct {
	name    string
	kind    kind
	ordinal int
	length  int
	greedy  bool // %{name->}: repeated delimiters count as one
	typ     string
	join    string
	out     string // the name of the field
}

var (
	keyRE    = regexp.MustCompile(`(?s)(.*?)%\{([^}]*?)}`)
	suffixRE = regexp.MustCompile(`^(.+?)(?:/(\d{1,2}))?(?:#(\d{1,2}))?(->)?(?:\|([[:alpha:]]*))?$`)
)

var types = []string{"boolean", "double", "float", "integer", "ip", "long", "string"}

func parse(pattern string) (*tokenizer, error) {
	t := &tokenizer{}
	at := 0
	for _, m := range keyRE.FindAllStringSubmatchIndex(pattern, -1) {
		delim := pattern[m[2]:m[3]]
		k, err := parseKey(pattern[m[4]:m[5]], delim)
		if err != nil {
			return nil, fmt.Errorf("%%{%s}: %w", pattern[m[4]:m[5]], err)
		}
		t.keys, t.delim = append(t.keys, k), append(t.delim, delim)
		at = m[1]
	}
	if len(t.keys) == 0 {
		return nil, errors.New("there is no %{key} in it")
	}
	if at < len(pattern) {
		t.delim = append(t.delim, pattern[at:])
	}
	byOrdinal := make([]int, len(t.keys))
	for i := range byOrdinal {
		byOrdinal[i] = i
	}
	slices.SortStableFunc(byOrdinal, func(a, b int) int { return cmp.Compare(t.keys[a].ordinal, t.keys[b].ordinal) })
	t.order = make([]int, len(t.keys))
	sorted := make([]key, len(t.keys))
	for to, from := range byOrdinal {
		sorted[to], t.order[from] = t.keys[from], to
	}
	t.keys = sorted
	return t, t.check()
}

func parseKey(raw, delim string) (key, error) {
	k := key{kind: skipped}
	if raw == "" {
		return k, nil
	}
	m := suffixRE.FindStringSubmatch(raw)
	if m == nil {
		return k, errors.New("the key has no name")
	}
	k.name, k.typ, k.greedy, k.join = m[1], m[5], m[4] != "", delim
	k.ordinal, _ = strconv.Atoi(m[2])
	k.length, _ = strconv.Atoi(m[3])
	if strings.HasSuffix(raw, "|") {
		return k, errors.New("a type is wanted after |")
	}
	if k.typ != "" && !slices.Contains(types, k.typ) {
		return k, fmt.Errorf("the type %s is none of %s", k.typ, strings.Join(types, ", "))
	}
	if k.join == "" {
		k.join = " "
	}
	if strings.HasPrefix(k.name, "+&") || strings.HasPrefix(k.name, "&+") {
		return k, errors.New("+ and & do not go together")
	}
	k.kind = map[byte]kind{'?': skipped, '*': pointer, '+': appended, '&': indirect}[k.name[0]]
	if k.kind != normal || k.name[0] == '?' {
		k.name = k.name[1:]
	}
	if k.name == "" {
		return k, errors.New("the key has no name")
	}
	k.out = k.name
	return k, nil
}

// check finds values whose names are never found.
func (t *tokenizer) check() error {
	named := map[string]bool{}
	for _, k := range t.keys {
		if k.kind == pointer || k.kind == skipped {
			named[k.name] = true
		}
	}
	for _, k := range t.keys {
		if k.kind == indirect && !named[k.name] {
			return fmt.Errorf("%%{&%s} needs %%{*%s}", k.name, k.name)
		}
	}
	return nil
}

var errNoMatch = errors.New("the text does not fit the tokenizer")

// split finds the texts of the keys, in the order of keys.
func (t *tokenizer) split(s string, out []string) ([]string, error) {
	for range t.keys {
		out = append(out, "")
	}
	if s == "" || !strings.HasPrefix(s, t.delim[0]) {
		return nil, errNoMatch
	}
	at := len(t.delim[0])
	i := 0
	for ; i+1 < len(t.delim); i++ {
		k, next := &t.keys[t.order[i]], t.delim[i+1]
		end := at + k.length
		if k.length == 0 {
			n := strings.Index(s[at:], next)
			if n < 0 {
				return nil, errNoMatch
			}
			end = at + n
		}
		if end > len(s) {
			return nil, errNoMatch
		}
		out[t.order[i]] = s[at:end]
		at = end
		for k.greedy && next != "" && at+1 <= len(s) && strings.HasPrefix(s[at+1:], next) {
			at++
		}
		at = min(len(s), at+len(next))
	}
	if i < len(t.keys) {
		k := &t.keys[t.order[i]]
		if k.length > 0 && at+k.length != len(s) {
			return nil, errNoMatch
		}
		out[t.order[i]] = s[at:]
	}
	return out, nil
}

// pair is a field found; typ is the type wanted.
type pair struct{ name, text, typ string }

// resolve makes fields of the texts. Names that come out of the text get the prefix.
func (t *tokenizer) resolve(texts []string, prefix string, out []pair) []pair {
	set := func(name, text, typ string, join *string) {
		for i := range out {
			if out[i].name == name {
				if join != nil {
					text = out[i].text + *join + text
				}
				out[i].text, out[i].typ = text, typ
				return
			}
		}
		out = append(out, pair{name, text, typ})
	}
	for i := range t.keys {
		k := &t.keys[i]
		switch k.kind {
		case normal:
			set(k.out, texts[i], k.typ, nil)
		case appended:
			set(k.out, texts[i], k.typ, &k.join)
		case indirect:
			for j := range t.keys {
				if kk := t.keys[j].kind; t.keys[j].name == k.name && (kk == pointer || kk == skipped) && texts[j] != "" {
					set(prefix+texts[j], texts[i], k.typ, nil)
				}
			}
		}
	}
	return out
}
