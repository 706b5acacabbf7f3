package lumberjack

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/elastic/go-lumber/protocol/v2"

	"github.com/tallylog/tally/event"
	"github.com/tallylog/tally/internal/failpoint"
	"github.com/tallylog/tally/server/intake"
	"github.com/tallylog/tally/server/record"
)

// Client is who a connection belongs to.
type Client struct {
	Tenant uint32
	Name   string // client identity for the account
}

// Options for New.
type Options struct {
	Admit  intake.Admitter
	Budget *intake.Budget
	// Identify tells who the peer is, after the TLS handshake where there is one; an error closes the connection.
	Identify func(c net.Conn) (Client, error)
	TLS      *tls.Config // nil for plain TCP
	Limits   Limits
	// Clean runs over a batch before admission; nil for none.
	Clean func(*record.Batch)
	// Pace waits until the tenant may send another window; nil for none. Meanwhile nothing is read of the window, and its client
	// gets signs of life.
	Pace func(ctx context.Context, tenant uint32) error
	// MaxConnections are served at once; more are closed at once. 0 means 20,000.
	MaxConnections int
	// Stall ends a connection that stops in the middle of a window; 0 means 30 s. Between windows a client may be silent for
	// as long as it likes.
	Stall time.Duration
	// KeepAlive is the time between signs of life while a window is being made durable; 0 means 3 s. Stock clients give up
	// after 30 s without.
	KeepAlive time.Duration
	Log       *slog.Logger
}

// Server accepts connections until it is stopped.
type Server struct {
	o     Options
	ctx   context.Context
	stop  context.CancelFunc
	conns sync.WaitGroup
	Stats Stats
}

// Stats counts since start.
type Stats struct {
	Connections, Open, Windows, Events, Unparsable, BadControls, Broken atomic.Int64
}

// New makes a server; Serve starts it.
func New(o Options) *Server {
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits
	}
	if o.MaxConnections == 0 {
		o.MaxConnections = 20_000
	}
	if o.Stall == 0 {
		o.Stall = 30 * time.Second
	}
	if o.KeepAlive == 0 {
		o.KeepAlive = 3 * time.Second
	}
	s := &Server{o: o}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Serve accepts connections from l until Shutdown; then it returns nil.
func (s *Server) Serve(l net.Listener) error {
	defer context.AfterFunc(s.ctx, func() { l.Close() })()
	for {
		c, err := l.Accept()
		if s.ctx.Err() != nil {
			return nil
		}
		if err != nil {
			// Out of descriptors, most likely: others will be closed.
			s.o.Log.Warn("cannot accept a Lumberjack connection", "error", err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-s.ctx.Done():
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("cannot accept Lumberjack connections: %w", err)
			}
			continue
		}
		if s.Stats.Open.Add(1) > int64(s.o.MaxConnections) {
			s.Stats.Open.Add(-1)
			c.Close()
			continue
		}
		s.Stats.Connections.Add(1)
		s.conns.Add(1)
		go func() {
			defer s.conns.Done()
			defer s.Stats.Open.Add(-1)
			s.serve(c)
		}()
	}
}

