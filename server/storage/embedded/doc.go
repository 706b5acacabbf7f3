// Package embedded is the default store: lib/logstorage of VictoriaMetrics on the local disk, behind storage.Store.
//
// In come the batches of the buffer, one MustAddRows each; out come rows in a total order and counts. What must hold:
//
//   - A pair of (sequence number, UTC day) is on disk whole or not at all, because one call hands it over and logstorage
//     keeps it in one part. Open finds the pairs behind the checkpoint, and Append leaves them out.
//   - logstorage drops rows that break its bounds with no more than a warning, and ends the process on a full disk. So every
//     bound is checked before a row is handed over, and rows wait while the disk has no more than its reserve.
//   - Rows can be durable before the index of their stream is. No query touches _stream, and every row query names the
//     columns it wants.
//
// A stream is no more than one of a fixed number of buckets by workload (see bucketOf), so their number is bounded whatever
// the events say. FORMAT.md beside this file lists the columns of a row.
package embedded
