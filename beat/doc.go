// Package beat is the agent: a libbeat beat named tallybeat. It has Filebeat's beater with all its inputs and modules, adds
// the inputs journald (which takes the place of Filebeat's) and applog, and lends these two one registry of positions,
// positions.db in path.data.
//
// In comes a configuration file in Filebeat's format, whose root is tallybeat instead of filebeat, or one written for Filebeat or
// Journalbeat, which the adapters in dialects translate first (translate.go); started under their names the agent goes by these.
// What goes out is what the outputs carry: ours, for logstash, file, tally and the fan-out to several, and libbeat's others. Nothing here
// touches an event.
//
// What must hold: the registry is open only while the beat runs, never for a command that merely looks at the
// configuration; a configuration that cannot work is refused before anything is read, with its file, line and key.
package beat
