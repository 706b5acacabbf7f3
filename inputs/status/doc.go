// Package status is what the agent's inputs tell of themselves while they run: open sources, lag, last positions, errors. Each
// running input puts a function on the Board; the agent asks them all, for its metrics and for what it tells the server. The
// functions must be quick, and safe to call at any time between Add and remove.
package status
