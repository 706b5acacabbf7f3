package lumberjack

import (
	"context"
	"testing"
	"time"
)

// TestPace: while the tenant may not send, the client gets signs of life and nothing of its window is read; then the window is
// admitted and acknowledged. A client that is silent waits for nothing, and one that goes away, or a server that stops, ends
// the wait.
func TestPace(t *testing.T) {
	s := &sink{}
	turn, asked := make(chan struct{}), make(chan uint32, 10)
	ended := make(chan error, 10)
	addr, srv := serve(t, s, func(o *Options) {
		o.Pace = func(ctx context.Context, tenant uint32) error {
			asked <- tenant
			select {
			case <-turn:
				return nil
			case <-ctx.Done():
				ended <- ctx.Err()
				return ctx.Err()
			}
		}
	})
	w := dial(t, addr)
	window := append(frame('W', 1), frame('J', 1, 15, `{"message":"a"}`)...)
	if _, err := w.Write(window); err != nil {
		t.Fatal(err)
	}
	<-asked
	for range 5 {
		if n := w.ack(); n != 0 {
			t.Fatalf("%d events are acknowledged while the tenant may not send", n)
		}
	}
	if n := len(s.messages()); n != 0 || srv.o.Budget.Used() != 0 {
		t.Errorf("%d events are admitted, %d bytes are held", n, srv.o.Budget.Used())
	}
	turn <- struct{}{}
	for w.ack() != 1 {
	}
	if got := s.messages(); len(got) != 1 || got[0] != "a" {
		t.Errorf("got %q", got)
	}
	select {
	case <-asked:
		t.Error("a silent client asks for a turn")
	case <-time.After(50 * time.Millisecond):
	}
	if _, err := w.Write(window); err != nil {
		t.Fatal(err)
	}
	<-asked
	w.Close()
	<-ended

	w = dial(t, addr)
	if _, err := w.Write(window); err != nil {
		t.Fatal(err)
	}
	<-asked
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	srv.Shutdown(ctx)
	<-ended
	if ctx.Err() != nil {
		t.Error("the server does not stop while a client is held off")
	}
	if n := len(s.messages()); n != 1 {
		t.Errorf("%d events are admitted", n)
	}
}
