// Package processors is the room of what changes, drops or enriches an event: grok, dissect, redact and so on, one folder each. In
// come a list of processors in YAML and events; out go the events, changed, or the word that one is gone. The same code runs in
// the agent (behind an adapter in beat) and in the server (behind server/clean), so it imports neither.
//
// list.go names every processor: to add one is to add a folder with its code, test and README.md, and its line there. A Chain runs
// processors one after the other, with their conditions.
//
// What must hold: a processor that fails, or panics, leaves the text of the event as it was, and the event is tagged; nothing is
// dropped unless a processor says so, and what is dropped is told to the caller.
package processors
