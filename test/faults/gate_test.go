package faults

import (
	"io"
	"net"
	"sync"
	"testing"
)

// gate stands between agent and server. While it is shut, connections are cut and refused, and the agent has a backlog.
type gate struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	open  bool
	conns map[net.Conn]struct{}
}

func newGate(t *testing.T, target string) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{listener: l, target: target, conns: map[net.Conn]struct{}{}}
	t.Cleanup(func() { l.Close(); g.set(false) })
	go g.accept()
	return g
}

func (g *gate) addr() string { return g.listener.Addr().String() }

// set opens or shuts the gate.
func (g *gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = open
	if !open {
		for c := range g.conns {
			c.Close()
		}
		clear(g.conns)
	}
}

func (g *gate) accept() {
	for {
		in, err := g.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", g.target)
		g.mu.Lock()
		if err != nil || !g.open {
			in.Close()
			if err == nil {
				out.Close()
			}
			g.mu.Unlock()
			continue
		}
		g.conns[in], g.conns[out] = struct{}{}, struct{}{}
		g.mu.Unlock()
		for _, p := range [][2]net.Conn{{in, out}, {out, in}} {
			go func() {
				_, _ = io.Copy(p[0], p[1]) // a cut connection is what this is for
				p[0].Close()
				p[1].Close()
			}()
		}
	}
}
