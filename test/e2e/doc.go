// Package e2e is the room of tests that run the built programs against each other: an agent reads real files and journals,
// a server stores them, a client asks for them. They use real parts only, on ports of the loopback interface.
package e2e
