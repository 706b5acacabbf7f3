// Package plugins is the room of processors that others write as programs of their own: pluginapi (the public SDK), proto
// (the wire), host (what starts and watches a plugin in the agent and in the server), contract and plugintest (what a plugin is held
// to, and the public test kit) and examples. Batches of events go to a plugin's process and come back. README.md is for authors
// and operators.
//
// What must hold: a plugin that hangs or dies costs neither a line nor its host.
package plugins
