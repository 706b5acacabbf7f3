// Command bench measures this repository's two programs beside their peers, in one run on one machine, and prints one
// table; the same figures go to build/bench.json. The programs come from build/ (go tool mage bench builds them); a real
// Filebeat 7.17.29 is built there once from its module.
//
// The unit is what a second of CPU time brings, as that hardly depends on what else the machine does. All agents read the
// same file, or the same journal, and ship it with the same settings, and once each with the defaults, to the same sink, which acknowledges and looks at nothing; ours also to a file beside
// it, to see what the fan-out to two outputs costs. The server gets
// the same events as a bare logstorage does, over Lumberjack, and its CPU time is counted until it is idle again; then both are
// asked the same queries, the server over HTTP.
//
// Another measure is of an agent that follows 10,000 files of which 100 are written to: its memory, its share of a core, and how long a
// line takes to arrive.
package main
