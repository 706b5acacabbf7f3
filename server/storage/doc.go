// Package storage states what the server wants from a store of events. Backends live in folders of their own; the feeder
// in server/admit is the only writer, the handlers in server/api are the readers.
package storage
