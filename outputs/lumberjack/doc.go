// Package lumberjack is the agent's output.logstash: Lumberjack v2 with all options of libbeat's, at a fraction of its cost.
// Batches of libbeat's queue come in; windows of JSON frames go out, each in one compressed frame.
//
// Protocol: https://github.com/elastic/logstash-forwarder/blob/master/PROTOCOL.md and, for version 2, go-lumber's
// protocol/v2. Frames: '2' 'W' count; '2' 'J' sequence length json; '2' 'C' length zlib(frames); the peer answers '2' 'A'
// sequence: 0 is a sign of life, less than the window's count acknowledges that many of it.
//
// The greeting: Tally's listener sends an acknowledgement of sequence 0 as soon as the connection stands. A new connection waits
// up to 500 ms for it. Control records are sent only to a peer that greeted; for any other they are dropped and count as
// acknowledged. A control record is an event without fields of its own whose @metadata.tally holds "control" (lost, skipped,
// complete or status); docs/wire.md has its form.
//
// What must hold: a batch is acknowledged when the peer has acknowledged all of its events, and never before; when a connection
// fails, exactly the events that were not acknowledged go back to the pipeline. No event is refused for what it holds. With
// pipelining 0 a batch is sent when the one before is acknowledged. ttl works with pipelining too, which libbeat's does not.
package lumberjack
