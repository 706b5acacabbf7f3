// Package push is the agent's output.tally: HTTP push to a Tally server (POST /api/v1/push), for networks where only HTTPS passes.
// Batches of libbeat's queue come in; requests of compressed NDJSON go out, each event with its own position in @metadata.tally
// (header "Tally-Positions: event"), so that a repeated request doubles nothing.
//
// What must hold: only a 200 with the server's answer in it acknowledges; a redirect or the page of a proxy does not. Lines that
// the server rejects are logged with its reason, counted as dropped and not sent again; everything else is tried again, after
// Retry-After where the server says so, and without end. Control records go with the
// lines, for no peer but Tally answers so.
package push
