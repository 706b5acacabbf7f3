// Package processing makes the processors of this module known to libbeat, so that a configuration's processors: lists of the agent
// may name them beside libbeat's own.
//
// In come libbeat's events, nested maps that may be shared between events; a processor of ours gets the flat event that it knows and
// what it changed goes back into copies of the maps. Where libbeat has a processor of the same name, libbeat's stays, since
// configurations of Beats are to mean what they meant; only include_fields is replaced by one that does the same in a third of the time
// and does not write the metadata twice.
//
// What must hold: an event that a processor failed on goes on with its text, tagged; a map of an event is never changed in place.
package processing
