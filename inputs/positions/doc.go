// Package positions is the agent's durable registry: what each input has to remember over a restart, as JSON values under
// string keys. All inputs of one agent share one Store.
//
// In come values (Set, Delete); out come the newest ones (Get, Range), from memory. A value is on disk within about a
// second, or when Sync returns. The file is a bbolt database with two buckets: "values" holds the JSON texts, "check" the
// number and a combined hash of all of them, so that damage that bbolt itself does not notice is found at Open.
//
// What must hold: a registry that cannot be read is never taken for an empty one; a disk that is full or failing costs
// durability until it recovers, never a value and never the process.
package positions
