// Package faults is the room of tests that hurt the built programs: kill -9 at random moments, full disks, torn and flipped
// bytes, peers that hang. Each counts what was lost and what was doubled.
//
// A test here has a short form for every run, and a long one behind the flag -long, which go tool mage faults sets.
package faults
