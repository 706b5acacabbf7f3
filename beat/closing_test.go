package beat

import (
	"context"
	"testing"

	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/go-concert/unison"
)

// connector keeps what a client is made with.
type connector struct{ cfg beat.ClientConfig }

func (c *connector) Connect() (beat.Client, error) { return nil, nil }

func (c *connector) ConnectWith(cfg beat.ClientConfig) (beat.Client, error) {
	c.cfg = cfg
	return nil, nil
}

// blocking is an acker that says that it works and waits.
type blocking struct {
	beat.ACKer
	begun, goOn chan struct{}
	n           int
}

func (b *blocking) ACKEvents(n int) {
	b.begun <- struct{}{}
	<-b.goOn
	b.n += n
}

// Managers are told to stop when the acknowledgement that is under way has been taken, and none comes after that.
func TestClosing(t *testing.T) {
	var c closing
	next, acks := &connector{}, &blocking{begun: make(chan struct{}), goOn: make(chan struct{})}
	if _, err := c.pipeline(next).ConnectWith(beat.ClientConfig{ACKHandler: acks}); err != nil {
		t.Fatal(err)
	}
	var group unison.TaskGroup
	var seen int
	if err := (lateGroup{&group, &c}).Go(func(ctx context.Context) error {
		<-ctx.Done()
		seen = acks.n
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	taken := make(chan struct{})
	go func() {
		next.cfg.ACKHandler.ACKEvents(3)
		close(taken)
	}()
	<-acks.begun
	stopped := make(chan error)
	go func() { stopped <- group.Stop() }()
	select {
	case <-stopped:
		t.Fatal("told to stop while an acknowledgement was taken")
	case acks.goOn <- struct{}{}:
	}
	<-taken
	if err := <-stopped; err != nil || seen != 3 {
		t.Errorf("%v, %d events acknowledged before the end, want 3", err, seen)
	}
	next.cfg.ACKHandler.ACKEvents(5) // would wait for ever
	if acks.n != 3 {
		t.Errorf("%d events acknowledged after the end", acks.n-3)
	}
}
