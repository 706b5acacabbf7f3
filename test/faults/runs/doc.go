// Package runs holds the server to its promise by random runs: nothing lost, nothing doubled, whatever fails. A run is a seed, and comes
// again with it:
//
//	go test ./test/faults/runs -run TestRuns -seed 17 -runs 1
//
// Four parts, each in a file of its own: the traffic (clients that send until they are acknowledged, out of order, twice,
// over several connections), the faults (the process killed at named places or at random, connections cut or gone silent, slow
// syncs, records of the buffer corrupted), the model (what every source has sent), and the validation (what the server has).
//
// What must hold: a client stops sending a line only when the server has acknowledged it, so what is missing at the end was
// acknowledged and lost. Nothing here looks into the server but through its API.
package runs
