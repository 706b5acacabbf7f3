package runs

import (
	"io"
	"math/rand"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// network carries connections to a server, and cuts some of them, or falls silent in the middle.
type network struct {
	to     string
	addr   string
	broken atomic.Bool // while set, connections may fail
	mu     sync.Mutex
	rnd    *rand.Rand
}

func newNetwork(t testing.TB, to string, seed int64) *network {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	n := &network{to: to, addr: l.Addr().String(), rnd: rand.New(rand.NewSource(seed))}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go n.carry(c.(*net.TCPConn))
		}
	}()
	return n
}

// fate says after how many bytes a connection fails (below 0: never), and whether it falls silent instead of being cut.
func (n *network) fate() (after int64, silent bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.broken.Load() || n.rnd.Intn(3) == 0 {
		return -1, false
	}
	return int64(n.rnd.ExpFloat64() * 30_000), n.rnd.Intn(4) == 0
}

func (n *network) carry(client *net.TCPConn) {
	defer client.Close()
	c, err := net.DialTimeout("tcp", n.to, patience)
	if err != nil {
		return
	}
	server := c.(*net.TCPConn)
	defer server.Close()
	after, silent := n.fate()
	var passed atomic.Int64
	fail := func() {
		if silent { // half open: neither side hears that the other is gone
			time.Sleep(patience + time.Second)
		}
		_ = client.SetLinger(0)
		_ = server.SetLinger(0)
	}
	copy := func(to, from *net.TCPConn) {
		buf := make([]byte, 4096)
		for {
			k, err := from.Read(buf)
			if after >= 0 && passed.Add(int64(k)) > after {
				fail()
				return
			}
			if k > 0 {
				if _, err := to.Write(buf[:k]); err != nil {
					return
				}
			}
			if err != nil {
				if err == io.EOF {
					_ = to.CloseWrite()
				}
				return
			}
		}
	}
	done := make(chan struct{}, 2)
	go func() { copy(server, client); done <- struct{}{} }()
	go func() { copy(client, server); done <- struct{}{} }()
	<-done
	if after >= 0 {
		return // the other direction dies with it
	}
	<-done
}
