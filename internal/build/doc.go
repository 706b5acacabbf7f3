// Package build is what the targets of magefile.go do: install what is missing, build, run, test, check and measure. The
// working directory is the root of the repository; what is built goes to build/, what a run keeps goes to data/.
//
// What must hold: a target either does its work or says in one line what is missing and how to get it, and no process that
// it started outlives it.
package build
