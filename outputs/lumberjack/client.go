package lumberjack

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common/transport"
	"github.com/elastic/beats/v7/libbeat/logp"
	"github.com/elastic/beats/v7/libbeat/outputs"
	"github.com/elastic/beats/v7/libbeat/publisher"
	"github.com/elastic/beats/v7/libbeat/testing"

	"github.com/tallylog/tally/internal/failpoint"
	"github.com/tallylog/tally/outputs/bundle"
)

// client sends to one host. Connect, Publish and Test are called by one goroutine, Close by any.
type client struct {
	// target knows the host and how to test it. Its connection is not used: libbeat's wrapper can fail with a nil pointer when
	// one goroutine closes while another writes.
	target     *transport.Client
	dialer     transport.Dialer
	log        *logp.Logger
	observer   outputs.Observer
	packer     *packer
	slow       *slowStart // nil without slow_start
	pipelining int
	bulk       int // lines in one window at most
	timeout    time.Duration
	ttl        time.Duration

	mu      sync.Mutex
	session *session // nil where there is none
}

var (
	_ outputs.NetworkClient = (*client)(nil)
	_ testing.Testable      = (*client)(nil)
)

func newClient(target *transport.Client, dialer transport.Dialer, info beat.Info, observer outputs.Observer, c *config) (*client, error) {
	p, err := newPacker(c, info)
	if err != nil {
		return nil, err
	}
	cl := &client{
		target: target, dialer: dialer, log: logp.NewLogger("logstash"), observer: observer, packer: p,
		pipelining: c.Pipelining, timeout: c.Timeout, ttl: c.TTL, bulk: math.MaxInt,
	}
	if c.BulkMaxSize > 0 {
		cl.bulk = c.BulkMaxSize
	}
	if c.SlowStart {
		cl.slow = newSlowStart(c.BulkMaxSize)
	}
	return cl, nil
}

// Connect opens a connection and learns who is at its other end.
func (c *client) Connect() error {
	_ = c.Close()
	conn, err := c.dialer.Dial("tcp", c.target.Host())
	if err != nil {
		return err
	}
	s := newSession(c, conn)
	if err := s.greeting(); err != nil {
		_ = conn.Close()
		return fmt.Errorf("cannot talk to %s: %w", c.target.Host(), err)
	}
	c.mu.Lock()
	c.session = s
	c.mu.Unlock()
	go s.read()
	return nil
}

// Close ends the connection. What was not acknowledged goes back to the pipeline.
func (c *client) Close() error {
	c.mu.Lock()
	s := c.session
	c.session = nil
	c.mu.Unlock()
	if s != nil {
		s.fail(errClosed)
		<-s.ended
	}
	return nil
}

func (c *client) String() string { return "lumberjack(" + c.target.String() + ")" }

// Test is what the command "test output" shows.
func (c *client) Test(d testing.Driver) {
	c.target.Test(d)
	_ = c.target.Close()
	err := c.Connect()
	d.Fatal("greeting", err)
	if err == nil && c.session.tally {
		d.Info("peer", "Tally")
	} else if err == nil {
		d.Info("peer", "Lumberjack v2")
	}
	_ = c.Close()
}

var (
	errClosed       = errors.New("the connection was closed")
	errNotConnected = errors.New("not connected")
)

// Publish sends a batch and returns when it is written, or, without pipelining, when it is acknowledged. The batch is given
// back, in part where a part was acknowledged, when its connection fails.
func (c *client) Publish(_ context.Context, batch publisher.Batch) error {
	s, err := c.ready()
	if err != nil {
		batch.Cancelled()
		return err
	}
	events := batch.Events()
	size := bundle.Count(events)
	c.observer.NewBatch(size)
	if !s.tally {
		kept := bundle.WithoutControls(events)
		c.observer.Dropped(len(events) - len(kept))
		size -= len(events) - len(kept)
		events = kept
	}
	p := &pending{c: c, batch: batch, events: events, size: size, open: 1, done: make(chan struct{})}
	for rest := events; len(rest) > 0 && err == nil; {
		limit := c.bulk
		if c.slow != nil {
			limit = min(limit, c.slow.get())
		}
		var n int
		var wire []byte
		if n, wire, err = c.packer.window(rest, limit); err == nil {
			rest = bundle.After(rest, n)
			err = s.send(wire, n, p)
		}
	}
	p.settle(0, err)
	if err == nil && c.pipelining == 0 {
		select {
		case <-p.done:
		case <-s.ended:
		}
		err = s.failure()
	}
	return err
}

// ready returns the connection. One that the peer closed while nothing was under way, as Logstash does after a minute, and one
// older than ttl is replaced at once.
func (c *client) ready() (*session, error) {
	c.mu.Lock()
	s := c.session
	c.mu.Unlock()
	if s == nil {
		return nil, errNotConnected
	}
	if c.ttl > 0 && time.Since(s.since) > c.ttl {
		s.idle()
	} else if err := s.failure(); err == nil {
		return s, nil
	} else if !s.quiet {
		return nil, err
	}
	if err := c.Connect(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil {
		return nil, errClosed
	}
	return c.session, nil
}

// pending is a batch of which windows are under way. They are acknowledged in their order.
type pending struct {
	c      *client
	batch  publisher.Batch
	events []publisher.Event
	size   int           // the lines that they stand for
	done   chan struct{} // closed when the batch was handed back

	mu    sync.Mutex
	acked int
	open  int // windows without an answer, and one for the sender
	err   error
}

// settle ends one window: n events of it are acknowledged.
func (p *pending) settle(n int, err error) {
	p.c.observer.Acked(n)
	p.mu.Lock()
	p.acked += n
	if p.err == nil {
		p.err = err
	}
	p.open--
	last, left := p.open == 0, p.size-p.acked
	p.mu.Unlock()
	if !last {
		return
	}
	defer close(p.done)
	if left == 0 {
		failpoint.Here("agent.ack.before")
		p.batch.ACK()
		failpoint.Here("agent.ack.after")
		return
	}
	p.c.observer.Failed(left)
	p.c.log.Errorf("Failed to publish events caused by: %v", p.err)
	p.batch.RetryEvents(bundle.After(p.events, p.acked))
}
