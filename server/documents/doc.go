// Package documents states what several servers want from the place where they share what is small: named documents that are replaced only in a
// known version. Package storage/elasticsearch has them; access data (auth) and leases (siblings) use them. It imports nothing of ours.
package documents

import (
	"encoding/json"
	"errors"
)

// ErrChanged is returned where a document is not, or no longer, in the version that the caller knows.
var ErrChanged = errors.New("somebody else has changed the document")

// Version names one state of a document. The zero value means: there is none.
type Version struct {
	Seq     int64 `json:"seq"`
	Primary int64 `json:"primary"` // term, above 0 for every document
}

// Document is a document as it is at present.
type Document struct {
	ID      string
	Body    json.RawMessage
	Version Version
}
