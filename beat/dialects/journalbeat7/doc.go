// Package journalbeat7 translates Elastic's Journalbeat, 6.5 to 7.15: its section becomes inputs of type journald, whose events
// also carry the names that Journalbeat gave to fields, and its registry is taken over and kept up.
//
// In comes a section journalbeat with inputs; out comes a native section. What must hold: a key of the section, or of an
// input, that Journalbeat did not have is refused.
package journalbeat7
