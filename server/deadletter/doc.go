// Package deadletter keeps the events that could not be stored: rejected by a pipeline whose on_failure says so, or by the store.
//
// In come letters, each an event with the reason why it was rejected; they lie in a database in the data directory until somebody
// replays or drops them, over the API under /api/v1/deadletters. A replay sends the event through the pipelines and admission again,
// under the client and the position that it came with.
//
// What must hold:
//
//   - Put returns without error only when every letter is durable. Nobody acknowledges a rejected event before.
//   - The letter of an event has an id that follows from the event, where that has a position or an identity: one that is rejected
//     again, because its client sent it again or because a replay failed, is the same letter, and none is doubled.
//   - A letter is removed only after admission has made its event durable and the store has taken it, or when somebody drops it, or
//     when the bound of its tenant is reached: then the oldest go, and are counted. A replay that is cut off may be repeated: the
//     event is stored once.
//   - In the account a rejected range is a gap of the reason "rejected" until a replay stores it (package admit sees to that).
package deadletter
