// Package memqueue is queue.mem: libbeat's queue in memory between inputs and outputs, at a fraction of its cost, with the same
// options and one other default (flush.timeout 100ms instead of 1s, so that a single line is on its way at once).
//
// Events come in from producers, one for each input's client; batches go out to the one consumer that takes them for all workers of
// the output. An event that stands for several lines (outputs/bundle) counts as so many.
//
// Lines that come one by one from one file (bundle.Part) are joined to such an event for as long as it is in the queue and the last of its
// producer. Each counts, and is acknowledged, as one event of its own.
//
// What must hold: the queue never has more than its bound, but for one event that alone is larger. Events leave in the order in
// which they came. A producer is told of its acknowledged events in their order, only when all batches before are acknowledged too,
// and never two calls at a time. Producers that wait are served in turn. Once a batch is acknowledged, the queue clears its slice.
package memqueue
