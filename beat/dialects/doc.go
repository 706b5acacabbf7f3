// Package dialects lets the agent run configurations that were written for others: it lists the adapters, one folder each, and
// applies those that a configuration needs, in the order of the list.
//
// In comes a configuration tree and the name the program goes by; out comes the tree for libbeat, under that name, with the
// notes of the adapters. A configuration that is native comes back untouched.
//
// What must hold: translating twice is translating once; every case under testdata of an adapter says what it makes of one
// configuration, word for word.
package dialects
