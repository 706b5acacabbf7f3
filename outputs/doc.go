// Package outputs is the room of what carries events from the agent to a peer: fanout, lumberjack, push, file, one folder
// each, and beatjson, in which they write an event. Batches of libbeat's queue come in; what goes out is acknowledged by the
// peer, and only then is the batch done. This package itself gives them their names in libbeat.
//
// What must hold: Publish neither blocks for good nor reports success for what was not written. The options of
// output.logstash and output.file are those of libbeat's, with the same defaults.
package outputs
