// Package examples has a plugin in Go (lines) and one in Python (keywords). Both are tested with the kit, and end to end through the
// server, as an author would test them.
package examples
