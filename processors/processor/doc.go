// Package processor says what a processor is, and holds what all of them need: failures with their tags, and fields by name
// with @timestamp among them. It imports event and nothing else of this module; every processor imports it.
package processor
