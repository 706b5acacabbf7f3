// Package filebeat reads the registry of a Filebeat, so that an input of ours can go on where Filebeat's inputs have stopped.
//
// In comes the path of a registry in any form that Filebeat 7.17 reads: the single file of versions 5 and 6, the directory of 7.0 to
// 7.8, and that of 7.9 and later. Out go the files it knows and how far each was acknowledged. The reading is done by Filebeat's own
// code, on a copy.
//
// What must hold: the registry itself is never changed, and what cannot be read is an error that names it, never an empty registry.
package filebeat
