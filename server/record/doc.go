// Package record is what one record of the buffer holds: a batch of events as it was admitted, with what the account needs
// to know beside them. In comes a Batch, out go bytes, and back. FORMAT.md gives the layout.
//
// What must hold: Decode(Encode(b)) is b; Decode of anything else is an error, never a panic, and never needs more memory
// than a small multiple of its input.
package record
