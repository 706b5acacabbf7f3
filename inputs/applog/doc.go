// Package applog is the agent's file input: it follows the log files that glob patterns list, and loses none of their lines
// as long as the bytes can be read at all.
//
// In come directories and files; out go events through a libbeat pipeline, each with its position (@metadata.tally). The
// discoverer (one goroutine) owns the watches, the open files and the registry's records: it notices files, decides what
// source they are, and finds the unread rest of a truncated file in its copy. The workers read sources in turns, split lines
// and publish. Acknowledgements come back from the pipeline and move the offset in the registry.
//
// What must hold: a source is one append-only sequence of bytes, read by one worker, in order. An offset is saved only when
// everything before it was acknowledged. A descriptor is kept until all that it can give was acknowledged. Every read checks
// that the bytes before the offset are still the ones that were read, so that truncated-and-regrown is never taken for
// grown. What is not certainly a copy of something read is read.
package applog
