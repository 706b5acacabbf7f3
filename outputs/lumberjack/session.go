package lumberjack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/elastic/go-lumber/protocol/v2"
)

// greetingTime is how long a new connection waits for the acknowledgement of sequence 0 by which Tally shows itself.
const greetingTime = 500 * time.Millisecond

// session is one connection: windows go out in Publish, a reader of its own takes the acknowledgements.
type session struct {
	c     *client
	conn  net.Conn
	tally bool // the peer is Tally
	since time.Time
	slots chan struct{} // one element for each window under way
	dead  chan struct{} // closed by fail
	ended chan struct{} // closed when nothing is read any more

	frame [6]byte // read so far
	have  int

	mu    sync.Mutex
	under []*sent // windows under way, the oldest first
	err   error   // why it is dead
	quiet bool    // it died while nothing was under way
}

// sent is a window under way.
type sent struct {
	size  int
	acked int
	p     *pending
}

func newSession(c *client, conn net.Conn) *session {
	return &session{
		c: c, conn: conn, since: time.Now(), slots: make(chan struct{}, max(1, c.pipelining)),
		dead: make(chan struct{}), ended: make(chan struct{}),
	}
}

// greeting waits for the peer's first frame. A peer that is silent is no Tally; half a frame stays for the reader.
func (s *session) greeting() error {
	if err := s.conn.SetReadDeadline(time.Now().Add(greetingTime)); err != nil {
		return err
	}
	seq, err := s.next()
	var slow net.Error
	switch {
	case errors.As(err, &slow) && slow.Timeout():
	case err != nil:
		return err
	case seq != 0:
		return fmt.Errorf("%w: it acknowledges %d before anything was sent", errProtocol, seq)
	default:
		s.tally = true
	}
	return s.conn.SetReadDeadline(time.Time{})
}

var errProtocol = errors.New("the peer does not speak Lumberjack v2")

// next reads one acknowledgement.
func (s *session) next() (seq int, err error) {
	for s.have < len(s.frame) {
		n, err := s.conn.Read(s.frame[s.have:])
		s.have += n
		if err != nil && s.have < len(s.frame) {
			return 0, err
		}
	}
	s.have = 0
	if s.frame[0] != v2.CodeVersion || s.frame[1] != v2.CodeACK {
		return 0, fmt.Errorf("%w: frame %q", errProtocol, s.frame[:])
	}
	return int(binary.BigEndian.Uint32(s.frame[2:])), nil
}

// send writes a window of n events. It waits while as many as pipelining allows are under way.
func (s *session) send(wire []byte, n int, p *pending) error {
	select {
	case s.slots <- struct{}{}:
	case <-s.dead:
		return s.failure()
	}
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return s.failure()
	}
	p.mu.Lock()
	p.open++
	p.mu.Unlock()
	s.under = append(s.under, &sent{size: n, p: p})
	err := s.deadline()
	s.mu.Unlock()
	if err == nil {
		err = s.conn.SetWriteDeadline(time.Now().Add(s.c.timeout))
	}
	for err == nil && len(wire) > 0 {
		var k int
		k, err = s.conn.Write(wire)
		wire = wire[k:]
	}
	if err != nil {
		s.fail(err)
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.deadline() // the peer's time begins when it has everything; a failure is the reader's to see
	return nil
}

// deadline gives the peer its time to answer, for ever while nothing is under way. s.mu is held.
func (s *session) deadline() error {
	var t time.Time
	if len(s.under) > 0 {
		t = time.Now().Add(s.c.timeout)
	}
	return s.conn.SetReadDeadline(t)
}

// read takes acknowledgements until the connection fails, and hands back what was not acknowledged by then.
func (s *session) read() {
	var err error
	for err == nil {
		var seq int
		if seq, err = s.next(); err == nil {
			err = s.answered(seq)
		}
	}
	s.fail(err)
	close(s.ended)
	s.mu.Lock()
	left := s.under
	s.under = nil
	err = s.err
	s.mu.Unlock()
	for _, w := range left {
		if s.c.slow != nil {
			s.c.slow.shrink()
		}
		w.p.settle(w.acked, err)
	}
}

// answered takes one acknowledgement: 0 is a sign of life, less than the window's size acknowledges a part of it.
func (s *session) answered(seq int) error {
	s.mu.Lock()
	if seq > 0 {
		if len(s.under) == 0 || seq > s.under[0].size {
			s.mu.Unlock()
			return fmt.Errorf("%w: it acknowledges %d events that were not sent", errProtocol, seq)
		}
		w := s.under[0]
		w.acked = max(w.acked, seq)
		if w.acked == w.size {
			s.under = s.under[1:]
			err := s.deadline()
			s.mu.Unlock()
			if s.c.slow != nil {
				s.c.slow.grow(w.p.size)
			}
			w.p.settle(w.size, nil)
			<-s.slots
			return err
		}
	}
	defer s.mu.Unlock()
	return s.deadline()
}

// fail ends the connection; the first reason counts.
func (s *session) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.err, s.quiet = err, len(s.under) == 0
	close(s.dead)
	_ = s.conn.Close() // it is over either way
}

func (s *session) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// idle waits until nothing is under way or the connection is dead.
func (s *session) idle() {
	for range cap(s.slots) {
		select {
		case s.slots <- struct{}{}:
		case <-s.dead:
			return
		}
	}
}
