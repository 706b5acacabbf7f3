// Package multiline joins the lines of one message, a stack trace for one, into one event. In come the events of a batch, out go
// fewer, each with the position of all its lines.
//
// What must hold: only lines of one source are joined, in their order, and only within a batch: joining across batches is
// the agent's work. No text is lost, and no range.
package multiline
