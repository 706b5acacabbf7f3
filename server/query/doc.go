// Package query is the query language: Parse turns text into a syntax tree (Expr) that knows no backend, Format turns the
// tree back into text, LogsQL compiles it for the embedded store, and Compile for matching events in this process (live
// tails). docs/query.md describes the language to its users.
//
// What must hold: LogsQL, run over rows stored with StoreName and StoreValue, selects exactly the events that the Matcher
// selects; what a user writes never becomes a pipe, a stream filter, a subquery or another field of LogsQL; and parsing
// is bounded in text, depth and size, whatever comes in.
//
// Everything works on the text of values. A missing field and an empty value are the same thing, as they are to the
// embedded store. Times are nanoseconds since 1970 UTC.
package query
