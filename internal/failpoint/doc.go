// Package failpoint ends the process, as SIGKILL does, at a named place, so that tests can look at each state that a crash may leave.
// The places stand on either side of each write, sync, rename and acknowledgement that a promise rests on; test/faults knows
// their names.
//
// In comes the environment variable TALLY_FAILPOINT, "place=n" or "place=n,slow=50ms": at the nth visit of the place the process ends; slow
// makes each visit of any place of a sync take that long more. Without it a place costs one comparison.
//
// What must hold: no input from outside reaches this package but the environment of the process.
package failpoint
