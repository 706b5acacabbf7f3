package proto

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/valyala/fastjson"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/plugins/pluginapi"
	"github.com/tallylog/tally/processors/processor"
)

// Bounds on an answer.
const (
	MaxParts = 1000   // of one event
	MaxMade  = 10_000 // events that an answer makes beside those that came in
	maxText  = 1000   // bytes of a tag or of a reason
	maxTags  = 100
)

// Result is what became of one event.
type Result struct {
	What    byte     // pluginapi.Kept, Dropped, Changed, SplitUp or Failed
	Changes []Change // one of a change, one for each part of a split
	Reason  string   // of a failure
}

// Change is what is done to an event, in this order.
type Change struct {
	Time    int64
	HasTime bool
	Removed []string
	Set     []event.Field
	Tags    []string
}

// ErrAnswer means an answer that breaks the protocol.
var ErrAnswer = errors.New("the answer is not what the protocol allows")

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrAnswer, fmt.Sprintf(format, args...))
}

// DecodeAnswer reads the answer to a batch of n events. The texts share memory with b, which must not be changed afterwards. Every
// error wraps ErrAnswer.
func DecodeAnswer(b []byte, n int, writes *Fields) ([]Result, error) {
	d := decoder{s: unsafe.String(unsafe.SliceData(b), len(b)), writes: writes}
	if v := d.byte(); v != pluginapi.WireVersion {
		return nil, broken("it has version %d", v)
	}
	d.readNames()
	if got := d.uint(); d.err == nil && got != uint64(n) {
		return nil, broken("it is for %d events, %d were sent", got, n)
	}
	if d.err == nil && n > len(d.s) {
		return nil, broken("it ends too early")
	}
	if d.err != nil {
		return nil, d.err
	}
	results := make([]Result, n)
	for i := range results {
		d.result(&results[i])
		if d.err != nil {
			return nil, d.err
		}
	}
	if d.s != "" {
		return nil, broken("%d bytes stand behind its end", len(d.s))
	}
	return results, nil
}

// decoder reads from s until something does not fit; then it gives zeros.
type decoder struct {
	s      string
	names  []string
	writes *Fields
	made   int
	// changes, and set, are cut into pieces for the results.
	changes []Change
	set     []event.Field
	err     error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = broken(format, args...)
	}
	d.s = ""
}

func (d *decoder) byte() byte {
	if d.s == "" {
		d.fail("it ends too early")
		return 0
	}
	c := d.s[0]
	d.s = d.s[1:]
	return c
}

func (d *decoder) uint() (x uint64) {
	for shift := 0; shift < 64 && d.s != ""; shift += 7 {
		c := d.s[0]
		d.s = d.s[1:]
		x |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return x
		}
	}
	d.fail("a number in it has no end")
	return 0
}

// count reads the number of items of at least size bytes each.
func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.s)/size) {
		d.fail("it names %d items and has no room for them", n)
		return 0
	}
	return int(n)
}

func (d *decoder) text() string {
	n := d.uint()
	if n > uint64(len(d.s)) {
		d.fail("a text in it is longer than the rest")
		return ""
	}
	t := d.s[:n]
	d.s = d.s[n:]
	return t
}

// readNames reads the names that the answer uses. Each must be one that the plugin may write.
func (d *decoder) readNames() {
	d.names = make([]string, d.count(1))
	for i := range d.names {
		n := d.text()
		switch {
		case d.err != nil:
			return
		case processor.Reserved(n) || len(n) > event.MaxName || !utf8.ValidString(n) || n == event.Timestamp || strings.HasPrefix(n, "@metadata"):
			d.fail("%.140q cannot be set or deleted", n)
		case !d.writes.Has(n):
			d.fail("the field %q is not among those that the plugin declares to write", n)
		}
		d.names[i] = n
	}
}

func (d *decoder) name() string {
	i := d.uint()
	if i >= uint64(len(d.names)) {
		d.fail("there is no name %d", i)
		return ""
	}
	return d.names[i]
}

