// Package journald is the agent's journal input: what systemd-journald, or systemd-journal-remote, has written goes in, and
// one event for each entry goes out, with the option and field names of Filebeat 7.17's journald input.
//
// A journal is a set of files that share a sequence-number id; it is one source of the ledger, and the sequence number of
// an entry is its unit. A path of the configuration (the system's journal, a directory, or a file with its rotated
// siblings) holds one source or several. Each source has a reader of its own, so that the late entries of one machine are
// not skipped because another machine's clock is ahead.
//
// The way of an entry: files.go lists the files of a path and reads their headers, features.go names what of their format is
// unknown, watch.go tells of changes, follower.go lets the sources of a path read in turn, fileset.go keeps a reader on the
// files that are needed, reader.go and shim.c take entries out of libsystemd in packed batches, batch.go unpacks them,
// checksum.go finds messages that damage has hidden, source.go goes through them in order, gap.go explains numbers that do not
// come, flush.go and samejournal.go find copies, match.go filters, partial.go joins docker's pieces, lines.go the lines of an
// event (ends.go ends what has waited for too long), convert.go names the fields (template.go what many entries have in
// common), or entryfields.go leaves them their own with what catalog.go knows, ack.go keeps the position once the event is
// acknowledged (hold.go what is read and waits), and cursorfile.go the state of Journalbeat 5, from which takeover.go begins.
// status.go tells how it is, control.go what Tally has to know.
//
// What must hold: every sequence number is shipped, or skipped deliberately, or reported as lost with its range and reason; a
// position is stored only after everything before it was acknowledged; what is shipped again after a crash has the same
// source, from and to; damage in a file ends neither the agent nor the reading of the other files; memory is bounded by
// the size of a batch, not by that of the journal.
package journald
