// Package admit decides what is stored, and accounts for it. Batches come in from intake, cleaned; they go out into the
// buffer (and from there, by the feeder in this package, into the store) and, once durable, to live tails.
//
// What must hold:
//
//   - Identity may be doubted, a line may not be lost. A range that is not yet in the account is stored. A range that is there
//     makes its event a candidate: it is refused only if its id is really in the store; otherwise it is stored and counted
//     as a conflict.
//   - Admit returns without error only when every event of the batch is durable: the new ones in a synced record, the refused
//     ones in a record synced before.
//   - While a record is being written its ranges are claimed: another batch that touches them waits for the outcome. A failed
//     write withdraws the claim.
//   - Only synced records are fed to the store, in order. A checkpoint writes the account exactly as of the last record fed,
//     after the store made it durable; segments are dropped only behind the checkpoint before that one.
//
// The account has two views of every source: now (what was acknowledged) and fed (what a checkpoint may claim).
package admit
