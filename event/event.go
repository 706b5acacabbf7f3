package event

import (
	"strings"
	"time"

	"github.com/tallylog/tally/ledger"
)

// Names that every event has or may have.
const (
	Timestamp = "@timestamp"
	Message   = "message"
	Tags      = "tags"
)

// Kind is the JSON type a value came as. Storage and queries work on the text alone; backends with types use it.
type Kind uint8

const (
	String Kind = iota
	Number      // Value is the JSON number's own text
	Bool        // Value is "true" or "false"
	JSON        // Value is the JSON text of an array or of an empty object
)

// Field is one leaf of an event. Name is dotted and unique within the event.
type Field struct {
	Name  string
	Value string
	Kind  Kind
}

// Event is one log line. The strings of an event may share memory with those of its batch; they are never changed in place.
type Event struct {
	// ID is the event id (ledger.Position.ID or its siblings); empty until admission.
	ID string
	// Time is @timestamp in nanoseconds since 1970 UTC; 0 when the event brought none.
	Time int64
	// Position is where the event stands in its source; Source is empty when the client has no positions.
	Position ledger.Position
	// Identity is the client's own id of the event (@metadata._id), when it has no position.
	Identity string
	// Tenant is the name of another tenant that the event is to go to, which only the server's own pipelines may say.
	Tenant string
	// Control is set where the client told something of a source in place of a line. The intake of agents makes a note of it;
	// for all others it means nothing.
	Control *Control
	// Fields in order of arrival, without @timestamp and @metadata.
	Fields []Field
}

// HasPosition tells whether the event brought a position.
func (e *Event) HasPosition() bool { return e.Position.Source != "" }

// Get returns the value of a leaf.
func (e *Event) Get(name string) (string, bool) {
	if i := e.index(name); i >= 0 {
		return e.Fields[i].Value, true
	}
	return "", false
}

func (e *Event) index(name string) int {
	for i := range e.Fields {
		if e.Fields[i].Name == name {
			return i
		}
	}
	return -1
}

// Put sets a leaf to a text, replacing the leaf, or the object, of that name.
func (e *Event) Put(name, value string) { e.PutField(Field{Name: name, Value: value}) }

// PutField is Put for any kind.
func (e *Event) PutField(f Field) {
	if i := e.index(f.Name); i >= 0 {
		e.Fields[i] = f
		return
	}
	e.Delete(f.Name)
	e.Fields = append(e.Fields, f)
}

// Delete removes the leaf called name, or every leaf under the object of that name, and tells whether there was one.
func (e *Event) Delete(name string) bool {
	kept := e.Fields[:0]
	for _, f := range e.Fields {
		if f.Name == name || len(f.Name) > len(name) && f.Name[len(name)] == '.' && strings.HasPrefix(f.Name, name) {
			continue
		}
		kept = append(kept, f)
	}
	removed := len(kept) < len(e.Fields)
	clear(e.Fields[len(kept):])
	e.Fields = kept
	return removed
}

// AddTag appends to the JSON array in the field tags.
func (e *Event) AddTag(tag string) {
	quoted := string(AppendQuoted(nil, tag))
	old, ok := e.Get(Tags)
	switch {
	case !ok || old == "" || old == "[]":
		old = "[" + quoted + "]"
	case strings.HasSuffix(old, "]"):
		if strings.Contains(old, quoted) {
			return
		}
		old = old[:len(old)-1] + "," + quoted + "]"
	default:
		old = "[" + string(AppendQuoted(nil, old)) + "," + quoted + "]"
	}
	e.PutField(Field{Name: Tags, Value: old, Kind: JSON})
}

// FormatTime writes a time as every answer of the API has it: RFC 3339 in UTC with nine digits at most, three at least.
func FormatTime(ns int64) string { return string(AppendTime(nil, ns)) }

// AppendTime is FormatTime into b.
func AppendTime(b []byte, ns int64) []byte {
	t := time.Unix(0, ns).UTC()
	b = t.AppendFormat(b, "2006-01-02T15:04:05.000000000")
	keep := len(b)
	for range 6 { // down to milliseconds
		if b[keep-1] != '0' {
			break
		}
		keep--
	}
	return append(b[:keep], 'Z')
}
