// Package retention says how long events are kept: which class of retention an event belongs to, and which partitions of a store are to
// be removed, and when.
//
// In come the rules of the configuration, events, and lists of partitions; out go names of classes and a plan. What must hold:
//
//   - The class of an event follows from the rules, the name of its tenant and its fields alone.
//   - Nothing is removed that a plan made before would not have named, if it was made with the same partitions and rules.
//   - The partition of the current day, and of days to come, is never removed.
package retention
