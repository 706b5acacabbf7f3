// Package fanout is output.fanout: it carries every event to several outputs, children of any type under names. A batch of
// libbeat's queue comes in; each child gets a copy, for a queue and workers of its own.
//
// The batch is acknowledged when every child is done with it: when its peer has acknowledged it, or when it is synced in the
// child's spill on disk. A child spills once a batch has waited for spill.after, until it has caught up, so that one that is
// down does not starve the others. When its spill is full, it holds up all of them. After a restart the spill is delivered first.
//
// What must hold: no event is lost to any child. What a child gets twice is at most what was under way when the process ended. Publish
// neither blocks nor fails. FORMAT.md describes the spill's files.
package fanout
