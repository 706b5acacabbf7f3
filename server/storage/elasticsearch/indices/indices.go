package indices

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tallylog/tally/event"
)

// Default is the template of index names without a configuration.
const Default = "tally-%{[host.name]}-%{+yyyy.MM.dd}"

// begin is how every index name begins.
const begin = "tally-"

// Names makes names of indices from a template.
type Names struct {
	prefix string // the text before the first variable
	parts  []namePart
}

type namePart struct {
	text   string // as it is
	field  string // or the value of a field
	other  string // which is this where the event has none
	layout string // or the time
}

// unknown stands for the value of a field that an event does not have.
const unknown = "unknown"

// maxIndexName is the longest name that Elasticsearch takes, in bytes.
const maxIndexName = 255

// Parse reads a template: text, %{[field]} or %{[field]:default} for the value of a field, and %{+yyyy.MM.dd} for the UTC time of the
// event, of yyyy, MM, dd and HH.
func Parse(template string) (n Names, err error) {
	bad := func(format string, args ...any) (Names, error) {
		return Names{}, fmt.Errorf("cannot use %q as index: %s", template, fmt.Sprintf(format, args...))
	}
	if !strings.HasPrefix(template, begin) {
		return bad("it does not begin with %q", begin)
	}
	rest := template
	for rest != "" {
		text, after, found := strings.Cut(rest, "%{")
		if text != clean(text) {
			return bad("%q has characters that names of indices cannot have: lower case letters, digits, . _ - can stand there", text)
		}
		n.parts = append(n.parts, namePart{text: text})
		if !found {
			break
		}
		inner, behind, closed := strings.Cut(after, "}")
		if !closed {
			return bad("a %%{ is never closed")
		}
		part, err := parsePart(inner)
		if err != nil {
			return bad("%v", err)
		}
		n.parts = append(n.parts, part)
		rest = behind
	}
	n.prefix = n.parts[0].text
	return n, nil
}

func parsePart(inner string) (namePart, error) {
	if layout, ok := strings.CutPrefix(inner, "+"); ok {
		layout = strings.NewReplacer("yyyy", "2006", "MM", "01", "dd", "02", "HH", "15").Replace(layout)
		if layout == "" || strings.Trim(layout, "0123456789._-") != "" {
			return namePart{}, fmt.Errorf("%%{%s} is no time of yyyy, MM, dd, HH with . _ - between them", inner)
		}
		return namePart{layout: layout}, nil
	}
	name, other, ok := strings.Cut(inner, "]:")
	if !ok {
		name, ok = strings.CutSuffix(inner, "]")
	}
	name, opens := strings.CutPrefix(name, "[")
	if !ok || !opens || name == "" || strings.ContainsAny(name, "[]") {
		return namePart{}, fmt.Errorf("%%{%s} is neither a field like %%{[host.name]} nor a time like %%{+yyyy.MM.dd}", inner)
	}
	if other = clean(other); other == "" {
		other = unknown
	}
	return namePart{field: name, other: other}, nil
}

// Of returns the name of the index for an event. Tenants but the first, and classes of retention but the first (which is empty), have
// names of their own: no value of a field can have a ~.
func (n *Names) Of(tenant uint32, class string, e *event.Event) string {
	b := make([]byte, 0, 64)
	for i, p := range n.parts {
		switch {
		case p.layout != "":
			b = time.Unix(0, e.Time).UTC().AppendFormat(b, p.layout)
		case p.field != "":
			v, _ := e.Get(p.field)
			if v = clean(v); v == "" {
				v = p.other
			}
			b = append(b, v...)
		default:
			b = append(b, p.text...)
		}
		if i == 0 && tenant != 0 {
			b = append(strconv.AppendUint(append(b, '~'), uint64(tenant), 10), '-')
		}
		if i == 0 && class != "" {
			b = append(append(append(b, '~'), class...), "~-"...)
		}
	}
	if len(b) > maxIndexName {
		sum := sha256.Sum256(b)
		keep := maxIndexName - 17
		for !utf8.RuneStart(b[keep]) {
			keep--
		}
		b = append(append(b[:keep], '-'), hex.EncodeToString(sum[:8])...)
	}
	return string(b)
}

// clean makes a text fit to stand in the name of an index.
func clean(s string) string {
	ok := func(r rune) bool {
		return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '.' || r == '_' || r == '-'
	}
	if strings.IndexFunc(s, func(r rune) bool { return !ok(r) }) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case ok(r):
			return r
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, s)
}

// Alias is the name under which all indices of a template are searched. No index can have it.
func (n *Names) Alias() string { return strings.TrimRight(n.prefix, "-._") + "~events" }

// Pattern matches all names.
func (n *Names) Pattern() string { return n.prefix + "*" }

// Until is the last UTC day that the name of the index for an event of that time stands for, as yyyy-mm-dd; empty where the template has no
// year, so that a name is used without end, or again.
func (n *Names) Until(at int64) string {
	layouts := ""
	for _, p := range n.parts {
		layouts += p.layout
	}
	t := time.Unix(0, at).UTC()
	month, day := strings.Contains(layouts, "01"), strings.Contains(layouts, "02")
	switch {
	case !strings.Contains(layouts, "2006"):
		return ""
	case !month:
		t = time.Date(t.Year(), 12, 31, 0, 0, 0, 0, time.UTC)
	case !day:
		t = time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, time.UTC)
	}
	return t.Format(time.DateOnly)
}

// Dated tells whether names stand for days, months or years, so that their indices can be deleted one day.
func (n *Names) Dated() bool { return n.Until(0) != "" }

var tenantPart = regexp.MustCompile(`^[^~]*~([0-9]+)-(~|[^~]*$)`)

// Tenant is the number of the tenant in a name that Of made; 0 for the first.
func Tenant(name string) uint32 {
	m := tenantPart.FindStringSubmatch(name)
	if m == nil {
		return 0
	}
	n, _ := strconv.ParseUint(m[1], 10, 32)
	return uint32(n)
}

var classPart = regexp.MustCompile(`~([a-z0-9-]+)~-`)

// Class is the class of retention in a name that Of made; empty for the first.
func Class(name string) string {
	if m := classPart.FindStringSubmatch(name); m != nil {
		return m[1]
	}
	return ""
}
