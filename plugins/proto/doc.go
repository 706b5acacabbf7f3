// Package proto is the wire between host and plugin, seen from the host: events go in and become the bytes of a batch; the bytes of
// an answer come in and become changes. FORMAT.md describes both for other languages, and processor.proto the service. The
// plugin's half is in pluginapi, which imports nothing of ours.
//
// What must hold: an answer is from a program that nobody here has written. Whatever its bytes, decoding ends with changes within
// what the plugin has declared, or with an error; no count in it makes more memory than its length allows.
package proto
