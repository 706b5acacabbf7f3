// Package plugins runs plugins in the agent. libbeat takes events one by one through its processors, and a plugin wants batches:
// so the list under processors is cut behind its last plugin, what stands before the cut runs here, and libbeat runs the rest.
//
// In come the events that the inputs publish, client by client; each client's events are gathered for a moment (buffer.go), taken
// through the steps together (steps.go), and published in their order. Out go the events to libbeat's pipeline, and to the inputs the
// acknowledgements, in the order of the inputs' own events (acks.go).
//
// What must hold: an input hears that an event is acknowledged when all that was made of it, and all events before it, are; one that is
// dropped leaves its range as skipped to the next event of its source, or to a control record. An event whose plugin failed goes on as it
// was, tagged, unless the configuration says that it may be dropped.
package plugins
