// Package ports finds ports for programs that must be told theirs beforehand, or must come back to the same one after they were
// killed. A test that listens itself does better with port 0.
//
// Out comes a port of the loopback interface that nothing else takes while it is held, though nothing listens on it yet. What must
// hold: it is not one of those that the kernel gives to outgoing connections and to port 0 (ip_local_port_range), so no other
// process gets it by chance, and no two processes of these tests hold the same one.
package ports
