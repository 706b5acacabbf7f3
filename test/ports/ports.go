package ports

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
)

const (
	lowest  = 10000
	highest = 60000
)

// Hold returns a port, and what gives it back: to be called when no program uses it any more. A process that ends gives back all of its own.
func Hold() (port int, release func(), err error) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 0, nil, fmt.Errorf("cannot find a port: %w", err)
	}
	var low, high int
	if _, err := fmt.Sscan(string(text), &low, &high); err != nil {
		return 0, nil, fmt.Errorf("cannot find a port: ip_local_port_range %q: %w", text, err)
	}
	from, to := between(low, high)
	for range 1000 {
		port = from + rand.IntN(to-from)
		if release, err = hold(port); err == nil {
			return port, release, nil
		}
	}
	return 0, nil, fmt.Errorf("cannot find a port from %d to %d: %w", from, to, err)
}

// between gives the larger of the ranges below and above the kernel's own; where it has taken nearly all, there is no better one.
func between(low, high int) (from, to int) {
	from, to = lowest, min(low, highest)
	if 65536-high > to-from {
		from, to = high+1, 65536
	}
	if to-from < 1000 {
		return lowest, highest
	}
	return from, to
}

// hold takes a port if nobody listens there. The lock is a name of the abstract kind (unix(7)): the processes that share the ports of a network namespace share
// these names too, and the kernel frees them when a process ends.
func hold(port int) (release func(), err error) {
	lock, err := net.Listen("unix", fmt.Sprintf("@tally-test-port-%d", port))
	if err != nil {
		return nil, err
	}
	for _, address := range []string{"127.0.0.1", "[::1]"} {
		l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", address, port))
		if err == nil {
			l.Close()
		} else if address == "127.0.0.1" { // not every machine has the other
			return nil, errors.Join(err, lock.Close())
		}
	}
	return func() { _ = lock.Close() }, nil
}
