// Package lumberjack takes Lumberjack v2, the protocol of Filebeat's and Logstash's output and input. Connections come in;
// batches go to an intake.Admitter, one for each window, in order.
//
// Protocol: https://github.com/elastic/logstash-forwarder/blob/master/PROTOCOL.md and, for version 2, go-lumber's
// protocol/v2. Frames: '2' 'W' count; '2' 'J' sequence length json; '2' 'C' length zlib(frames); answer '2' 'A' sequence.
//
// What must hold: a window is acknowledged only when all of it is durable. Anything that is no valid window closes its own
// connection, without acknowledgement, and nothing else. Memory follows what clients really sent, and is bounded over all
// connections by an intake.Budget. As soon as a connection stands the server sends one acknowledgement of sequence 0: stock
// clients take it for a keep-alive, our agent learns that its peer is Tally.
package lumberjack
