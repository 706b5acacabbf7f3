package ports

import (
	"fmt"
	"net"
	"testing"
)

func TestHold(t *testing.T) {
	held := map[int]bool{}
	for range 50 {
		port, release, err := Hold()
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		if held[port] {
			t.Errorf("%d is given twice", port)
		}
		held[port] = true
		if again, err := hold(port); err == nil {
			again()
			t.Errorf("%d can be held twice", port)
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatalf("who holds %d cannot listen there: %v", port, err)
		}
		l.Close()
	}
}

func TestReleased(t *testing.T) {
	port, release, err := Hold()
	if err != nil {
		t.Fatal(err)
	}
	release()
	if release, err = hold(port); err != nil {
		t.Fatalf("%d is not given back: %v", port, err)
	}
	release()
}

func TestNotWhereSomebodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	for range 2 { // the second time the lock must not have stayed
		if release, err := hold(port); err == nil {
			release()
			t.Errorf("%d is in use and can be held", port)
		}
	}
}

func TestBetween(t *testing.T) {
	f := func(low, high, from, to int) {
		t.Helper()
		if a, b := between(low, high); a != from || b != to {
			t.Errorf("the kernel has %d to %d: %d to %d, want %d to %d", low, high, a, b, from, to)
		}
	}
	f(32768, 60999, 10000, 32768)
	f(10000, 30000, 30001, 65536)
	f(1024, 65535, lowest, highest)
	f(61000, 65535, lowest, highest)
}
