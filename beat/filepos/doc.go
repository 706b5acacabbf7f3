// Package filepos gives the events of Filebeat's own file inputs (log, container, filestream) their positions, so that they are
// stored exactly once by a server that knows positions, and are accounted for, like those of applog.
//
// It stands between the inputs and libbeat's pipeline. In come events with what Filebeat notes for its registry in their Private; out
// they go with @metadata.tally. A range begins at log.offset and ends where Filebeat will go on reading once the event is
// acknowledged; the source is that which applog would give the file.
//
// Where nothing behind looks at single events, one that is a line of a file and nothing more goes on as a bundle.Part, with its text alone: what it
// shares with the other lines of its file is put in once for all of them (beat/normal.go), and the queue joins them. The input's own note comes
// back to it all the same, for each line.
//
// What must hold: an event gets a position only where it is certain which file it is from. Filebeat knows files by inode and device; the
// file is opened to see more of it, and where it is not the one that was read the event goes without a position, at least once as
// before. What lies before the first event of a file in this process was acknowledged, or left out by Filebeat, and counts as skipped.
package filepos
