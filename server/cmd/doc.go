// Package cmd is the tally command line: the server, and clients of its HTTP API. On a terminal it prints for people, into a
// pipe NDJSON for programs.
//
// Exit codes: 0 done, 1 it failed, 2 wrong usage or configuration, 3 credentials missing or refused, 4 the answer is partial.
package cmd
