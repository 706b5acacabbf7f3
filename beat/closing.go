package beat

import (
	"context"
	"sync"
	"time"

	v2 "github.com/elastic/beats/v7/filebeat/input/v2"
	"github.com/elastic/beats/v7/libbeat/beat"
	"github.com/elastic/beats/v7/libbeat/common"
	"github.com/elastic/go-concert/unison"
)

// closing keeps Filebeat's filestream input from hanging when the beat stops: what writes its positions returns with its mutex locked where an
// acknowledgement has woken it, and it is asked to end before it has run (updateChan.Recv in input-logfile/update_writer.go). So its managers are told
// that the beat stops only when no acknowledgement reaches them any more and the last one's work is done.
type closing struct {
	mu   sync.RWMutex // held for reading while an acknowledgement is taken
	over bool
	last time.Time // of the acknowledgements
}

// settleTime is how long what an acknowledgement has woken may take until it waits again, in settleSteps of which each lets every goroutine run that is ready.
const (
	settleTime  = 100 * time.Millisecond
	settleSteps = 20
)

// settle waits until managers may be told to stop. It drops the acknowledgements that come from then on: Filebeat has closed its registry.
func (c *closing) settle() {
	c.mu.Lock()
	c.over = true
	last := c.last
	c.mu.Unlock()
	for range settleSteps {
		if last.IsZero() || time.Since(last) > 10*settleTime {
			return
		}
		time.Sleep(settleTime / settleSteps)
	}
}

// pipeline returns one whose clients' acknowledgements pass by c.
func (c *closing) pipeline(next beat.PipelineConnector) beat.PipelineConnector {
	return closingPipeline{next, c}
}

type closingPipeline struct {
	beat.PipelineConnector
	c *closing
}

func (p closingPipeline) Connect() (beat.Client, error) { return p.ConnectWith(beat.ClientConfig{}) }

func (p closingPipeline) ConnectWith(cfg beat.ClientConfig) (beat.Client, error) {
	if cfg.ACKHandler != nil {
		cfg.ACKHandler = closingACKer{cfg.ACKHandler, p.c}
	}
	return p.PipelineConnector.ConnectWith(cfg)
}

type closingACKer struct {
	beat.ACKer
	c *closing
}

func (a closingACKer) ACKEvents(n int) {
	a.c.mu.RLock()
	over := a.c.over
	if !over {
		a.ACKer.ACKEvents(n)
	}
	a.c.mu.RUnlock()
	if over {
		return
	}
	a.c.mu.Lock()
	a.c.last = time.Now()
	a.c.mu.Unlock()
}

// manager returns one that is told late to stop.
func (c *closing) manager(next v2.InputManager) v2.InputManager { return closingManager{next, c} }

type closingManager struct {
	v2.InputManager
	c *closing
}

func (m closingManager) Init(group unison.Group, mode v2.Mode) error {
	return m.InputManager.Init(lateGroup{group, m.c}, mode)
}

// Delete is what Filebeat's loader looks for when an input has gone for good.
func (m closingManager) Delete(cfg *common.Config) error {
	if d, ok := m.InputManager.(interface{ Delete(*common.Config) error }); ok {
		return d.Delete(cfg)
	}
	return nil
}

// lateGroup gives its functions a context that ends when the group's has ended and everything has settled.
type lateGroup struct {
	unison.Group
	c *closing
}

func (g lateGroup) Go(f func(context.Context) error) error {
	return g.Group.Go(func(ctx context.Context) error {
		late, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		defer context.AfterFunc(ctx, func() {
			g.c.settle()
			cancel()
		})()
		return f(late)
	})
}
