// Package transfer copies the events of one store into another.
//
// In come a store that nothing is appended to meanwhile, and an open store to copy into; out go the same events, with their ids, times,
// positions and clients, so that the account of sources fits the new store as it did the old one. What must hold:
//
//   - A copy that is cut off anywhere goes on from its progress file, and nothing is doubled: the batches are the same ones again, under
//     the same sequence numbers, and what the target had durably it leaves out.
//   - The progress file says no more than what the target has durably.
//   - At the end the events of each tenant and day are counted in both; a copy that lacks any is an error.
package transfer
