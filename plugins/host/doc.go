// Package host starts plugins, watches them and takes batches of events through them, for the server and for the agent alike. A Set
// holds those of one program; in come the steps of pipelines in YAML and events, out go the events with what the plugins made of
// them, and what there is to tell of each plugin.
//
// A plugin is somebody else's program, in a process of its own (process.go): run from a sealed copy of the file whose
// checksum was verified, without this program's environment, within bounds of memory, time and output, in a process group that is
// killed as a whole, and dead when its parent dies. plugin.go starts it again, with growing pauses, when it ends or has to be ended.
//
// What must hold: whatever a plugin does, every event that goes in comes out, unless the configuration says that it may be dropped;
// an event whose plugin failed is as it was, and tagged. Other plugins, and events that are for none, do not wait for a plugin that
// hangs. An event's position, identity and tenant never leave this process, so no plugin can change them.
package host
