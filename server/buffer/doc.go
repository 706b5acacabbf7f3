// Package buffer is the write-ahead log of the server: what was accepted lies here, synced, from its acknowledgement until
// the store holds it.
//
// In come payloads (one batch each), out go sequence numbers, and after a restart the payloads again, in order. The log is
// a row of segment files; FORMAT.md beside this file describes them to the byte.
//
// What must hold:
//
//   - A record is acknowledged only after the file that holds it was synced. One sync serves all that wait.
//   - What was acknowledged is either given back by Replay byte for byte, or reported by Lost with its sequence number.
//   - Damage to one record never takes its neighbours with it.
//   - A sequence number that was acknowledged, or may have been, is never given to another record: the store uses it to
//     tell what it already has.
//   - What was never acknowledged is never reported as lost.
package buffer
