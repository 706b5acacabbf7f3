// Package clean is the room of pipelines: batches come in from an intake, already authenticated, and go out to admission with fields
// parsed, added or removed as the configuration's pipelines say, in the processor and condition dialect of Beats. The
// processors themselves are in package processors; ready/ has pipelines for common formats.
//
// A pipeline is chosen by its condition: an event goes through the first whose when holds, and through those after it only where
// that one says continue.
//
// What must hold: a processor that fails tags the event and keeps its text; nothing is dropped unless a pipeline says so, and the
// range of what is dropped is noted as skipped, so that the account has no hole. A wrong configuration never takes the place of
// one that works.
package clean
