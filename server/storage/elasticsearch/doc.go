// Package elasticsearch is the store in a cluster of Elasticsearch, 7.14 or newer. Batches come in from the feeder as bulk requests of
// documents in a fixed layout (FORMAT.md); answers go out as from the embedded store, to the letter.
//
// What must hold:
//
//   - A document has the event's id and is only ever created: one that is there already stays, so appending again doubles nothing.
//     The index follows from the event alone, so a replay finds the same one.
//   - Append returns when every event of the batch is acknowledged by Elasticsearch, or named as one it can never take. Whatever else
//     goes wrong (no connection, no credentials, a full disk, a read-only index, too much load) is waited out, and said in Usage.
//   - No field of an event is a field of the mapping: values are terms "name=value", so no two events can disagree about a type, and
//     no client can make the mapping grow.
//   - Every search names its tenant, and each tenant has indices of its own.
//   - What the index cannot decide is read and asked of the same matcher that live tails use: an answer is right or an error.
package elasticsearch