// Shutdown stops reading, waits until the windows under way are admitted and acknowledged or ctx is done, and closes
// everything.
func (s *Server) Shutdown(ctx context.Context) {
	s.stop()
	done := make(chan struct{})
	go func() { s.conns.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// conn is one client.
type conn struct {
	s      *Server
	net    net.Conn
	client Client
	log    *slog.Logger
	mu     sync.Mutex // writes
}

func (s *Server) serve(c net.Conn) {
	defer c.Close()
	log := s.o.Log.With("peer", c.RemoteAddr().String())
	if s.o.TLS != nil {
		t := tls.Server(c, s.o.TLS)
		ctx, cancel := context.WithTimeout(s.ctx, s.o.Stall)
		err := t.HandshakeContext(ctx)
		cancel()
		if err != nil {
			s.Stats.Broken.Add(1)
			log.Info("TLS handshake failed on the Lumberjack port", "error", err)
			return
		}
		c = t
	}
	client, err := s.o.Identify(c)
	if err != nil {
		s.Stats.Broken.Add(1)
		log.Warn("Lumberjack client refused", "error", err)
		return
	}
	cn := &conn{s: s, net: c, client: client, log: log}
	if cn.ack(0) != nil { // the greeting
		return
	}
	if err := cn.run(); err != nil {
		s.Stats.Broken.Add(1)
		log.Warn("Lumberjack connection closed without acknowledgement", "error", err)
	}
}

// run reads windows and admits them: one is read ahead while the one before is being made durable.
func (c *conn) run() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	windows := make(chan *window)
	read := make(chan error, 1)
	go func() {
		defer close(windows)
		read <- c.read(ctx, windows)
	}()
	var failed error
	for w := range windows {
		if failed == nil {
			if failed = c.admit(ctx, w); failed != nil {
				cancel()
				c.net.Close() // ends the reader
			}
		}
		w.share.Release()
	}
	err := <-read
	switch {
	case failed != nil:
		return failed
	case errors.Is(err, io.EOF), c.s.ctx.Err() != nil:
		return nil
	}
	return err
}

func (c *conn) read(ctx context.Context, windows chan<- *window) error {
	// Shutdown wakes a reader that waits for the next window, not one in the middle of a window.
	waiting := make(chan bool, 1)
	waiting <- true
	defer context.AfterFunc(c.s.ctx, func() {
		if <-waiting {
			c.net.SetReadDeadline(time.Now())
		}
		waiting <- true
	})()
	r := &frameReader{
		in: bufio.NewReaderSize(c.net, 4<<10), limits: c.s.o.Limits, budget: c.s.o.Budget, refused: c.refused,
		begins: func() error { return c.pace(ctx) },
		progress: func(idle bool) {
			<-waiting
			deadline := time.Time{}
			if !idle {
				deadline = time.Now().Add(c.s.o.Stall)
			} else if c.s.ctx.Err() != nil {
				deadline = time.Now()
			}
			c.net.SetReadDeadline(deadline)
			waiting <- idle
		},
	}
	for c.s.ctx.Err() == nil {
		w, err := r.next(ctx)
		if err != nil {
			return err
		}
		select {
		case windows <- w:
		case <-ctx.Done():
			w.share.Release()
			return ctx.Err()
		}
	}
	return nil
}

// refused keeps the text of an event that is no JSON object: refusing it would make the client send it for ever. A control
// record that says something impossible tells nothing at all.
func (c *conn) refused(raw []byte, err error) event.Event {
	if errors.Is(err, event.ErrControl) {
		if c.s.Stats.BadControls.Add(1)%1000 == 1 {
			c.log.Warn("a control record is not valid and is passed over", "error", err)
		}
		return event.Event{Control: &event.Control{}}
	}
	if c.s.Stats.Unparsable.Add(1)%1000 == 1 {
		c.log.Warn("an event is no valid JSON object; its text is kept as message", "error", err)
	}
	text := strings.ToValidUTF8(string(raw), "\uFFFD")
	e := event.Event{}
	if len(text) > event.MaxEvent {
		keep := event.MaxEvent
		for !utf8.RuneStart(text[keep]) {
			keep--
		}
		text = text[:keep]
		e.PutField(event.Field{Name: event.TruncatedField, Value: "true", Kind: event.Bool})
	}
	e.Put(event.Message, text)
	e.Put("error.message", err.Error())
	e.AddTag("_jsonparsefailure")
	return e
}

// admit makes a window durable and acknowledges it. Meanwhile the client gets signs of life.
func (c *conn) admit(ctx context.Context, w *window) error {
	// A client that is gone does not keep a window from being stored.
	rest := c.keepAlive(func() {})
	b := &record.Batch{Tenant: c.client.Tenant, Client: c.client.Name, Received: time.Now().UnixNano(), Events: w.events}
	if w.controls {
		takeControls(b)
	}
	if c.s.o.Clean != nil {
		c.s.o.Clean(b)
	}
	actx, cancel := context.WithCancel(ctx)
	unhook := context.AfterFunc(c.s.ctx, func() {
		// A window under way when the server stops may finish, but not wait for space.
		time.AfterFunc(5*time.Second, cancel)
	})
	_, err := c.s.o.Admit.Admit(actx, b)
	unhook()
	cancel()
	rest()
	if err != nil {
		return err
	}
	c.s.Stats.Windows.Add(1)
	c.s.Stats.Events.Add(int64(w.count))
	failpoint.Here("lumberjack.ack.before")
	defer failpoint.Here("lumberjack.ack.after")
	return c.ack(uint32(w.count))
}

// keepAlive sends signs of life until stop returns; failed is called for one that could not be sent.
func (c *conn) keepAlive(failed func()) (stop func()) {
	done := make(chan struct{})
	var alive sync.WaitGroup
	alive.Go(func() {
		t := time.NewTicker(c.s.o.KeepAlive)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				if c.ack(0) != nil {
					failed()
				}
			case <-done:
				return
			}
		}
	})
	return func() { close(done); alive.Wait() }
}

// pace waits, at the beginning of a window, until the tenant may send it, the client is gone, or the server stops.
func (c *conn) pace(ctx context.Context) error {
	if c.s.o.Pace == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.s.ctx, cancel)()
	defer c.keepAlive(cancel)()
	return c.s.o.Pace(ctx, c.client.Tenant)
}

func (c *conn) ack(n uint32) error {
	var b [6]byte
	b[0], b[1] = v2.CodeVersion, v2.CodeACK
	binary.BigEndian.PutUint32(b[2:], n)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.net.SetWriteDeadline(time.Now().Add(c.s.o.Stall))
	_, err := c.net.Write(b[:])
	return err
}
