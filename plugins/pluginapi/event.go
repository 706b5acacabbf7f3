package pluginapi

import (
	"strconv"
	"strings"
	"time"
)

// Timestamp is the name under which the time of an event is declared in Reads and Writes.
const Timestamp = "@timestamp"

// Kind is the JSON type of a value.
type Kind uint8

// The kinds; the numbers are on the wire.
const (
	String Kind = iota
	Number      // the text is a JSON number
	Bool        // the text is "true" or "false"
	JSON        // the text is a JSON array or an empty object
)

// Field is one leaf of an event: a dotted name, and the text of its value.
type Field struct {
	Name string
	Text string
	Kind Kind

	set bool // by the plugin
}

// Event is one log line, or what of it was declared in Reads. Where it stands in its source stays with Tally.
type Event struct {
	fields  []Field
	time    int64 // nanoseconds since 1970; 0 for none
	setTime bool
	removed []string
	tags    []string
	parts   []*Event // what it was split into, itself first
	dropped bool
	failed  string
}

// Fields are the fields, in their order; not to be changed.
func (e *Event) Fields() []Field { return e.fields }

// Get gives the text of a field.
func (e *Event) Get(name string) (string, bool) {
	if i := e.index(name); i >= 0 {
		return e.fields[i].Text, true
	}
	return "", false
}

func (e *Event) index(name string) int {
	for i := range e.fields {
		if e.fields[i].Name == name {
			return i
		}
	}
	return -1
}

// Set sets a field to a text.
func (e *Event) Set(name, text string) { e.SetField(Field{Name: name, Text: text}) }

// SetInt sets a field to a whole number.
func (e *Event) SetInt(name string, n int64) {
	e.SetField(Field{Name: name, Text: strconv.FormatInt(n, 10), Kind: Number})
}

// SetBool sets a field to true or false.
func (e *Event) SetBool(name string, b bool) {
	e.SetField(Field{Name: name, Text: strconv.FormatBool(b), Kind: Bool})
}

// SetField sets a field of any kind; the text must be what the kind says. It takes the place of an object of the same name.
func (e *Event) SetField(f Field) {
	f.set = true
	if i := e.index(f.Name); i >= 0 {
		e.fields[i] = f
		return
	}
	e.cut(f.Name) // Tally does the same
	e.fields = append(e.fields, f)
}

// Delete removes a field, or all below an object of that name; those that have not travelled too.
func (e *Event) Delete(name string) {
	e.removed = append(e.removed, name)
	e.cut(name)
}

func (e *Event) cut(name string) {
	kept := e.fields[:0]
	for _, f := range e.fields {
		if strings.HasPrefix(f.Name, name) && (len(f.Name) == len(name) || f.Name[len(name)] == '.') {
			continue
		}
		kept = append(kept, f)
	}
	e.fields = kept
}

// Time is the time of the event; the zero time where it has none, or where @timestamp is not in Reads.
func (e *Event) Time() time.Time {
	if e.time == 0 {
		return time.Time{}
	}
	return time.Unix(0, e.time).UTC()
}

// SetTime sets the time of the event.
func (e *Event) SetTime(t time.Time) { e.time, e.setTime = t.UnixNano(), true }

// Tag adds to the tags of the event. It needs no permission.
func (e *Event) Tag(tag string) { e.tags = append(e.tags, tag) }

// Drop takes the event away. Tally notes that it was dropped, so the account of its source has no hole.
func (e *Event) Drop() { e.dropped = true }

// Fail leaves the event as it was, tagged and with the reason in error.message.
func (e *Event) Fail(reason string) {
	if reason == "" {
		reason = "the plugin gave no reason"
	}
	e.failed = reason
}

// Split makes n events out of this one, each a copy of what it is now; they come in its place, in their order. The first is e itself.
// Splitting a part again, and n < 2, gives the event alone.
func (e *Event) Split(n int) []*Event {
	if n < 2 || e.parts != nil {
		return []*Event{e}
	}
	e.parts = make([]*Event, n)
	e.parts[0] = e
	for i := 1; i < n; i++ {
		c := *e
		c.fields = append([]Field(nil), e.fields...)
		c.removed = append([]string(nil), e.removed...)
		c.tags = append([]string(nil), e.tags...)
		c.parts = []*Event{} // not to be split again
		e.parts[i] = &c
	}
	return e.parts
}
