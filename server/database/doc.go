// Package database opens the SQLite files of the data directory: accounts, clusters and dead letters.
//
// In come a path and the steps of a schema; out comes a database/sql handle. What must hold: the file is readable by its owner alone;
// what was committed is on disk; no other process has the file open, so what a room keeps of it in memory stays true; a file of
// a newer program is refused and left as it is.
package database
