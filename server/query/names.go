package query

import (
	"strings"

	"github.com/tallylog/tally/event"
)

// ID is the name of the event id, in queries and in the embedded store.
const ID = "_id"

// names that the embedded store has for itself.
const (
	storedMessage = "_msg"
	storedTime    = "_time"
)

// StoreName returns the name under which the embedded store keeps a field. message is _msg and @timestamp is _time, as
// logstorage wants it; _id stays; every other name that begins with an underscore gets one more, so that _msg, _time,
// _stream, _stream_id and any hidden name of one underscore are never a user's. The name is at most one byte longer.
func StoreName(name string) string {
	switch {
	case name == event.Message:
		return storedMessage
	case name == event.Timestamp:
		return storedTime
	case name == "": // logstorage takes no name for the message
		return "_"
	case name[0] == '_' && name != ID:
		return "_" + name
	}
	return name
}

// FieldName is the inverse of StoreName. Hidden names come back as they are.
func FieldName(stored string) string {
	switch {
	case stored == storedMessage:
		return event.Message
	case stored == storedTime:
		return event.Timestamp
	case stored == "_":
		return ""
	case strings.HasPrefix(stored, "__"):
		return stored[1:]
	}
	return stored
}
