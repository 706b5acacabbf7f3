// Package intaketest is the kit of the HTTP rooms: a recording Admitter, a server with a principal of choice, and Contract, which
// holds a room to what all of them promise about limits, broken bodies, scopes and want of space.
package intaketest
