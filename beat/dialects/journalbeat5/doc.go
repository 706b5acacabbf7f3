// Package journalbeat5 translates the section of Journalbeat 5, the beat of Marcus Heese (github.com/mheese/journalbeat) that Elastic's
// own replaced.
//
// In comes a section journalbeat with its keys; out comes an input of type journald, whose options entry_fields, cursor_file and filters
// make the events, the state and the choice of entries what they were. Elastic's Journalbeat has journalbeat.inputs, by which it is told
// from this one.
package journalbeat5
