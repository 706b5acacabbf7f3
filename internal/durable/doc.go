// Package durable writes what must outlast a loss of power: it replaces whole files, and makes names in directories last.
//
// In come a path and the text; what comes out is on disk once the call returns without an error. The order is that of
// fsync(2) and rename(2): text, sync, rename, sync of the directory. A caller that has failpoints between the steps, or keeps
// the file before, writes itself and calls SyncDir.
//
// What must hold: after a crash at any place there is the old file or the new one, whole; nothing of ours is imported.
package durable
