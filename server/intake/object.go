package intake

import (
	"strconv"

	"github.com/tallylog/tally/event"
)

// Object builds the text of one JSON object for event.Decoder, so that events of every protocol have the same bounds. Of members
// with the same name the last counts.
type Object struct{ b []byte }

// Reset begins a new object with the members that Members gave.
func (o *Object) Reset(members []byte) { o.b = append(append(o.b[:0], '{'), members...) }

// Members are the members so far, for Reset; good until the next call.
func (o *Object) Members() []byte { return o.b[1:] }

// Text adds a member that is a text.
func (o *Object) Text(name, value string) {
	o.b = event.AppendQuoted(o.member(name), value)
}

// Int adds a member that is a number.
func (o *Object) Int(name string, value int64) {
	o.b = strconv.AppendInt(o.member(name), value, 10)
}

// JSON adds a member that value appends the JSON of. After an error the object is without it.
func (o *Object) JSON(name string, value func([]byte) ([]byte, error)) error {
	at := len(o.b)
	b, err := value(o.member(name))
	if err != nil {
		o.b = o.b[:at]
		return err
	}
	o.b = b
	return nil
}

func (o *Object) member(name string) []byte {
	if len(o.b) > 1 {
		o.b = append(o.b, ',')
	}
	return append(event.AppendQuoted(o.b, name), ':')
}

// Len is the length of the text so far.
func (o *Object) Len() int { return len(o.b) }

// Bytes ends the object and gives its text, good until the next Reset.
func (o *Object) Bytes() []byte {
	o.b = append(o.b, '}')
	return o.b
}

// FieldName is the field that a name given by a client stands for: its own, but for the few that mean something else in an event.
func FieldName(name string) string {
	switch name {
	case event.Timestamp, event.Message, "@metadata":
		return "labels." + name
	}
	return name
}