func (d *decoder) result(r *Result) {
	switch r.What = d.byte(); r.What {
	case pluginapi.Kept, pluginapi.Dropped:
	case pluginapi.Changed:
		r.Changes = d.room(1)
		d.change(&r.Changes[0])
	case pluginapi.SplitUp:
		n := d.count(4)
		if d.made += n; n < 1 || n > MaxParts || d.made > MaxMade {
			d.fail("it splits an event into %d, or makes too many", n)
			return
		}
		r.Changes = d.room(n)
		for i := range r.Changes {
			d.change(&r.Changes[i])
		}
	case pluginapi.Failed:
		r.Reason = Short(d.text())
	default:
		d.fail("%d is no result", r.What)
	}
}

// room gives n changes out of a larger piece.
func (d *decoder) room(n int) []Change {
	if len(d.changes) < n {
		d.changes = make([]Change, max(n, 64))
	}
	c := d.changes[:n:n]
	d.changes = d.changes[n:]
	return c
}

func (d *decoder) change(c *Change) {
	switch flags := d.byte(); {
	case flags == pluginapi.HasTime:
		u := d.uint()
		c.HasTime, c.Time = true, int64(u>>1)^-int64(u&1)
		if !d.writes.time {
			d.fail("the plugin does not declare that it writes %s", event.Timestamp)
		}
	case flags != 0:
		d.fail("unknown flags %d", flags)
	}
	if n := d.count(1); n > 0 {
		c.Removed = make([]string, n)
		for i := range c.Removed {
			c.Removed[i] = d.name()
		}
	}
	if n := d.count(3); n > 0 {
		if n > event.MaxFields {
			d.fail("it sets %d fields of one event", n)
			return
		}
		if len(d.set) < n {
			d.set = make([]event.Field, max(n, 256))
		}
		c.Set, d.set = d.set[:n:n], d.set[n:]
		for i := range c.Set {
			c.Set[i] = d.field()
		}
	}
	if n := d.count(1); n > 0 {
		if n > maxTags {
			d.fail("it gives an event %d tags", n)
			return
		}
		c.Tags = make([]string, n)
		for i := range c.Tags {
			c.Tags[i] = Short(d.text())
		}
	}
}

func (d *decoder) field() event.Field {
	f := event.Field{Name: d.name(), Kind: event.Kind(d.byte()), Value: d.text()}
	ok := true
	switch f.Kind {
	case event.String:
		if !utf8.ValidString(f.Value) {
			f.Value = strings.ToValidUTF8(f.Value, "\uFFFD")
		}
	case event.Bool:
		ok = f.Value == "true" || f.Value == "false"
	case event.Number, event.JSON:
		ok = validJSON(f.Kind, f.Value)
	default:
		ok = false
	}
	if !ok {
		d.fail("%.40q, for the field %q, is not of kind %d", f.Value, f.Name, f.Kind)
	}
	return f
}

var parsers fastjson.ParserPool

// validJSON parses arrays, as fastjson's Validate has no bound on the nesting.
func validJSON(k event.Kind, s string) bool {
	if !utf8.ValidString(s) || len(s) > event.MaxEvent {
		return false
	}
	if k == event.Number { // fastjson takes nan and - for numbers
		return len(s) > 0 && len(s) < 400 && (s[0] == '-' || s[0] >= '0' && s[0] <= '9') && json.Valid([]byte(s))
	}
	p := parsers.Get()
	defer parsers.Put(p)
	v, err := p.Parse(s)
	if err != nil {
		return false
	}
	return v.Type() == fastjson.TypeArray || v.Type() == fastjson.TypeObject && v.GetObject().Len() == 0
}

// Short bounds a text that is shown to people.
func Short(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// Apply does the change to e.
func (c *Change) Apply(e *event.Event) {
	if c.HasTime {
		e.Time = c.Time
	}
	for _, n := range c.Removed {
		e.Delete(n)
	}
	for i := range c.Set {
		e.PutField(c.Set[i])
	}
	for _, t := range c.Tags {
		e.AddTag(t)
	}
}
