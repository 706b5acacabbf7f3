// Package event holds the event that processors, storage and queries see: a flat list of fields with dotted names (ECS),
// a time, and where it came from. JSON goes in through Decoder and comes out through AppendJSON.
//
// It imports nothing of this module but ledger, for the position. Adapters to libbeat's events live in the agent.
package event
