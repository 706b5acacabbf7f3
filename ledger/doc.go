// Package ledger holds the identity of a line and the account of what has arrived.
//
// A source is one append-only sequence: one incarnation of a file, one journal, one push client's stream. A position is a
// half-open range of it. An event id is a pure function of a position, so that the same line always has the same id. A Set
// is the account: which ranges are there, and therefore which are not.
//
// The package imports nothing else of this module; agent and server share it.
package ledger
