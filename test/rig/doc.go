// Package rig starts the real programs for the tests in e2e and faults: it builds them, runs them on loopback ports and in
// directories of their own, kills them, and asks the server what it has. What it starts dies with the test.
package rig
