// Package push takes events over HTTP: POST /api/v1/push with NDJSON or a JSON array, plain, gzip or zstd. Requests come in with a
// principal in their context; batches go to an intake.Admitter.
//
// What must hold: 200 only after everything accepted is durable. A body that is not what it says (broken compression, over the
// limit) is refused before anything of it is stored. A line that is no event is rejected with its number, the others are
// stored. With Tally-Source and Tally-From, event i of the body has the position [from+i, from+i+1), whatever becomes of the
// others, so that a client may repeat a request until it is answered. With "Tally-Positions: event" each event has the position that
// it brings in @metadata.tally, as over Lumberjack; one that brings none is stored without. Without these headers a position in the
// body counts for nothing.
package push
