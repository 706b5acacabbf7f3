// Package pluginapi is what a processor plugin is written with: a program of its own that Tally, server or agent, starts and watches, and
// to which it sends batches of events. A type with the three methods of Plugin goes in, Serve does the rest:
//
//	func main() { pluginapi.Serve(&shout{}) }
//
// Batches come as gRPC calls over a private socket (go-plugin); ../proto/FORMAT.md says how, for other languages. This package
// imports nothing else of its module, so that a plugin takes along nothing but it, go-plugin and gRPC.
//
// What must hold: one answer for each event, in their order; an event that the plugin does not touch costs five bytes; a panic of
// the plugin is an error for one batch and nothing more. ../plugintest tests a plugin against what Tally expects of it.
package pluginapi
