// Package timestamp reads the time of an event out of a text. It is timestamp of Beats, with more names for layouts, and with the
// year that is meant where a layout has none.
package timestamp
